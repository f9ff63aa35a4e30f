//! Batches as the database keeps them: what was asked, how far each is, and what it came to. What
//! they share with other jobs is in `jobs`.

mod list;
pub mod options;
pub mod progress;
pub mod record;
mod tuning;
