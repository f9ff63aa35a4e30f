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
    /// Streams that stay open.
    Streams,
    /// Calls that are withdrawn at once.
    Withdrawn,
    /// Calls withdrawn in the same breath, by frames.
    Resets,
    /// Heads that never end.
    Continuations,
    /// Frames of settings.
    Settings,
    /// Pings.
    Pings,
    /// Heads that become large when they are unpacked.
    Heads,
    /// Bytes that are no frames.
    Garbage,
    /// Requests that become large when they are unpacked.
    Bombs,
    /// Peers that are gone without a word, and others who take their place.
    HalfOpen,
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
            Attack::Streams => format!("{STREAMS} `Health/Watch` that stay open"),
            Attack::Withdrawn => format!("{WITHDRAWN} `ArchiveOrder` a second, withdrawn"),
            Attack::Resets => flooding("calls and resets (rapid reset)"),
            Attack::Continuations => flooding("CONTINUATION frames"),
            Attack::Settings => flooding("SETTINGS frames"),
            Attack::Pings => flooding("PING frames"),
            Attack::Heads => flooding("heads of 12 MiB, unpacked"),
            Attack::Garbage => flooding("bytes that are no frames"),
            Attack::Bombs => format!("{BOMBS} requests of 48 MiB, unpacked, a second"),
            Attack::HalfOpen => {
                format!("{HALF_OPEN} connections with a call, whose peers are gone")
            }
        }
    }
}

fn flooding(with: &str) -> String {
    format!("{FLOODS} connections at full speed: {with}")
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
/// Streams that stay open.
pub(crate) const STREAMS: usize = 10_000;
/// Calls a second that are withdrawn.
pub(crate) const WITHDRAWN: u32 = 1_500;
/// Connections that flood.
pub(crate) const FLOODS: usize = 8;
/// Requests a second that become large.
pub(crate) const BOMBS: u32 = 2;
/// Connections whose peers are gone.
pub(crate) const HALF_OPEN: usize = 400;
