//! What there is to say of one order: what follows from all that is known of it, and what to
//! do.

pub mod advice;
pub mod conclusion;
pub(crate) mod status;
