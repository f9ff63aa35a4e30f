//! How MongoDB is spoken to: commands, cursors, streams of changes, and what may go wrong on the
//! way.

pub(super) mod access;
pub(super) mod calls;
pub mod changes;
pub(super) mod code_names;
pub(super) mod command;
pub(super) mod connection;
pub(super) mod cursor;
pub(super) mod diagnosis;
pub(super) mod error;
pub(super) mod heard;
pub(super) mod latency;
pub(super) mod link;
pub(super) mod long_call;
pub(super) mod permits;
pub mod pool;
pub(super) mod refusal;
pub(super) mod reply;
pub(super) mod secondary;
pub(super) mod transient;
#[cfg(test)]
mod uri_tests;
