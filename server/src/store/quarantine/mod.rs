//! Orders that can't be archived: where they wait, and how they leave.

pub mod entries;
pub mod release;
