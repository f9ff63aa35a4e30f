//! What the server's own documents have in common: their format, their snapshots, who holds what
//! and who asked for it, and what becomes of one that can't be read.

pub mod caller;
pub(super) mod expressions;
pub mod fault;
pub mod format;
pub mod holds;
pub mod place;
pub mod snapshot;
pub(super) mod version;
