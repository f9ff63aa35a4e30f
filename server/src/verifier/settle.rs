//! Settling: differences that fail the verdict are read again, by themselves and from the primary,
//! some time after they were first seen. What has gone by then was an order on its way.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

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

/// How far the settling of a pass is, for whoever runs it.
#[derive(Debug, Default)]
pub struct Settling {
    settled: AtomicUsize,
    /// When the next ones are read again, while that is waited for.
    due: Mutex<Option<Instant>>,
}

impl Settling {
    /// How many differences were read again.
    pub fn settled(&self) -> usize {
        self.settled.load(Ordering::Relaxed)
    }

    /// What it waits for, for people.
    pub fn reason(&self) -> Option<String> {
        let due = (*self.due.lock())?;
        let left = due.saturating_duration_since(Instant::now()).as_secs();
        Some(format!("what differs is read again in {left} s"))
    }
}

impl<P: Pace> Pass<P> {
    /// How far the settling is.
    pub fn settling(&self) -> Arc<Settling> {
        self.settling.clone()
    }

    /// Reads again what was found, each not before its time.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        for round in 1..=ROUNDS {
            let Some(latest) = self.differences.latest_candidate().await? else {
                return Ok(());
            };
            let (now, _) = self.reader.now().await?;
            let since = now.timestamp_millis() - latest.timestamp_millis();
            let since = Duration::from_millis(u64::try_from(since).unwrap_or(0));
            let due = Instant::now() + self.plan.settle.saturating_sub(since);
            *self.settling.due.lock() = Some(due);
            sleep_until(due).await;
            *self.settling.due.lock() = None;
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
            let settled = &self.settling.settled;
            settled.fetch_add(candidates.len(), Ordering::Relaxed);
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
