//! The watcher as the database keeps it: who watches, how far, what was asked of it, and how many orders wait.

pub mod record;
pub mod requests;
pub mod waiting;
