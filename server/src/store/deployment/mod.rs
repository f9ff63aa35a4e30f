//! What the database is and has: its members, collections, indexes, privileges, and how busy it is.

pub mod access;
pub(in crate::store) mod clock;
pub mod collation;
pub mod hello;
pub mod id_types;
pub mod index_spec;
pub mod indexes;
pub mod inspector;
pub mod replication_lag;
pub mod shell;
pub(super) mod views;
