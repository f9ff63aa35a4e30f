//! What can go wrong between this server and MongoDB, without a word of what the driver says.
//!
//! The driver's texts can hold whole commands and key values, that is personal data, so none of
//! them leaves this file: an error keeps the server's number and name for it and nothing else.

use std::time::Duration;

use mongodb::error::{Error as DriverError, ErrorKind};

use super::transient::{is_transient, is_transient_label};
use crate::store::state::fault::Fault;

/// The outcome of a call to the database that did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered, or somebody who can't serve right now. Worth a retry; whether a write
    /// happened is unknown.
    #[error("the database can't be reached: {0}")]
    Unavailable(String),
    /// No answer in time. Worth a retry; whether a write happened is unknown.
    #[error("the database did not answer within {0:?}")]
    Timeout(Duration),
    /// Nothing may be written to the archive yet, for this reason, which passes by itself.
    #[error("{reason}{progress}")]
    NotReady {
        /// What is waited for.
        reason: String,
        /// How far that is, with a colon before it; empty where nobody can tell.
        progress: String,
    },
    /// Nothing may be written to the archive before somebody mends it, for this reason.
    #[error("{0}")]
    ArchiveUnfit(String),
    /// The database could not do it in the time that it was given. Worth a retry, but not at once:
    /// it would take as long again.
    #[error(
        "the database did not finish `{command}` in the time that ARCHD_OPERATION_TIMEOUT gives it"
    )]
    Slow {
        /// The command that took too long.
        command: String,
    },
    /// The database user lacks a privilege.
    #[error(
        "the database user may not run `{command}`: grant it the privilege, or set MONGODB_URI to a user that has it"
    )]
    Denied {
        /// The command that was refused.
        command: String,
    },
    /// The user or the password is wrong.
    #[error("the database refused the user or the password in MONGODB_URI")]
    Unauthenticated,
    /// The database understood and refused.
    #[error("the database refused `{command}`: {name} ({code})")]
    Refused {
        /// The command that was refused.
        command: String,
        /// The database's number for the reason.
        code: i32,
        /// The database's name for the reason.
        name: String,
    },
    /// A change stream was asked of a mongod that is no member of a replica set.
    #[error(
        "the database is a standalone mongod: change streams need a replica set (start mongod with --replSet and run rs.initiate())"
    )]
    ReplicaSetRequired,
    /// The orders are a view.
    #[error(
        "{collection} is a view, which has no history of changes and can't be read page by page: set ARCHD_COLLECTION_ORDERS to the collection behind it"
    )]
    IsView {
        /// The view.
        collection: String,
    },
    /// The database's history no longer reaches back to the place that was asked for.
    #[error("the database's history no longer reaches back that far")]
    HistoryLost,
    /// The place in the history is no place, or belongs to another stream.
    #[error("the place in the database's history can't be followed: {name} ({code})")]
    BadPlace {
        /// The database's number for the reason.
        code: i32,
        /// The database's name for the reason.
        name: String,
    },
    /// A document of the server's own can't be worked with.
    #[error(transparent)]
    State(#[from] Box<Fault>),
    /// The database answered something that the protocol does not know, or its data can't be used
    /// as it is.
    #[error("{0}")]
    Unusable(String),
}

const MAX_TIME_EXPIRED: i32 = 50;
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const CHANGE_STREAM_ON_STANDALONE: i32 = 40573;
/// ChangeStreamHistoryLost on opening, CappedPositionLost on a stream that fell behind.
const HISTORY_LOST: [i32; 2] = [286, 136];
/// ChangeStreamFatalError, InvalidResumeToken, and what the database says of a token that it can't
/// read.
const BAD_PLACE: [i32; 4] = [280, 260, 40647, 40649];

impl Error {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Unavailable(_) | Error::Timeout(_) | Error::Slow { .. } | Error::NotReady { .. }
        )
    }

    /// Nothing in place of a document of the server's own that can't be worked with: for whoever
    /// goes on without it.
    pub fn passing_by<T>(outcome: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Err(Error::State(_)) => Ok(None),
            outcome => outcome,
        }
    }

    /// Whether what was asked may be too much for the time it was given.
    pub fn is_slow(&self) -> bool {
        matches!(self, Error::Timeout(_) | Error::Slow { .. })
    }

    /// The error behind a driver's error; `command` is the name of what was asked.
    pub(super) fn from_driver(command: &str, error: &DriverError) -> Error {
        match error.kind.as_ref() {
            ErrorKind::Command(failure) => {
                let labels = error.labels().iter().map(String::as_str);
                Error::from_reply(command, failure.code, &failure.code_name, labels)
            }
            ErrorKind::Io(io) => Error::Unavailable(io.kind().to_string()),
            ErrorKind::ServerSelection { .. } => {
                Error::Unavailable("no server of the set can take the call".to_owned())
            }
            ErrorKind::ConnectionPoolCleared { .. } => {
                Error::Unavailable("the connection was interrupted".to_owned())
            }
            ErrorKind::DnsResolve { .. } => {
                Error::Unavailable("its host name can't be resolved".to_owned())
            }
            ErrorKind::Authentication { .. } => Error::Unauthenticated,
            ErrorKind::InvalidTlsConfig { .. } => {
                Error::Unusable("the TLS options in MONGODB_URI can't be used".to_owned())
            }
            ErrorKind::InvalidArgument { .. } => {
                Error::Unusable(format!("the driver can't send `{command}` as it is"))
            }
            ErrorKind::IncompatibleServer { .. } => Error::Unusable(
                "this version of MongoDB is not supported; it must be 6.0 or newer".to_owned(),
            ),
            _ => Error::Unavailable(format!("its answer to `{command}` could not be read")),
        }
    }

    /// The error behind a code that the database answered together with these labels.
    pub(in crate::store) fn from_reply<'l>(
        command: &str,
        code: i32,
        name: &str,
        labels: impl IntoIterator<Item = &'l str>,
    ) -> Error {
        match Error::from_code(command, code, name) {
            Error::Refused { .. } if labels.into_iter().any(is_transient_label) => {
                Error::Unavailable(format!("{name} ({code})"))
            }
            error => error,
        }
    }

    /// The error behind a code that the database answered.
    pub(in crate::store) fn from_code(command: &str, code: i32, name: &str) -> Error {
        match code {
            UNAUTHORIZED => Error::Denied {
                command: command.to_owned(),
            },
            AUTHENTICATION_FAILED => Error::Unauthenticated,
            MAX_TIME_EXPIRED => Error::Slow {
                command: command.to_owned(),
            },
            CHANGE_STREAM_ON_STANDALONE => Error::ReplicaSetRequired,
            _ if HISTORY_LOST.contains(&code) => Error::HistoryLost,
            _ if BAD_PLACE.contains(&code) => Error::BadPlace {
                code,
                name: name.to_owned(),
            },
            _ if is_transient(code) => Error::Unavailable(format!("{name} ({code})")),
            _ => Error::Refused {
                command: command.to_owned(),
                code,
                name: name.to_owned(),
            },
        }
    }
}

/// CommandNotSupportedOnView, OptionNotSupportedOnView, and InvalidPipelineOperator, which is said
/// of a `find` that had to become a pipeline because of a view.
const ON_A_VIEW: [i32; 3] = [166, 167, 168];

impl Error {
    /// Whether the database refused because it was asked of a view.
    pub(in crate::store) fn is_of_a_view(&self) -> bool {
        matches!(self, Error::Refused { code, .. } if ON_A_VIEW.contains(code))
    }
}
