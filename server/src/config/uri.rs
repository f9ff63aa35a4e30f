//! Where MongoDB is: the one secret among the settings.

use std::{fmt, str::FromStr};

/// A MongoDB URI, whose password no log can show: it has no `Display`, and its `Debug` is blank.
#[derive(Clone)]
pub struct MongodbUri(String);

/// What is wrong with a URI, said without repeating it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the URI of MongoDB {0}")]
pub struct BadUri(pub &'static str);

impl MongodbUri {
    /// The URI itself, for the driver alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MongodbUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongodbUri(***)")
    }
}

impl FromStr for MongodbUri {
    type Err = BadUri;

    fn from_str(value: &str) -> Result<Self, BadUri> {
        if SCHEMES.iter().any(|scheme| {
            value
                .strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        }) {
            Ok(MongodbUri(value.to_owned()))
        } else {
            Err(BadUri(
                "does not begin with mongodb:// or mongodb+srv:// and a host",
            ))
        }
    }
}

/// What a URI of MongoDB begins with.
pub const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];
