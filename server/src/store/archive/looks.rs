//! The looks at the archive that the calls of an instance share, and what they say of the orders
//! that were written between them.
//!
//! An insert is sent only after a look that found the archive as it must be, and that began at most
//! [`FRESH`] before, or after the insert was ready. Between the two somebody can drop the index. So
//! every number that is sent is kept in mind until a look that began after the database's answer
//! finds the unique index finished: the archive then holds no number twice. When a look finds it
//! gone or unfinished, the numbers in mind are looked for in the archive, and those it holds twice
//! are named.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    look::Archive,
    repeated::Repeated,
    unsettled::{Mind, Sent},
};
use crate::{
    bytes::raw::Value,
    store::{Error, Store},
};

/// How long ago a look may have begun when an insert is sent.
const FRESH: Duration = Duration::from_millis(100);
/// From the beginning of one look to that of the next, while orders are archived: the other half is
/// for the look itself.
const PACE: Duration = Duration::from_millis(50);
/// The same while looks fail.
const SLOW_PACE: Duration = Duration::from_millis(250);

/// What an instance knows of the archive. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Looks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    latest: watch::Sender<Look>,
    mind: Mutex<Mind>,
    sharded: AtomicBool,
    validates: AtomicBool,
    /// What hindered the last build of the index that the log has told of.
    told: Mutex<Option<Repeated>>,
}

/// What the latest look found.
#[derive(Clone, Debug)]
struct Look {
    /// When it began; none before the first one.
    began: Option<Instant>,
    outcome: Result<(), Error>,
    /// Whether the archive was seen, and may not be written to.
    found_unfit: bool,
}

impl Default for Look {
    fn default() -> Look {
        Look {
            began: None,
            outcome: Ok(()),
            found_unfit: false,
        }
    }
}

/// Numbers on their way into the archive. Dropping it says that the database has answered, or that
/// nobody waits for it any more.
#[derive(Debug)]
pub(in crate::store) struct Sending {
    looks: Looks,
    id: u64,
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut mind = self.looks.mind();
        let sent = mind.sent.iter_mut().find(|sent| sent.id == self.id);
        if let Some(sent) = sent {
            sent.answered = Some(Instant::now());
        }
    }
}

impl Looks {
    /// Notes whether a mongos answers.
    pub(in crate::store) fn note_sharded(&self, sharded: bool) {
        self.0.sharded.store(sharded, Ordering::Relaxed);
    }

    /// Whether a mongos answers.
    fn is_sharded(&self) -> bool {
        self.0.sharded.load(Ordering::Relaxed)
    }

    /// Notes whether the archive has a validator; whether it has, and had none.
    pub(super) fn is_news_that_it_validates(&self, validates: bool) -> bool {
        let before = self.0.validates.swap(validates, Ordering::Relaxed);
        validates && !before
    }

    /// Notes what hinders the unique index; whether the log has not told of it.
    pub(super) fn is_news_that_it_repeats(&self, repeated: &Repeated) -> bool {
        let mut told = self.0.told.lock();
        told.replace(repeated.clone()).as_ref() != Some(repeated)
    }

    /// Notes that nothing hinders the unique index any more.
    pub(super) fn note_kept(&self) {
        *self.0.told.lock() = None;
    }

    /// Keeps numbers in mind that are about to be sent.
    pub(super) fn sending(&self, numbers: Vec<Value>) -> Sending {
        let mut mind = self.mind();
        let id = mind.next;
        mind.next += 1;
        mind.sent.push(Sent {
            id,
            numbers,
            answered: None,
        });
        Sending {
            looks: self.clone(),
            id,
        }
    }

    /// Numbers that were found double since the index was last there.
    pub(super) fn doubled(&self) -> Vec<String> {
        self.mind().doubled.iter().cloned().collect()
    }

    /// Whether something that was sent may be double without anybody knowing.
    fn is_in_doubt(&self) -> bool {
        let mind = self.mind();
        !mind.sent.is_empty() || mind.searches > 0
    }

    /// Waits for the outcome of a look that began no sooner than this.
    async fn since(&self, asked: Instant) {
        let mut latest = self.0.latest.subscribe();
        let _ = latest
            .wait_for(|look| look.began.is_some_and(|began| began >= asked))
            .await;
    }

    pub(super) fn mind(&self) -> MutexGuard<'_, Mind> {
        self.0.mind.lock()
    }
}

/// A task that looks. Should it panic, whoever waits for it starts another one.
struct Looking(Option<Looks>);

impl Drop for Looking {
    fn drop(&mut self) {
        if let Some(looks) = self.0.take() {
            looks.mind().looking = false;
            looks.0.latest.send_modify(|_| ());
        }
    }
}

impl Store {
    /// Waits until orders may be sent to the archive: until a look has found it as it must be that
    /// is at most a tenth of a second old, or began after this was called.
    ///
    /// Fails with [`Error::NotReady`] or [`Error::ArchiveUnfit`] when the archive is not as it must
    /// be, and like every read while the database is away.
    pub async fn assure_archive(&self) -> Result<(), Error> {
        let away = |error: &Error| error.is_transient() && !matches!(error, Error::NotReady { .. });
        self.retry_when(|| self.fresh_look(), away).await
    }

    /// The same, asked once.
    pub(super) async fn fresh_look(&self) -> Result<(), Error> {
        let asked = Instant::now();
        let mut latest = self.looks.0.latest.subscribe();
        loop {
            self.keep_looking();
            {
                let look = latest.borrow_and_update();
                // A look that found something amiss holds for nobody who comes after it: it may be
                // mended by now.
                let holds = |began: Instant| look.outcome.is_ok() && began.elapsed() < FRESH;
                let is_fresh = |began: Instant| began >= asked || holds(began);
                if look.began.is_some_and(is_fresh) {
                    return look.outcome.clone();
                }
            }
            // The sender lives in this very store.
            let _ = latest.changed().await;
        }
    }

    /// Makes sure that a task looks, now and for a while.
    fn keep_looking(&self) {
        let mut mind = self.looks.mind();
        mind.asked = Some(Instant::now());
        if !mind.looking {
            mind.looking = true;
            tokio::spawn(self.for_own_work().look_on());
        }
    }

    /// Looks until nobody waits for another look and nothing that was sent is in doubt.
    async fn look_on(self) {
        let mut looking = Looking(Some(self.looks.clone()));
        loop {
            let began = Instant::now();
            let archive = self.look().await;
            let is_good = |archive: Archive| archive.may_be_written(&self.names.archive).is_ok();
            let pause = match archive.is_ok_and(is_good) {
                true => PACE,
                false => SLOW_PACE,
            };
            sleep_until(began + pause).await;
            // Under one lock, so that nobody counts on a task that is about to end.
            let mut mind = self.looks.mind();
            if mind.is_idle(began) {
                mind.looking = false;
                looking.0 = None;
                return;
            }
        }
    }

    /// Looks at the archive, tells whoever waits for a look what this one found, and draws the
    /// conclusions from it.
    pub(in crate::store) async fn look(&self) -> Result<Archive, Error> {
        let began = Instant::now();
        let archive = self.look_at_archive(self.looks.is_sharded()).await;
        let outcome = match &archive {
            Ok(archive) => archive.may_be_written(&self.names.archive),
            Err(error) => Err(error.clone()),
        };
        let found_unfit = archive.is_ok() && outcome.is_err();
        match &outcome {
            Ok(()) => self.looks.mind().settle(began),
            Err(_) if found_unfit => {
                let mut mind = self.looks.mind();
                let doubtful = mind.take_answered();
                if !doubtful.is_empty() {
                    mind.searches += 1;
                    tokio::spawn(self.clone().search(doubtful));
                }
            }
            Err(_) => {}
        }
        // A look that was overtaken by a later one says nothing new.
        self.looks.0.latest.send_if_modified(|latest| {
            let is_later = latest.began.is_none_or(|before| before <= began);
            if is_later {
                *latest = Look {
                    began: Some(began),
                    outcome,
                    found_unfit,
                };
            }
            is_later
        });
        archive
    }

    /// Waits until the latest look, whoever looked, has found that nothing may be written to the
    /// archive.
    pub async fn archive_unfit(&self) {
        let mut latest = self.looks.0.latest.subscribe();
        let _ = latest.wait_for(|look| look.found_unfit).await;
    }

    /// Waits until a look has followed the last insert, so that a process that ends leaves nothing
    /// in doubt.
    pub(in crate::store) async fn settle_archive(&self) {
        while self.looks.is_in_doubt() {
            let asked = Instant::now();
            self.keep_looking();
            self.looks.since(asked).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stays_in_mind_until_a_look_that_began_after_its_answer() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let number = |text: &str| vec![Value::string(text)];
        let looks = Looks::default();
        let first = looks.sending(number("a"));
        let _second = looks.sending(number("b"));
        looks.mind().settle(at(60_000));
        assert_eq!(looks.mind().sent.len(), 2, "both are under way");
        assert!(looks.mind().take_answered().is_empty());

        drop(first);
        looks.mind().sent[0].answered = Some(at(10));
        looks.mind().settle(at(10));
        assert_eq!(looks.mind().sent.len(), 2, "the look may have come first");
        looks.mind().settle(at(11));
        assert_eq!(looks.mind().sent.len(), 1);

        looks.mind().sent[0].answered = Some(at(20));
        assert_eq!(looks.mind().take_answered(), number("b"));
        assert!(looks.mind().sent.is_empty(), "checked once");
    }

    #[test]
    fn looks_end_after_the_last_question_and_not_before_all_is_settled() {
        let start = Instant::now();
        let looks = Looks::default();
        looks.mind().asked = Some(start);
        let after = start + Duration::from_millis(1);
        assert!(!looks.mind().is_idle(start), "it may have come later");
        assert!(looks.mind().is_idle(after));
        let _sending = looks.sending(vec![Value::string("a")]);
        assert!(!looks.mind().is_idle(after));
    }
}
