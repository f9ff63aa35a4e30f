//! The exit codes: what a script may rely on.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Unreachable = 4,
    Denied = 5,
    Conflict = 6,
    JobFailed = 7,
    Unbalanced = 8,
    NotVerified = 9,
    LedgerBroken = 10,
    Problem = 11,
    Interrupted = 130,
}

/// The same for people, at the end of `archctl --help`.
pub(crate) const HELP: &str = "\
Exit codes:
    0  done; a verification that was waited for says VERIFIED
    1  failure; one of several orders or entries failed or was refused; a batch or verification that
       was waited for was cancelled
    2  usage: a flag, a value or the config file is wrong
    3  no order, batch, verification or quarantine entry has that name
    4  the server is unreachable, unavailable or did not answer in time
    5  denied
    6  conflict or failed precondition: not delivered, in quarantine, already ended, …
    7  a batch or verification that was waited for failed
    8  the books of a batch that was waited for did not balance; please report it
    9  a verification that was waited for says NOT VERIFIED
   10  the ledger is not intact
   11  `archctl health` says not serving, or `archctl status` not ok
  130  interrupted by Ctrl-C while waiting, or `archctl top` by a signal";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
