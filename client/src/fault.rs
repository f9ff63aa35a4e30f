//! What can end a command early, and how to tell people: what happened, why, what to do.

mod commands;
mod hint;
mod status;

use std::{fmt, io};

use tonic::Status;

pub(crate) use status::{cursor_to_come_back_with, is_passing, metadata};

use crate::{args::Globals, exit::Exit};

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

/// A fault in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) exit: Exit,
    pub(crate) what: String,
    pub(crate) why: Vec<String>,
    pub(crate) hint: Option<String>,
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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for why in &self.why {
            write!(f, "\n  - {why}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
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
