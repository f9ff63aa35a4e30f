//! Settling: differences that fail the verdict are read again, by themselves and from the primary,
//! some time after they were first seen. What has gone by then was an order on its way.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::sleep;

use super::{comparer::Seen, pace::Pace, pass::Pass};
use crate::{
    bytes::raw::Value,
    domain::verify::finding::Finding,
    store::{
        Error,
        differences::{record::Difference, write::Stage},
        verify::lookups::Source,
    },
};

/// How many are read again together.
const TOGETHER: usize = 250;
/// What is read again may turn out to be another difference, which is read again in its turn; so
/// often.
const ROUNDS: usize = 3;

impl<P: Pace> Pass<P> {
    /// Reads again what was found, each not before its time.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        for round in 1..=ROUNDS {
            let Some(latest) = self.differences.latest_candidate().await? else {
                return Ok(());
            };
            let (now, _) = self.reader.now().await?;
            let since = now.timestamp_millis() - latest.timestamp_millis();
            let since = Duration::from_millis(u64::try_from(since).unwrap_or(0));
            sleep(self.plan.settle.saturating_sub(since)).await;
            self.settle_all(round == ROUNDS).await?;
        }
        Ok(())
    }

    async fn settle_all(&mut self, is_last: bool) -> Result<(), Error> {
        let comparer = self.fresh_comparer().await?;
        let mut behind: Option<String> = None;
        loop {
            let candidates = self
                .differences
                .candidates(behind.as_deref(), TOGETHER)
                .await?;
            let Some(last) = candidates.last() else {
                return Ok(());
            };
            behind = Some(last.id.clone());
            let sides = candidates.iter().flat_map(sides).cloned();
            let ids: HashSet<Value> = sides.collect();
            let ids: Vec<Value> = ids.into_iter().collect();
            let seen = Seen::default();
            let compared = comparer.examine(&ids, Source::Primary, &seen).await?;
            self.replace(&candidates, compared.findings, is_last)
                .await?;
        }
    }

    /// Stores what candidates have turned out to be.
    async fn replace(
        &mut self,
        candidates: &[Difference],
        found: Vec<Finding>,
        is_last: bool,
    ) -> Result<(), Error> {
        let mut found: HashMap<String, Finding> =
            found.into_iter().map(|it| (it.key(), it)).collect();
        let (mut settled, mut gone) = (Vec::new(), Vec::new());
        for candidate in candidates {
            match found.remove(&candidate.finding.key()) {
                Some(finding) => settled.push((finding, Stage::Late)),
                None => gone.push(candidate.id.clone()),
            }
        }
        // What has become another difference, unless it is one that is known.
        let others: Vec<Finding> = found.into_values().collect();
        let known = self.differences.known(&others).await?;
        let stage = |finding: &Finding| match finding.class.fails() && !is_last {
            true => Stage::Candidate,
            false => Stage::Late,
        };
        let others = others.into_iter().zip(known).filter(|(_, known)| !known);
        settled.extend(others.map(|(finding, _)| {
            let stage = stage(&finding);
            (finding, stage)
        }));
        self.differences.note(&settled).await?;
        self.differences.forget(&gone).await
    }
}

/// The `_id`s of both sides of a difference.
fn sides(difference: &Difference) -> impl Iterator<Item = &Value> {
    let finding = &difference.finding;
    [&finding.order_id, &finding.archive_id]
        .into_iter()
        .flatten()
}
