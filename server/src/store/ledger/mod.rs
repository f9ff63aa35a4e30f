//! The ledger in the database: one entry for each verification that has a verdict, appended once and
//! never changed.

pub mod append;
pub mod list;
pub mod record;
