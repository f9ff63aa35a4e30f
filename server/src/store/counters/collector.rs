//! Counting: collects in memory what became of orders, and adds it to the counters a few times a
//! second.
//!
//! Nobody waits for that: an order is answered for once it is archived. A process that dies takes
//! with it what it had collected since the last write, a fraction of a second of its figures.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, rawdoc};
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tracing::error;

use super::record::{LATENCY, Tally, counter_fields, latency_added, minute_of};
use crate::{
    domain::counts::Counts,
    log_limit::LogLimit,
    store::{
        Error, Store,
        encoding::document::{raw, whole},
        state::version::{CURRENT, FORMAT, not_newer},
        wire::{
            code_names::code_name,
            reply::{checked, code_of},
        },
    },
};

/// How long counts are collected before they are written.
const PACE: Duration = Duration::from_millis(250);
/// The pause after a write that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a reader of the figures waits for the latest counts.
const SOON: Duration = Duration::from_secs(1);
/// How often the log tells that nothing can be counted.
const REMINDER: Duration = Duration::from_secs(60);
/// While nothing can be written, so many minutes are kept apart; what comes later is counted under
/// the last of them.
const MOST: usize = 240;
/// Of so many processes a counter remembers the latest write.
const WRITERS: i64 = 100;

const DUPLICATE_KEY: i32 = 11000;

/// A source and a minute.
type Key = (&'static str, DateTime);

/// What is counted and not written yet. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Counting(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Names this process in the counters.
    writer: String,
    collected: Mutex<Collected>,
    /// Held by whoever writes.
    write: tokio::sync::Mutex<Write>,
    told: LogLimit,
}

#[derive(Debug, Default)]
struct Collected {
    counts: BTreeMap<Key, Tally>,
    /// Writes, until nothing is left to be written.
    task: Option<JoinHandle<()>>,
}

/// A write, which is sent again under the same number until the database has confirmed it.
#[derive(Debug, Default)]
struct Write {
    number: i64,
    counts: BTreeMap<Key, Tally>,
}

impl Default for Counting {
    fn default() -> Counting {
        Counting(Arc::new(Shared {
            writer: uuid::Uuid::new_v4().to_string(),
            collected: Mutex::default(),
            write: tokio::sync::Mutex::default(),
            told: LogLimit::new(1, REMINDER),
        }))
    }
}

impl Counting {
    fn collected(&self) -> MutexGuard<'_, Collected> {
        self.0.collected.lock()
    }
}

impl Collected {
    fn add(&mut self, key: Key, counts: Tally) {
        let is_full = self.counts.len() >= MOST && !self.counts.contains_key(&key);
        let last = self.counts.keys().rfind(|(source, _)| *source == key.0);
        let key = last.copied().filter(|_| is_full).unwrap_or(key);
        *self.counts.entry(key).or_default() += counts;
    }
}

impl Store {
    /// Counts what has changed for orders that a source brought in: newly archived, newly in
    /// quarantine, gone. It is written within a moment, and nobody waits for that or fails by it.
    pub fn count_orders(&self, source: &'static str, counts: impl Into<Tally>) {
        let counts = counts.into();
        if counts == Tally::default() {
            return;
        }
        let minute = minute_of(DateTime::from_system_time(SystemTime::now()));
        let mut collected = self.counting.collected();
        collected.add((source, minute), counts);
        // One that has panicked is followed by another.
        if collected.task.as_ref().is_none_or(JoinHandle::is_finished) {
            collected.task = Some(tokio::spawn(self.for_own_work().write_on()));
        }
    }

    /// Writes until nothing is left to be written.
    async fn write_on(self) {
        let shared = &self.counting.0;
        loop {
            sleep(PACE).await;
            if let Err(error) = self.write_counts().await {
                if shared.told.admit(Instant::now()).is_some() {
                    error!(%error, "orders are archived, and the statistics can't be written; they are kept and tried again");
                }
                sleep(PAUSE).await;
                continue;
            }
            // Under one lock, so that nobody counts on a task that is about to end. Somebody else
            // may be writing, and may give up.
            let mut collected = self.counting.collected();
            let nothing_is_sent = shared
                .write
                .try_lock()
                .is_ok_and(|write| write.counts.is_empty());
            if collected.counts.is_empty() && nothing_is_sent {
                collected.task = None;
                return;
            }
        }
    }

    /// Writes what was counted up to now.
    async fn write_counts(&self) -> Result<(), Error> {
        let mut write = self.counting.0.write.lock().await;
        // What was sent before and not answered for goes first, as it was.
        self.send_counts(&mut write).await?;
        write.counts = take(&mut self.counting.collected().counts);
        write.number += 1;
        self.send_counts(&mut write).await
    }

    /// Writes what was counted up to now for somebody who is about to read it. Where that takes
    /// long, they read what is there.
    pub async fn freshen_counts(&self) {
        // Whatever is left over, the task writes.
        let _ = timeout(SOON, self.for_own_work().write_counts()).await;
    }

    /// Writes what is left of the counts, when no more will come.
    pub(in crate::store) async fn finish_counts(&self) -> Result<(), Error> {
        if let Some(task) = self.counting.collected().task.take() {
            task.abort();
        }
        self.write_counts().await
    }

    /// Adds the counts of a write to the counters. A counter that can't be added to is left as it
    /// is and told of.
    async fn send_counts(&self, write: &mut Write) -> Result<(), Error> {
        let mut additions = write.additions(&self.counting.0.writer);
        let mut refusal = None;
        // A counter that another instance makes at the same moment is there at the second try.
        for _ in 0..3 {
            if additions.is_empty() {
                break;
            }
            let refused = self.add_to_counters(&additions).await?;
            let ids = refused
                .iter()
                .map(|(index, _)| additions[*index].id.clone());
            refusal = refused
                .first()
                .map(|(_, code)| (ids.collect::<Vec<_>>(), *code));
            let again = refused.iter().filter(|(_, code)| *code == DUPLICATE_KEY);
            additions = again.map(|(index, _)| additions[*index].clone()).collect();
        }
        write.counts.clear();
        if let Some((ids, code)) = refusal
            && self.counting.0.told.admit(Instant::now()).is_some()
        {
            self.tell_uncounted(ids, code).await;
        }
        Ok(())
    }

    /// Runs the statements, and says which were refused and with which code.
    async fn add_to_counters(&self, additions: &[Addition]) -> Result<Vec<(usize, i32)>, Error> {
        let statements: Vec<&RawDocumentBuf> = additions
            .iter()
            .map(|addition| &addition.statement)
            .collect();
        let command = self.write_command(
            &rawdoc! { "update": self.names.counters.as_str() },
            "updates",
            &statements,
        );
        let reply = self.retry(|| async {
            let reply = self.run(command.clone()).await?;
            match checked(reply.clone()) {
                Err(Error::Refused { .. }) | Ok(_) => Ok(reply),
                Err(error) => Err(error),
            }
        });
        let reply = reply.await?;
        let refused = reply.get_array("writeErrors").into_iter().flatten();
        Ok(refused
            .filter_map(Bson::as_document)
            .map(|refused| {
                let index = usize::try_from(whole(refused.get("index"))).unwrap_or(0);
                (index, code_of(refused))
            })
            .collect())
    }

    /// Says that counts are lost, and by which counters' fault.
    async fn tell_uncounted(&self, ids: Vec<Document>, code: i32) {
        let faults = self.counter_faults(ids).await.unwrap_or_default();
        let why = match faults.first() {
            Some(fault) => fault.to_string(),
            None => format!(
                "the database refuses the counter: {} ({code})",
                code_name(code)
            ),
        };
        error!("orders are archived without being counted in the statistics: {why}");
    }
}

/// What is added to one counter.
#[derive(Clone, Debug)]
struct Addition {
    id: Document,
    statement: RawDocumentBuf,
}

impl Write {
    /// What there is to add: to the counter of each minute, and to each source's for all time.
    fn additions(&self, writer: &str) -> Vec<Addition> {
        let stamp = doc! { "writer": writer, "write": self.number };
        let mut sources: BTreeMap<&str, (DateTime, Counts)> = BTreeMap::new();
        let mut additions = Vec::new();
        for ((source, minute), counts) in &self.counts {
            let (_, all) = sources
                .entry(source)
                .or_insert((*minute, Counts::default()));
            *all += counts.counts;
            let id = doc! { "door": source, "minute": minute };
            let mut own = doc! { "minute": minute };
            if let Some(latency) = latency_added(&counts.latency) {
                own.insert(LATENCY, latency);
            }
            additions.push(addition(id, own, &counts.counts, &stamp));
        }
        for (source, (earliest, counts)) in sources {
            let id = doc! { "door": source, "minute": "all" };
            let own = doc! { "since": { "$min": ["$since", earliest] } };
            additions.push(addition(id, own, &counts, &stamp));
        }
        additions
    }
}

/// Adds to a counter, or makes it. However often and late it is sent, it adds once: the counter
/// remembers the latest write of each process. A counter of a newer format is not found, and can't
/// be made a second time.
fn addition(id: Document, mut set: Document, counts: &Counts, stamp: &Document) -> Addition {
    for (field, count) in counter_fields(counts) {
        let known = doc! { "$ifNull": [format!("${field}"), 0_i64] };
        set.insert(field, doc! { "$add": [known, count] });
    }
    let among_writers = |condition: Document| {
        let writers = doc! { "$ifNull": ["$writers", []] };
        doc! { "$filter": { "input": writers, "cond": condition } }
    };
    let (writer, write) = (stamp.get("writer"), stamp.get("write"));
    let others = among_writers(doc! { "$ne": ["$$this.writer", writer] });
    let latest = doc! { "$slice": [others, 1 - WRITERS] };
    set.insert("writers", doc! { "$concatArrays": [latest, [stamp]] });
    set.insert(FORMAT, CURRENT);
    let is_own = doc! { "$eq": ["$$this.writer", writer] };
    let is_later = doc! { "$gte": ["$$this.write", write] };
    let added_before = doc! { "$ne": [among_writers(doc! { "$and": [is_own, is_later] }), []] };
    let added = doc! { "$mergeObjects": ["$$ROOT", set] };
    let stage = doc! { "$replaceWith": { "$cond": [added_before, "$$ROOT", added] } };
    let query = doc! { "_id": &id, FORMAT: not_newer() };
    let statement = doc! { "q": query, "u": [stage], "upsert": true };
    Addition {
        id,
        statement: raw(&statement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: i64) -> DateTime {
        DateTime::from_millis(number * 60_000)
    }

    #[test]
    fn minutes_are_kept_apart_while_there_are_few_of_them() {
        let mut collected = Collected::default();
        let one = Counts {
            found: 1,
            archived: 1,
            ..Counts::default()
        };
        for number in 0..10_000 {
            collected.add(("rpc", minute(number)), one.into());
            collected.add(("watch", minute(number)), one.into());
        }
        assert_eq!(collected.counts.len(), MOST);
        for source in ["rpc", "watch"] {
            let own = collected
                .counts
                .iter()
                .filter(|((own, _), _)| *own == source);
            let archived: i64 = own.map(|(_, tally)| tally.counts.archived).sum();
            assert_eq!(archived, 10_000, "{source}");
        }
    }
}
