//! The audit log in the database: calls that changed more than one order, who made each and what
//! became of it. The latest are kept, so many and for so long.

pub mod note;
pub mod record;
