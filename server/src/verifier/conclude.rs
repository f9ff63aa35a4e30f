//! The conclusion of a pass: what was found is read again, weighed and counted.

use super::{pace::Pace, pass::Pass};
use crate::{
    domain::verify::{
        class::Class,
        counts::Counts,
        days::Days,
        verdict::{Verdict, verdict},
    },
    store::Error,
};

/// What a pass came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Conclusion {
    /// What it says.
    pub verdict: Verdict,
    /// What was counted.
    pub counts: Counts,
    /// The digests of the archive's days; empty unless everything was looked at, byte by byte.
    pub days: Days,
    /// Why everything was looked at, although only what has changed was to be.
    pub full_because: Option<String>,
    /// What was amiss and did not keep it from a verdict, for people.
    pub warnings: Vec<String>,
}

impl<P: Pace> Pass<P> {
    /// Concludes a pass that is done. Can be cut short and begun again.
    pub async fn conclude(&mut self, _trusted: &Days) -> Result<Conclusion, Error> {
        let mut counts = self.progress.counts;
        counts.verified = counts.delivered - counts.of(Class::Missing);
        Ok(Conclusion {
            verdict: verdict(&counts, true),
            counts,
            days: Days::default(),
            full_because: None,
            warnings: Vec::new(),
        })
    }
}
