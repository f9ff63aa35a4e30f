//! Pass: one look at orders and archive for a verification, step by step. Whoever runs the
//! verification makes one from the progress that was saved, advances it until it is done, saves its
//! progress after each step, and concludes it.

use std::sync::Arc;

use futures::StreamExt;
use tracing::info;

use super::{
    changes::Walk,
    compared::Compared,
    comparer::Comparer,
    pace::{Pace, Taken},
    parts::{Part, PartSource, Parts, fault},
    settle::Settling,
};
use crate::{
    bytes::raw::Value,
    domain::{
        order::LONGEST_ID,
        verify::{
            class::Class,
            finding::Finding,
            plan::Plan,
            progress::{Position, Progress},
        },
    },
    store::{
        Error,
        differences::write::{Differences, Stage},
        encoding::ext_json,
        verify::reader::ComparisonReader,
    },
};

/// How many differences a pass records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// So many that fail the verdict; after that it stops.
    pub failing: i64,
    /// So many of each other class; the others are counted.
    pub of_a_class: i64,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            failing: 100_000,
            of_a_class: 10_000,
        }
    }
}

/// A look at orders and archive.
pub struct Pass<P: Pace> {
    pub(super) reader: ComparisonReader,
    pub(super) differences: Differences,
    pub(super) plan: Plan,
    pub(super) bounds: Bounds,
    pub(super) progress: Progress,
    pub(super) pace: Arc<P>,
    /// How many whole orders are read together.
    chunk: usize,
    comparer: Option<Arc<Comparer>>,
    parts: Option<(Parts, Arc<Taken<P>>)>,
    pub(super) changes: Option<Walk>,
    pub(super) settling: Arc<Settling>,
}

impl<P: Pace> Pass<P> {
    /// A pass that goes on from where it was left. `chunk` orders are read together.
    pub fn new(
        reader: ComparisonReader,
        differences: Differences,
        plan: Plan,
        progress: Progress,
        pace: Arc<P>,
        chunk: usize,
    ) -> Pass<P> {
        reader.begin_at(plan.begun);
        Pass {
            reader,
            differences,
            plan,
            bounds: Bounds::default(),
            progress,
            pace,
            chunk,
            comparer: None,
            parts: None,
            changes: None,
            settling: Arc::default(),
        }
    }

    /// The same, within other bounds.
    pub fn within(self, bounds: Bounds) -> Pass<P> {
        Pass { bounds, ..self }
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether everything is looked at, and not only what has changed.
    pub fn is_full(&self) -> bool {
        self.plan.since.is_none() || self.progress.full_because.is_some()
    }

    /// Whether nothing is left but to conclude it.
    pub fn is_done(&self) -> bool {
        self.progress.exhausted || self.progress.stopped_at.is_some()
    }

    /// Goes on by one step, after which its progress is to be saved: the differences of what that
    /// stands for are stored already. After an error that is worth a retry it can be called again,
    /// and goes on from the progress.
    pub async fn advance(&mut self) -> Result<(), Error> {
        if self.is_done() {
            return Ok(());
        }
        match self.is_full() {
            true => self.advance_in_parts().await,
            false => self.advance_in_changes().await,
        }
    }

    /// What compares, made anew when it is not there.
    pub(super) async fn comparer(&mut self) -> Result<Arc<Comparer>, Error> {
        if let Some(comparer) = &self.comparer {
            return Ok(comparer.clone());
        }
        let comparer = Comparer::new(self.reader.clone(), self.plan.depth).await?;
        let comparer = Arc::new(comparer);
        self.comparer = Some(comparer.clone());
        Ok(comparer)
    }

    /// What compares, for the archive as it is by now.
    pub(super) async fn fresh_comparer(&mut self) -> Result<Arc<Comparer>, Error> {
        self.comparer = None;
        self.comparer().await
    }

    async fn advance_in_parts(&mut self) -> Result<(), Error> {
        let (mut parts, taken) = match self.parts.take() {
            Some(parts) => parts,
            None => {
                let taken = Arc::new(Taken::new(self.pace.clone()));
                let source = PartSource {
                    comparer: self.comparer().await?,
                    pace: taken.clone(),
                    chunk: self.chunk,
                };
                (source.parts(self.progress.position.clone()), taken)
            }
        };
        // An `_id` that is too long to be saved is no place to go on from.
        let mut progress = self.progress.clone();
        let mut findings = Vec::new();
        loop {
            let done = parts.next().await.ok_or_else(fault)?;
            let mut failed = None;
            let mut savable = false;
            for part in done {
                match part {
                    Ok(part) => {
                        taken.done(part.taken);
                        savable = self.account(part, &mut progress, &mut findings);
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            if savable {
                self.keep(progress, findings).await?;
                // The fault comes again, if it stays.
                if failed.is_none() && !self.is_done() {
                    self.parts = Some((parts, taken));
                }
                return Ok(());
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// Accounts for a part; whether its end is a place to go on from.
    fn account(
        &self,
        part: Part,
        progress: &mut Progress,
        findings: &mut Vec<(Finding, Stage)>,
    ) -> bool {
        self.count(part.compared, progress, findings);
        progress.exhausted = part.next.is_none();
        progress.position = part.next.or(progress.position.take());
        let short = |at: &Value| at.bytes.len() <= LONGEST_ID;
        match &progress.position {
            _ if progress.exhausted => true,
            Some(Position::Both(at) | Position::Orders(at) | Position::Archive(at)) => short(at),
            Some(Position::History(_)) | None => true,
        }
    }

    /// Takes in what was compared. Of what does not fail the verdict only so many are noted.
    pub(super) fn count(
        &self,
        compared: Compared,
        progress: &mut Progress,
        findings: &mut Vec<(Finding, Stage)>,
    ) {
        let mut before = progress.counts;
        progress.counts += compared.counts;
        progress.unplaced += compared.unplaced;
        progress.by_number += compared.by_number;
        for (day, digest) in compared.documents {
            progress.days.add(day, digest);
        }
        for finding in compared.findings {
            let class = finding.class;
            if class.fails() {
                progress.candidates += 1;
                findings.push((finding, Stage::Candidate));
            } else {
                *before.of_mut(class) += 1;
                if before.of(class) <= self.bounds.of_a_class {
                    findings.push((finding, Stage::Told));
                }
            }
        }
    }

    /// Stores what was found, and then has it as progress.
    pub(super) async fn keep(
        &mut self,
        mut progress: Progress,
        findings: Vec<(Finding, Stage)>,
    ) -> Result<(), Error> {
        self.differences.note(&findings).await?;
        if let Some(comparer) = &self.comparer {
            let classes = Class::ALL.into_iter().filter(|class| !class.fails());
            for class in classes {
                if progress.counts.of(class) >= self.bounds.of_a_class {
                    comparer.told_enough(class);
                }
            }
        }
        // What was stored again after a crash was counted again.
        if progress.candidates > self.bounds.failing && !progress.exhausted {
            progress.candidates = self.differences.failing().await?;
            if progress.candidates > self.bounds.failing {
                progress.stopped_at = Some(shown(progress.position.as_ref()));
                info!(
                    differences = progress.candidates,
                    "too many differences to go on"
                );
            }
        }
        self.progress = progress;
        Ok(())
    }
}

/// A position, for people.
fn shown(position: Option<&Position>) -> String {
    match position {
        Some(Position::Both(at) | Position::Orders(at) | Position::Archive(at)) => {
            format!("_id {}", ext_json::shown(at.as_ref(), 128))
        }
        Some(Position::History(_)) | None => "a place in the history".to_owned(),
    }
}
