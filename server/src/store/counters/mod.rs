//! The figures behind the statistics: collected in memory, kept in the database.

pub(super) mod collector;
pub mod record;
pub mod series;
