//! The reading side of verifications: orders and archive beside each other, and the history of
//! both. Nothing here writes.

pub mod archive_pages;
pub mod history;
pub mod lookups;
pub mod order_pages;
pub mod progress;
pub mod reader;
