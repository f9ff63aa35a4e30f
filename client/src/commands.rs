//! The commands of `archctl`, one a file.

pub(crate) mod archive;
pub(crate) mod auth;
pub(crate) mod batch;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod health;
pub(crate) mod instances;
pub(crate) mod man;
pub(crate) mod orders;
pub(crate) mod quarantine;
pub(crate) mod seed;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod tail;
pub(crate) mod top;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod watch;
