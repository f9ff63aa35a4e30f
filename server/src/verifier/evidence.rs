//! Evidence: whether it was the live order that has changed, and not the archive. Where nothing
//! shows that, an altered order stays altered.

use std::{collections::HashMap, time::Duration};

use bson::DateTime;
use tokio::time::Instant;

use super::{compared::id_of, pace::Pace, pass::Pass};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        enrich::DATE_ARCHIVAGE,
        verify::{
            class::Class,
            days::{Day, Days},
            finding::Finding,
        },
    },
    store::{
        Error,
        differences::{record::Difference, write::Stage},
        verify::{
            history::Suspect,
            lookups::{Extent, Side, Source},
        },
    },
};

/// For so many altered orders the evidence is looked for, in one look.
const MOST: usize = 10_000;
/// For so long the history is looked through: without it what was amended alarms people.
const LONGEST: Duration = Duration::from_secs(10 * 60);

impl<P: Pace> Pass<P> {
    /// Calls what was altered on the live side only by its name. `trusted` are the digests of an
    /// earlier full verification, at whose time nothing of the archive was altered or damaged.
    /// Answers with what kept it from looking, for people.
    pub(super) async fn weigh(&mut self, trusted: &Days) -> Result<Vec<String>, Error> {
        let deadline = Instant::now() + LONGEST;
        let (mut behind, mut looked_at): (Option<(Class, String)>, usize) = (None, 0);
        let mut warnings = Vec::new();
        loop {
            let place = behind.as_ref().map(|(class, id)| (*class, id.as_str()));
            let altered = self
                .differences
                .page(&[Class::Altered], place, MOST)
                .await?;
            let Some(last) = altered.last() else {
                return Ok(warnings);
            };
            if looked_at >= MOST {
                warnings.push(format!(
                    "of more than {MOST} altered orders the others were not looked for in the history; they count as altered"
                ));
                return Ok(warnings);
            }
            behind = Some((Class::Altered, last.id.clone()));
            looked_at += altered.len();
            let left = deadline.saturating_duration_since(Instant::now());
            let amended = self.amended(&altered, trusted, left, &mut warnings).await?;
            let amended: Vec<(Finding, Stage)> = amended
                .into_iter()
                .map(|difference| {
                    let finding = Finding {
                        class: Class::Amended,
                        detail: "the live order has changed since it was archived, and the archive has not".to_owned(),
                        ..difference.finding
                    };
                    (finding, Stage::Late)
                })
                .collect();
            self.differences.note(&amended).await?;
        }
    }

    /// Those of which it is shown that the archive's side was left alone.
    async fn amended(
        &mut self,
        altered: &[Difference],
        trusted: &Days,
        limit: Duration,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Difference>, Error> {
        let ids = altered
            .iter()
            .filter_map(|it| it.finding.archive_id.clone());
        let ids: Vec<Value> = ids.collect();
        let documents = self
            .reader
            .with_ids(Side::Archive, &ids, Extent::Dated, Source::Primary)
            .await?;
        let dates: HashMap<ValueRef<'_>, DateTime> = documents
            .iter()
            .filter_map(|it| {
                let date = raw::find(it, DATE_ARCHIVAGE).and_then(ValueRef::as_date);
                Some((id_of(it), date?))
            })
            .collect();
        let (mut amended, mut open, mut suspects) = (Vec::new(), Vec::new(), Vec::new());
        for difference in altered {
            let (Some(order_id), Some(archive_id)) =
                (&difference.finding.order_id, &difference.finding.archive_id)
            else {
                continue;
            };
            let Some(archived) = dates.get(&archive_id.as_ref()) else {
                continue;
            };
            let day = Day::of(Some(*archived));
            let same = trusted
                .get(day)
                .is_some_and(|then| self.progress.days.get(day) == Some(then));
            if same && self.is_full() {
                amended.push(difference.clone());
            } else {
                open.push(difference);
                suspects.push(Suspect {
                    order_id: order_id.clone(),
                    archive_id: archive_id.clone(),
                    archived: *archived,
                });
            }
        }
        let sound_since = self.plan.sound.then_some(self.plan.since).flatten();
        let look = self.reader.amended(&suspects, sound_since, limit).await;
        match look {
            Ok(shown) => {
                amended.extend(shown.amended.into_iter().map(|at| open[at].clone()));
                let warning = shown.hindrance.map(|why| {
                    format!("whether it was the live orders that changed is not known, so they count as altered: {why}")
                });
                warnings.extend(warning.filter(|warning| !warnings.contains(warning)));
            }
            Err(error) if error.is_transient() => return Err(error),
            // Without the history nothing is shown.
            Err(error) => {
                let warning = format!(
                    "whether it was the live orders that changed is not known, so they count as altered: {error}"
                );
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        Ok(amended)
    }
}
