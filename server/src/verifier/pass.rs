//! Pass: one look at orders and archive for a verification, step by step. Whoever runs the
//! verification makes one from the progress that was saved, advances it until it is done, saves its
//! progress after each step, and concludes it.

use std::sync::Arc;

use super::pace::Pace;
use crate::{
    domain::verify::{
        class::Class,
        progress::{Position, Progress},
    },
    store::{
        Error, Store,
        orders::pages::{ArchiveState, PageRequest, View},
    },
};

/// A look at orders and archive.
pub struct Pass<P> {
    store: Store,
    pub(super) progress: Progress,
    pace: Arc<P>,
    chunk: usize,
}

impl<P: Pace> Pass<P> {
    /// A pass that goes on from where it was left. `chunk` orders are read together.
    pub fn new(store: Store, progress: Progress, pace: Arc<P>, chunk: usize) -> Pass<P> {
        Pass {
            store,
            progress,
            pace,
            chunk,
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether nothing is left but to conclude it.
    pub fn is_done(&self) -> bool {
        self.progress.exhausted
    }

    /// Goes on by one step, after which its progress is to be saved. After an error that is worth a
    /// retry it can be called again, and goes on from the progress.
    pub async fn advance(&mut self) -> Result<(), Error> {
        let limit = self.chunk.min(self.pace.portion());
        self.pace.admit(limit).await;
        let from = match &self.progress.position {
            Some(Position::Orders(id)) => Some(id.clone()),
            _ => None,
        };
        let request = PageRequest {
            from,
            limit,
            before: None,
            view: View::Ids,
            index: None,
            stride: None,
        };
        let page = self.store.order_page(&request).await?;
        self.pace.took(page.orders.len());
        let states = self.store.archive_states(&page).await?;
        self.pace.done(page.orders.len());
        let missing = states.iter().filter(|state| **state == ArchiveState::New);
        let missing = missing.count() as i64;
        let counts = &mut self.progress.counts;
        counts.delivered += states.len() as i64;
        *counts.of_mut(Class::Missing) += missing;
        counts.archived += states.len() as i64 - missing;
        self.progress.exhausted = page.next.is_none();
        self.progress.position = page.next.map(Position::Orders);
        Ok(())
    }
}
