//! The watcher as the database keeps it: who watches, how far, in how many partitions, what was
//! asked of it, and how many orders wait.

pub mod asked_by;
mod catch_up;
pub(super) mod change;
pub mod gap;
pub(super) mod identity;
pub mod lease;
mod news;
pub mod partition;
pub mod record;
mod requests;
pub mod split;
pub mod waiting;
