//! Archived documents that a repair has replaced or taken out: what is kept of them.

pub mod record;
