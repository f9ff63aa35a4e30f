//! Batches as the database keeps them: what was asked, how far each is, and who runs it.

pub mod ids;
pub mod lease;
pub mod options;
pub mod record;
