//! What goes on, read once a second for all who listen, and not at all while nobody does.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::body::Bytes;
use bson::DateTime;
use futures::FutureExt;
use order_archiver_api::{json::to_json, v1 as pb};
use parking_lot::Mutex;
use prost::{Message, Name};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{page, recent::Recent};
use crate::{
    convert::{self, Document},
    domain::schedule::Schedule,
    observe::stats::{self, Wanted},
    parts::Parts,
    store::{
        Error, Store,
        jobs::record::State,
        quarantine::{list::Filter, record::Entry},
        state::place::Place,
        verifications::record::Verification,
        wire::changes::Start,
    },
};

/// How often what goes on is read.
const PACE: Duration = Duration::from_secs(1);
/// How long that may take until it is told that it takes too long.
const PATIENCE: Duration = Duration::from_secs(4);
/// The figures step by step: of how long, and in which steps.
const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
const STEP: Duration = Duration::from_secs(15 * 60);
/// The window of the figures that are read each second, the shortest one.
const MOMENT: Duration = Duration::from_secs(60);
/// Entries of the quarantine that are told of.
const ENTRIES: usize = 10;
/// The states of jobs that have not ended.
const ACTIVE: [State; 3] = [State::Pending, State::Running, State::Cancelling];

/// What is told to everybody, each part as it is sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// The figures of a day, step by step.
    pub(super) series: Part,
    /// The figures of this moment.
    pub(super) figures: Part,
    /// Why there are none of this moment; empty while there are.
    pub(super) trouble: Part,
    /// What happened lately.
    pub(super) events: Part,
}

impl Told {
    /// The parts, in the order in which they are told.
    pub(super) fn parts(&self) -> [&Part; 4] {
        [&self.series, &self.figures, &self.trouble, &self.events]
    }
}

/// A part, and which one it is of those that came after each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) number: u64,
    pub(super) text: Bytes,
}

impl Part {
    fn set(&mut self, name: &str, data: &Value) {
        self.number += 1;
        self.text = Bytes::from(format!("event: {name}\ndata: {data}\n\n"));
    }

    fn clear(&mut self) {
        if !self.text.is_empty() {
            self.number += 1;
            self.text = Bytes::new();
        }
    }
}

/// Where to hear what goes on. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Snapshots(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    parts: Parts,
    store: Store,
    schedule: Option<Schedule>,
    instance: String,
    stop: CancellationToken,
    told: watch::Sender<Told>,
    /// Whether somebody reads for those who listen.
    is_read: Mutex<bool>,
}

impl Snapshots {
    pub(super) fn new(
        parts: Parts,
        instance: String,
        schedule: Option<Schedule>,
        stop: CancellationToken,
    ) -> Snapshots {
        Snapshots(Arc::new(Shared {
            // So that pages take no connection from those who archive.
            store: parts.store.for_callers(),
            parts,
            schedule,
            instance,
            stop,
            told: watch::Sender::default(),
            is_read: Mutex::default(),
        }))
    }

    /// Hears what is told from now on, beginning with what was told last.
    pub(super) fn listen(&self) -> watch::Receiver<Told> {
        let mut receiver = self.0.told.subscribe();
        receiver.mark_changed();
        let mut is_read = self.0.is_read.lock();
        if !*is_read {
            *is_read = true;
            let (reading, own) = (self.clone().read_on(), self.clone());
            self.0.parts.tasks.spawn(async move {
                if AssertUnwindSafe(reading).catch_unwind().await.is_err() {
                    // Whoever comes next begins anew.
                    *own.0.is_read.lock() = false;
                }
            });
        }
        receiver
    }

    /// Reads until nobody listens any more, or the server stops.
    async fn read_on(self) {
        let recent = Recent::default();
        // Before the first figures: what happens after them is told.
        let live = self.0.parts.live.clone();
        let reader = timeout(PACE, live.reader(&Start::Now)).await;
        let reader = reader.ok().and_then(Result::ok);
        let hearing = recent.clone().hear(live, reader);
        let _hearing = AbortOnDropHandle::new(tokio::spawn(hearing));
        let mut reading = Reading::default();
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.is_left() {
                return;
            }
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = self.read(&mut reading, &recent) => {}
            }
        }
    }

    /// Whether nobody listens. Who comes from now on has it read anew, and is told nothing old.
    fn is_left(&self) -> bool {
        let mut is_read = self.0.is_read.lock();
        let is_left = self.0.told.receiver_count() == 0;
        if is_left {
            self.0.told.send_replace(Told::default());
            *is_read = false;
        }
        is_left
    }

    async fn read(&self, reading: &mut Reading, recent: &Recent) {
        let outcome = match self.0.parts.monitor.check_reads() {
            // It asks every other second, and knows best what is amiss.
            Err(error) => Err(error),
            Ok(()) => timeout(PATIENCE, self.figures(reading))
                .await
                .unwrap_or(Err(Error::Timeout(PATIENCE))),
        };
        let told = &mut reading.told;
        match outcome {
            Ok(figures) => {
                reading.trouble_since = None;
                told.figures.set("figures", &figures);
                told.trouble.clear();
            }
            Err(error) => {
                let now = self.0.store.database_time();
                let since = *reading.trouble_since.get_or_insert(now);
                let since = since.and_then(|since| since.try_to_rfc3339_string().ok());
                let trouble = json!({ "text": error.to_string(), "since_time": since });
                told.trouble.set("trouble", &trouble);
            }
        }
        if let Some(events) = recent.news() {
            told.events.set("events", &events);
        }
        self.0.told.send_replace(told.clone());
    }

    /// The figures of this moment; those of the day are noted where they are new.
    async fn figures(&self, reading: &mut Reading) -> Result<Value, Error> {
        let store = &self.0.store;
        let wanted = Wanted {
            window: MOMENT,
            step: None,
            near_misses: false,
        };
        let stats = stats::read(store, wanted).await?;
        let read = stats.read;
        let has_entries = stats.quarantine_size > 0;
        let (running, quarantined) = futures::try_join!(self.running(), async {
            match has_entries {
                true => self.quarantined().await,
                false => Ok(Vec::new()),
            }
        })?;
        let step = read.timestamp_millis().div_euclid(millis(STEP));
        if reading.step != Some(step) {
            let points = self.points(read, WINDOW).await?;
            let series = json!({ "step_seconds": STEP.as_secs(), "points": points });
            reading.told.series.set("series", &series);
            reading.step = Some(step);
        }
        let latest = self.points(read, STEP).await?;
        let schedule = self.0.schedule.as_ref();
        let lacking = self.0.parts.privileges.lacking();
        let stats = convert::stats(stats, MOMENT, store.database_name(), schedule, &lacking);
        Ok(json!({
            "page": page::version(),
            "instance": { "name": &self.0.instance, "version": env!("CARGO_PKG_VERSION") },
            "stats": message(&stats),
            "running_verification": running.map(|running| message(&running)),
            "quarantined": quarantined,
            "latest": latest,
        }))
    }

    /// The verification that runs.
    async fn running(&self) -> Result<Option<pb::Verification>, Error> {
        let store = &self.0.store;
        let latest = Place::default();
        let found = store.jobs::<Verification>(&ACTIVE, &latest, 1).await?;
        let running = found.and_then(|mut found| found.pop());
        // One that can't be read is told of by the figures.
        let running = running.and_then(Result::ok);
        Ok(running.map(|running| {
            let updated = running.head.updated;
            convert::verification(running, updated)
        }))
    }

    /// Some entries of the quarantine.
    async fn quarantined(&self) -> Result<Vec<Value>, Error> {
        let all = Filter::default();
        let entries = self.0.store.quarantine_entries(&all, ENTRIES).await?;
        let entries = entries.into_iter().filter_map(Result::ok);
        let entry = |entry: Entry| convert::quarantine_entry(entry, Document::NotAsked);
        Ok(entries.map(|it| message(&entry(it))).collect())
    }

    /// The steps of the figures that lie in a length of time up to now.
    async fn points(&self, now: DateTime, past: Duration) -> Result<Vec<Value>, Error> {
        let from = DateTime::from_millis(now.timestamp_millis() - millis(past));
        let points = self.0.store.counter_series(from, now, STEP).await?;
        let points = points.iter().map(convert::stats_point);
        Ok(points.map(|point| message(&point)).collect())
    }
}

/// What is known from one reading to the next.
#[derive(Debug, Default)]
struct Reading {
    told: Told,
    /// The step in which the figures of the day were read.
    step: Option<i64>,
    /// Since when the figures can't be read, if that can be told.
    trouble_since: Option<Option<DateTime>>,
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// A message of the contract as JSON.
pub(super) fn message<M: Message + Name>(message: &M) -> Value {
    to_json(message).unwrap_or_default()
}
