//! Replaced documents: what a repair takes out of the archive, kept whole with who asked for it,
//! when and why.

pub mod record;
pub mod take_out;
