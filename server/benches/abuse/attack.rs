//! The attacks: what each does, at which rate.

use clap::ValueEnum;

/// What somebody does to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// Calls that give up after 30 ms.
    Deadlines,
    /// Followers of a batch who leave at once.
    Followers,
    /// Readers of events who stay, and others who leave at once.
    Tails,
    /// One stream of small requests.
    Stream,
    /// Connections that say nothing.
    Silent,
    /// Requests whose bodies never end.
    Bodies,
    /// Answers that nobody reads.
    Unread,
}

impl Attack {
    /// The attack with its rate, for the report.
    pub(crate) fn describe(self) -> String {
        match self {
            Attack::Deadlines => {
                format!("{DEADLINES} `GetArchivedOrder` a second with 30 ms deadlines")
            }
            Attack::Followers => format!("{FOLLOWERS} `WatchBatch` a second, cancelled"),
            Attack::Tails => {
                format!("{READERS} live `TailEvents`, {TAILS} more a second, cancelled")
            }
            Attack::Stream => format!("one `ArchiveOrders` with {STREAMED} requests a second"),
            Attack::Silent => format!("{SILENT} silent connections, 1,024 files allowed"),
            Attack::Bodies => format!("{BODIES} request bodies of 4 MiB that never end"),
            Attack::Unread => format!("{UNREAD} answers of 2.9 MiB that nobody reads"),
        }
    }
}

/// Calls a second that give up.
pub(crate) const DEADLINES: u32 = 500;
/// Followers a second who leave.
pub(crate) const FOLLOWERS: u32 = 100;
/// Readers of events who stay.
pub(crate) const READERS: usize = 50;
/// Readers of events a second who leave.
pub(crate) const TAILS: u32 = 50;
/// Requests a second in one stream.
pub(crate) const STREAMED: u32 = 2_000;
/// Connections that say nothing.
pub(crate) const SILENT: usize = 1_100;
/// Requests whose bodies never end.
pub(crate) const BODIES: usize = 512;
/// Answers that nobody reads.
pub(crate) const UNREAD: usize = 400;
