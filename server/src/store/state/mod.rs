//! What the server's own documents have in common: their format, their snapshots, and what becomes of one that can't be read.

pub mod format;
pub mod place;
pub mod snapshot;
