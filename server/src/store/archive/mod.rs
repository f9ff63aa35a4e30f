//! The archive: reading it, writing to it, and making sure that it takes each number once.

pub(super) mod build_lease;
mod build_progress;
mod doubles;
mod index_build;
pub mod insert;
pub mod look;
pub(super) mod looks;
pub mod read;
pub(super) mod refusals;
pub mod repeated;
pub mod scan_limit;
pub mod shape;
pub mod unique_index;
mod unsettled;
