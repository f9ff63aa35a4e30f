//! Orders that can't be archived: where they wait, and how they leave.

mod add;
pub(super) mod bytes;
pub mod list;
pub mod record;
pub mod release;
mod remove;
