//! The reading side of verifications: orders and archive beside each other, and the history of
//! both. Nothing here writes.

pub mod progress;
