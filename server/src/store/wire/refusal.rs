//! Refusals: what a failed call says about the connection that it was made on.

use mongodb::error::{Error as DriverError, ErrorKind};

const AUTHENTICATION_FAILED: i32 = 18;
const UNAUTHORIZED: i32 = 13;

/// How a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Refusal {
    /// The connection is not, or no longer, logged in.
    LoggedOut,
    /// It is, and its user lacks a right.
    Rights,
    /// There was none: the database is away, or the client is made so that it is not let in, as by a
    /// certificate that has expired.
    Unreachable,
}

/// What a failure says about the connection; none when it says nothing.
pub(in crate::store) fn refusal(error: &DriverError) -> Option<Refusal> {
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => Some(Refusal::LoggedOut),
        ErrorKind::Io(_)
        | ErrorKind::ServerSelection { .. }
        | ErrorKind::ConnectionPoolCleared { .. } => Some(Refusal::Unreachable),
        ErrorKind::Command(failure) => match failure.code {
            AUTHENTICATION_FAILED => Some(Refusal::LoggedOut),
            // The database has one code for both, and tells them apart in words.
            UNAUTHORIZED if failure.message.contains("requires authentication") => {
                Some(Refusal::LoggedOut)
            }
            UNAUTHORIZED => Some(Refusal::Rights),
            _ => None,
        },
        _ => None,
    }
}
