//! What can end a command early, and how to tell people: what happened, why, what to do.

mod commands;
mod hint;
mod report;
mod status;
mod tls;

use std::io;

use tonic::Status;

pub(crate) use commands::named;
pub(crate) use report::Report;
pub(crate) use status::{cursor_to_come_back_with, is_passing, is_unreachable, metadata};

use crate::{exit::Exit, globals::Globals};

/// Why a command ended before its natural end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server refused, or could not be asked.
    Refused(Box<Status>),
    /// Standard output or input failed.
    Io(io::Error),
    /// The command found it out itself.
    Told(Report),
}

impl Fault {
    pub(crate) fn told(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Told(Report {
            exit,
            what: what.into(),
            why: Vec::new(),
            hint: Some(hint.into()),
        })
    }

    /// The server left out what the contract promises: only a server of another release does.
    pub(crate) fn left_out(what: &str) -> Self {
        Self::told(
            Exit::Failure,
            format!("the server's answer has no {what}"),
            "archctl and archd may be of different releases",
        )
    }

    /// Puts the fault into words; a reader that has gone away is no fault at all.
    pub(crate) fn explain(self, globals: &Globals) -> Option<Report> {
        match self {
            Self::Refused(status) => {
                Some(status::report(&status, &globals.endpoint, globals.timeout))
            }
            Self::Io(fault) if fault.kind() == io::ErrorKind::BrokenPipe => None,
            Self::Io(fault) => Some(Report {
                exit: Exit::Failure,
                what: "standard output or input failed".to_owned(),
                why: vec![fault.to_string()],
                hint: None,
            }),
            Self::Told(report) => Some(report),
        }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        Self::Io(fault)
    }
}

impl From<csv::Error> for Fault {
    fn from(fault: csv::Error) -> Self {
        match fault.into_kind() {
            csv::ErrorKind::Io(fault) => Self::Io(fault),
            other => Self::Io(io::Error::other(format!("{other:?}"))),
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(fault: serde_json::Error) -> Self {
        Self::Told(Report {
            exit: Exit::Failure,
            what: "the answer can't be written as JSON".to_owned(),
            why: vec![fault.to_string()],
            hint: Some("look at it with --output table".to_owned()),
        })
    }
}
