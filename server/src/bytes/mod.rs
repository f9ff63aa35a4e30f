//! The ground floor: what knows how BSON and resume tokens lie in bytes.

pub mod checkpoint;
pub(crate) mod join_key;
pub mod raw;
