//! Batches as the database keeps them: what was asked, how far each is, and who runs it.

mod change;
pub mod ids;
pub mod lease;
mod list;
pub mod options;
pub mod record;
mod requests;
