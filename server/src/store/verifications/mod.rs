//! Verifications as the database keeps them: what was asked, how far each is, and what it says. What
//! they share with other jobs is in `jobs`.

mod counts;
pub mod latest;
pub mod options;
pub mod progress;
pub mod record;
