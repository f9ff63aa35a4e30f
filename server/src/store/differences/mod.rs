//! The differences that verifications found.

pub mod acknowledgements;
pub mod list;
pub mod record;
pub mod write;
