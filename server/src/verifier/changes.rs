//! Changes: a pass over nothing but what has changed since an earlier verification, by the
//! database's history.

use tracing::info;

use super::{comparer::Seen, pace::Pace, pass::Pass};
use crate::{
    domain::verify::progress::{Position, Progress},
    store::{
        Error,
        verify::{history::ChangedIds, lookups::Source},
    },
};

/// A walk through the history.
pub(super) struct Walk {
    history: ChangedIds,
    seen: Seen,
}

impl<P: Pace> Pass<P> {
    /// Goes on by what one reply of the history tells.
    pub(super) async fn advance_in_changes(&mut self) -> Result<(), Error> {
        let mut walk = match self.changes.take() {
            Some(walk) => walk,
            None => match self.open_walk().await {
                Ok(walk) => walk,
                Err(error) => return self.fall_back(why(error)?).await,
            },
        };
        let mut progress = self.progress.clone();
        let mut findings = Vec::new();
        loop {
            let changed = match walk.history.next().await {
                Ok(changed) => changed,
                Err(error) => return self.fall_back(why(error)?).await,
            };
            if let Some(upheaval) = changed.upheaval {
                return self.fall_back(upheaval).await;
            }
            let mut ids = changed.ids;
            ids.retain(|id| walk.seen.meet(id.as_ref()));
            let is_empty = ids.is_empty();
            if !is_empty {
                let comparer = self.comparer().await?;
                self.pace.admit(ids.len()).await;
                self.pace.took(ids.len());
                let compared = comparer.examine(&ids, Source::Bulk, &walk.seen).await;
                self.pace.done(ids.len());
                self.count(compared?, &mut progress, &mut findings);
            }
            progress.position = Some(Position::History(changed.position));
            progress.exhausted = changed.all;
            if changed.all || !is_empty {
                self.keep(progress, findings).await?;
                self.changes = Some(walk);
                return Ok(());
            }
        }
    }

    async fn open_walk(&mut self) -> Result<Walk, Error> {
        let after = match &self.progress.position {
            Some(Position::History(position)) => Some(position),
            _ => None,
        };
        let since = self.plan.since.unwrap_or(self.plan.begun);
        let history = self
            .reader
            .changed_ids(since, after, self.plan.begun)
            .await?;
        Ok(Walk {
            history,
            seen: Seen::default(),
        })
    }

    /// Looks at everything instead, for this reason.
    async fn fall_back(&mut self, reason: String) -> Result<(), Error> {
        info!(reason, "the verification looks at everything");
        // What was told of a part is told again, if it is still so.
        self.differences.forget_all().await?;
        self.changes = None;
        self.progress = Progress {
            full_because: Some(reason),
            ..Progress::default()
        };
        Ok(())
    }
}

/// Why the history can't tell what has changed; the error itself where that may pass.
fn why(error: Error) -> Result<String, Error> {
    Ok(match error {
        Error::HistoryLost => {
            "the database's history no longer reaches back to the last verification".to_owned()
        }
        Error::ReplicaSetRequired => {
            "the database is a standalone mongod, which has no history of changes".to_owned()
        }
        Error::Denied { .. } => {
            "the database user may not read the history of changes: grant `find` and `changeStream` on the database".to_owned()
        }
        Error::BadPlace { .. } | Error::Refused { .. } => {
            format!("the database's history can't be followed: {error}")
        }
        error => return Err(error),
    })
}
