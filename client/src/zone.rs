//! The zone of the times in text.

use std::fmt;

use chrono::{DateTime, FixedOffset, Local, Utc};
use chrono_tz::Tz;

/// The zone of the times in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// The one that this machine is set to.
    Local,
    Named(Tz),
}

impl Zone {
    pub(crate) fn at(self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        match self {
            Self::Local => time.with_timezone(&Local).fixed_offset(),
            Self::Named(zone) => time.with_timezone(&zone).fixed_offset(),
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local => f.write_str("local"),
            Self::Named(zone) => f.write_str(zone.name()),
        }
    }
}
