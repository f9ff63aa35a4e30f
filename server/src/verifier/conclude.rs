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
    /// Concludes a pass that is done: waits until what fails the verdict can be read again, and
    /// does. `trusted` are the digests of the archive's days by an earlier full verification that
    /// found nothing altered or damaged, not even acknowledged; empty where there is none. Can be
    /// cut short and begun again.
    pub async fn conclude(&mut self, trusted: &Days) -> Result<Conclusion, Error> {
        self.settle().await?;
        let mut warnings = self.weigh(trusted).await?;
        self.differences.acknowledge().await?;
        let tally = self.differences.tally().await?;
        let progress = self.progress.clone();
        let mut counts = progress.counts;
        counts += tally.counts;
        if progress.unplaced > 0 {
            *counts.of_mut(Class::Orphaned) += (progress.unplaced - progress.by_number).max(0);
            warnings.push(format!(
                "{} has no index on numero_commande, so archived documents without a live order of their `_id` were only counted: make it, then verify again",
                self.reader.orders_name()
            ));
        }
        if self.is_full() {
            self.count_near_misses(&mut counts, &mut warnings).await?;
        }
        let quarantined = counts.of(Class::Quarantined);
        counts.verified = (counts.delivered - quarantined - tally.failing_orders).max(0);
        for class in Class::ALL.into_iter().filter(|class| !class.fails()) {
            let recorded = self.bounds.of_a_class;
            if progress.counts.of(class) > recorded && class != Class::NearMiss {
                warnings.push(format!(
                    "of {} {} differences the first {recorded} are listed",
                    counts.of(class),
                    class.name()
                ));
            }
        }
        if let Some(at) = &progress.stopped_at {
            warnings.push(format!(
                "more than {} differences; stopped at {at}; run a batch first",
                self.bounds.failing
            ));
        }
        Ok(Conclusion {
            verdict: verdict(&counts, progress.stopped_at.is_none()),
            counts,
            days: match progress.stopped_at {
                None if self.is_full() => progress.days.clone(),
                _ => Days::default(),
            },
            full_because: progress.full_because.clone(),
            warnings,
        })
    }

    /// Counts statuses that only look delivered. A verdict does not depend on them.
    async fn count_near_misses(
        &mut self,
        counts: &mut Counts,
        warnings: &mut Vec<String>,
    ) -> Result<(), Error> {
        match self.reader.near_misses().await {
            Ok((misses, all)) => {
                let orders = misses.orders();
                let met = counts.of_mut(Class::NearMiss);
                *met = if all { orders } else { *met + orders };
            }
            Err(error) if error.is_transient() && !error.is_slow() => return Err(error),
            Err(error) => warnings.push(format!(
                "statuses that only look delivered were not looked for to the end ({error})"
            )),
        }
        Ok(())
    }
}
