//! What there is to say of one order: how its archived document compares with it, what follows from
//! all that is known, and what to do.

pub mod advice;
pub mod comparison;
pub mod conclusion;
pub(crate) mod status;
