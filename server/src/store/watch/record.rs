//! The watcher as the database keeps it: who watches, how far, whether it is paused, and which gap is open.
//!
//! One document, changed by plain updates, so that whoever reads the history of the database hears of every change.

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    store::{
        Error, Store,
        encoding::document::{document_value, joined, raw, whole},
        state::{
            format::{self, CURRENT, FORMAT, Field, Is, date_or, may, millis_or, must, not_newer},
            snapshot,
        },
        wire::command::write_concern,
    },
};
use std::time::Duration;

use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, Timestamp, doc, rawdoc};

use super::requests::{ASKED_BY, AskedBy, asked_by_in};

/// The `_id` of the watcher's document.
pub(in crate::store) const ID: &str = "watcher";
/// The `_id` of the document that names the database.
pub(in crate::store) const IDENTITY_ID: &str = "identity";

/// The fields of the watcher's document, all but the checkpoint, which is looked at before it is followed.
pub(in crate::store) const WATCHER: &[Field] = &[
    must("epoch", Is::Whole),
    must("state", Is::Word(|name| State::named(name).is_some())),
    must("paused", Is::Flag),
    may("owner", Is::Text),
    may("instance", Is::Text),
    may("taken_by", Is::Text),
    may("lease", Is::Millis),
    may("alive_at", Is::Date),
    may("saved_at", Is::Date),
    may("last_event", Is::Date),
    may("waiting_since", Is::Date),
    may("last_error", Is::Text),
    may("last_error_at", Is::Date),
    may("state_since", Is::Date),
    may("gap", Is::Fields(GAP)),
    may("closed_gap", Is::Fields(GAP)),
    may("gone", Is::Fields(GONE)),
    may("asked_by", Is::Fields(ASKED_BY)),
];

const GAP: &[Field] = &[
    may("from", Is::Timestamp),
    must("to", Is::Timestamp),
    must("batch_id", Is::Text),
    must("cause", Is::Text),
];

const GONE: &[Field] = &[
    must("orders", Is::Whole),
    must("ids", Is::Texts),
    must("note", Is::Text),
];

/// The fields of the document that names the database.
pub(in crate::store) const IDENTITY: &[Field] = &[must("uuid", Is::Text)];

/// What the watcher is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the states")]
pub enum State {
    Starting,
    CatchingUp,
    Watching,
    Paused,
    Retrying,
    Unsupported,
    Stopped,
}

impl State {
    const NAMES: [(State, &str); 7] = [
        (State::Starting, "starting"),
        (State::CatchingUp, "catching_up"),
        (State::Watching, "watching"),
        (State::Paused, "paused"),
        (State::Retrying, "retrying"),
        (State::Unsupported, "unsupported"),
        (State::Stopped, "stopped"),
    ];

    /// The state's name in the database.
    pub fn name(self) -> &'static str {
        State::NAMES
            .iter()
            .find(|(state, _)| *state == self)
            .map_or("", |(_, name)| name)
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<State> {
        let mut names = State::NAMES.iter();
        names
            .find(|(_, known)| *known == name)
            .map(|(state, _)| *state)
    }
}

/// A stretch of history that a catch-up batch makes up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last place before it; none on a first start.
    pub from: Option<Timestamp>,
    /// The first place after it.
    pub to: Timestamp,
    /// The catch-up batch; empty before it has begun.
    pub batch_id: String,
    /// Why there is a gap.
    pub cause: String,
}

/// The watcher.
#[derive(Clone, Debug, PartialEq)]
pub struct Watcher {
    /// Counts the takeovers: what an earlier holder writes is refused.
    pub epoch: i64,
    /// Who watches.
    pub instance: String,
    /// Whether it is silent for so long that it counts as gone.
    pub silent: bool,
    /// When it last gave a heartbeat.
    pub alive_at: Option<DateTime>,
    /// What it is doing.
    pub state: State,
    /// Since when; none while that is not known.
    pub state_since: Option<DateTime>,
    /// Whether it is to pause.
    pub paused: bool,
    /// The checkpoint as it is stored, to be looked at before it is trusted.
    pub checkpoint: Option<Value>,
    /// The cluster time of the checkpoint.
    pub position: Option<Timestamp>,
    /// When it was saved.
    pub saved: Option<DateTime>,
    /// The latest fault; empty before the first.
    pub last_error: String,
    /// When it was met.
    pub last_error_at: Option<DateTime>,
    /// When the last delivered order came by.
    pub last_event: Option<DateTime>,
    /// When the oldest change happened that was read and is not archived yet.
    pub waiting_since: Option<DateTime>,
    /// The open gap.
    pub gap: Option<Gap>,
    /// Who last asked it to pause or to go on.
    pub asked_by: Option<AskedBy>,
    /// The database's clock when this was read.
    pub now: DateTime,
}

impl Watcher {
    /// What it is doing: one that is silent for too long has stopped, whatever it said last.
    pub fn state_now(&self) -> State {
        if self.silent {
            State::Stopped
        } else {
            self.state
        }
    }

    /// Since when that is so; none while it is not known.
    pub fn since_now(&self) -> Option<DateTime> {
        match self.state {
            State::Stopped => self.state_since.or(self.alive_at),
            _ if self.silent => self.alive_at,
            _ => self.state_since,
        }
    }

    /// Whether an instance reads changes, or is about to.
    pub fn is_watched(&self) -> bool {
        !matches!(
            self.state_now(),
            State::Stopped | State::Paused | State::Unsupported
        )
    }

    /// How far its position is behind the latest write that a majority holds, in cluster time, to the second; none before its first
    /// position, while no instance watches, and on a standalone mongod.
    pub fn lag(&self, majority: Option<Timestamp>) -> Option<Duration> {
        let is_run = self.state_now() != State::Stopped;
        is_run.then_some(apart(majority?, self.position?))
    }
}

/// The cluster time between two moments, to the second; zero when they come the other way round.
pub fn apart(later: Timestamp, earlier: Timestamp) -> Duration {
    Duration::from_secs(later.time.saturating_sub(earlier.time).into())
}

/// What the instance that watches tells about itself.
#[derive(Clone, Debug)]
pub struct Sign<'s> {
    /// What it is doing.
    pub state: State,
    /// A fault that was met since the last sign; empty when there was none.
    pub last_error: &'s str,
    /// The checkpoint to save, sealed; none when it has not moved.
    pub checkpoint: Option<&'s RawDocument>,
    /// When the last delivered order came by.
    pub last_event: Option<DateTime>,
    /// When the oldest change happened that was read and is not archived yet.
    pub waiting_since: Option<DateTime>,
}

impl Store {
    /// The watcher; none when nobody has ever watched.
    pub async fn watcher(&self) -> Result<Option<Watcher>, Error> {
        self.watcher_with(doc! { "_id": ID }).await
    }

    async fn watcher_with(&self, query: Document) -> Result<Option<Watcher>, Error> {
        let pipeline = [
            doc! { "$match": query },
            doc! { "$set": { "now": "$$NOW", "silent": self.silent() } },
        ];
        let head = doc! { "aggregate": &self.names.state, "pipeline": &pipeline[..], "cursor": {} };
        let rows = self
            .rows(&joined(&[&raw(&head), &self.read_options()]))
            .await?;
        rows.first().map(|row| self.watcher_of(row)).transpose()
    }

    /// Takes the watch: if nobody has it, or whoever has it is silent. None when somebody else has it.
    ///
    /// What comes back is what this very call has made of it, however long this instance is frozen meanwhile: its epoch is never
    /// that of a successor.
    pub async fn take_watch(&self, owner: &str, instance: &str) -> Result<Option<Watcher>, Error> {
        // The expression below is not allowed in an upsert, so the document is made first.
        if self.watcher().await?.is_none() {
            let unborn = doc! {
                FORMAT: CURRENT, "owner": Bson::Null, "epoch": 0_i64, "paused": false, "last_error": "",
                "state": State::Stopped.name(),
            };
            self.update_watcher(doc! { "_id": ID }, doc! { "$setOnInsert": unborn }, true)
                .await?;
        }
        // When this is sent again because its answer was lost, the watch may be taken already, by this very call.
        let call = uuid::Uuid::new_v4().to_string();
        let free = doc! {
            "_id": ID, FORMAT: not_newer(), "taken_by": { "$ne": &call },
            "$or": [{ "owner": owner }, { "owner": Bson::Null }, { "$expr": self.silent() }],
        };
        let take = doc! {
            "$set": {
                FORMAT: CURRENT, "owner": owner, "instance": instance, "taken_by": &call,
                "state": State::Starting.name(), "lease": self.lease_millis(),
            },
            "$inc": { "epoch": 1_i64 }, "$currentDate": { "alive_at": true, "state_since": true },
        };
        let command = doc! { "findAndModify": &self.names.state, "query": free, "new": true };
        let command = joined(&[
            &raw(&command),
            &update_of_watcher("update", &raw(&take)),
            &rawdoc! { "writeConcern": write_concern() },
        ]);
        let reply = self.write_retried(&command).await?;
        match reply.get_document("value") {
            Ok(taken) => {
                let now = taken.get_datetime("alive_at").ok().copied();
                let mut watcher = self.watcher_of(&raw(taken))?;
                watcher.now = now.unwrap_or(watcher.now);
                Ok(Some(watcher))
            }
            Err(_) => {
                self.watcher_with(doc! { "_id": ID, "taken_by": call })
                    .await
            }
        }
    }

    /// Whether the instance that watches has been silent for longer than its own lease: the settings of whoever looks may differ.
    /// A heartbeat from further ahead was given before the database's clock was set back, and would count for ever so long.
    pub(in crate::store) fn silent(&self) -> Document {
        let lease = millis_or("lease", self.lease_millis());
        let alive_at = date_or("alive_at", DateTime::MIN);
        doc! { "$or": [
            { "$lt": [&alive_at, { "$subtract": ["$$NOW", &lease] }] },
            { "$gt": [&alive_at, { "$add": ["$$NOW", &lease] }] },
        ] }
    }

    /// Gives a heartbeat, and saves how far the watcher is. False when somebody else has taken the watch.
    pub async fn keep_watch(&self, epoch: i64, sign: &Sign<'_>) -> Result<bool, Error> {
        let mut set = Writer::default();
        set.string("state", sign.state.name());
        match sign.waiting_since {
            Some(since) => set.date("waiting_since", since),
            None => set.value("waiting_since", ValueRef::NULL),
        };
        if let Some(last_event) = sign.last_event {
            set.date("last_event", last_event);
        }
        let mut clocks = doc! { "alive_at": true };
        if let Some(checkpoint) = sign.checkpoint {
            set.document("checkpoint", checkpoint);
            clocks.insert("saved_at", true);
        }
        // What a fault said stays after it has passed.
        if !sign.last_error.is_empty() {
            set.string("last_error", sign.last_error);
            clocks.insert("last_error_at", true);
        }
        let set = set.finish();
        let update = |clocks: &Document| {
            let mut update = Writer::default();
            update
                .document("$set", &set)
                .document("$currentDate", &raw(clocks));
            update.finish()
        };
        let mut as_before = mine(epoch);
        as_before.insert("state", sign.state.name());
        if self
            .update_watcher_raw(&as_before, &update(&clocks), false)
            .await?
        {
            return Ok(true);
        }
        clocks.insert("state_since", true);
        self.update_watcher_raw(&mine(epoch), &update(&clocks), false)
            .await
    }

    /// Begins at a new place, with a gap before it, in one update: there is never a moment when the gap is forgotten. Of the state,
    /// which follows from it, the next heartbeat tells: a change tells of one thing.
    pub async fn open_gap(
        &self,
        epoch: i64,
        checkpoint: &RawDocument,
        gap: &Gap,
    ) -> Result<bool, Error> {
        let mut set = Writer::default();
        set.document("checkpoint", checkpoint)
            .document("gap", &raw(&gap_document(gap)));
        let mut update = Writer::default();
        update.document("$set", &set.finish()).document(
            "$currentDate",
            &rawdoc! { "alive_at": true, "saved_at": true },
        );
        self.update_watcher_raw(&mine(epoch), &update.finish(), false)
            .await
    }

    /// Notes which batch closes the gap; an empty id says that none does.
    pub async fn name_gap_batch(&self, epoch: i64, gap: &Gap) -> Result<bool, Error> {
        let name = doc! { "$set": { "gap.batch_id": &gap.batch_id } };
        self.update_watcher(open(epoch, gap), name, false).await
    }

    /// Declares the gap closed. What it was is kept, so that everyone can be told.
    pub async fn close_gap(&self, epoch: i64, gap: &Gap) -> Result<bool, Error> {
        let close = doc! { "$unset": { "gap": "" }, "$set": { "closed_gap": gap_document(gap) } };
        self.update_watcher(open(epoch, gap), close, false).await
    }

    /// Names this database, so that a cursor of another one can be told: a random text, made once.
    pub async fn identity(&self) -> Result<String, Error> {
        let query = doc! { "_id": IDENTITY_ID };
        let born =
            doc! { "$setOnInsert": { FORMAT: CURRENT, "uuid": uuid::Uuid::new_v4().to_string() } };
        if let Some(uuid) = self.read_identity().await? {
            return Ok(uuid);
        }
        self.update_watcher(query, born, true).await?;
        self.read_identity()
            .await?
            .ok_or_else(|| Error::Unavailable("its identity is not there yet".to_owned()))
    }

    /// The name of this database, if it has one yet.
    pub(in crate::store) async fn read_identity(&self) -> Result<Option<String>, Error> {
        let find = rawdoc! { "find": self.names.state.as_str(), "filter": { "_id": IDENTITY_ID } };
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        format::check(&self.names.state, IDENTITY, row)?;
        Ok(raw::find(row, "uuid").and_then(|uuid| uuid.as_str().map(str::to_owned)))
    }

    /// Gives the watch back, so that another instance need not wait. The position is kept.
    pub async fn leave_watch(&self, epoch: i64, state: State) -> Result<bool, Error> {
        let leave = doc! {
            "$set": { "owner": Bson::Null, "state": state.name(), "waiting_since": Bson::Null },
            "$currentDate": { "state_since": true },
        };
        self.update_watcher(mine(epoch), leave, false).await
    }

    /// Pauses the watcher, or lets it go on, without anybody having asked for it; `why` tells of the fault that it is paused for, if
    /// it is. False when nobody has ever watched.
    pub async fn pause_watch(&self, paused: bool, why: &str) -> Result<bool, Error> {
        let known = doc! { "_id": ID, FORMAT: not_newer() };
        let mut pause = doc! { "$set": { "paused": paused }, "$unset": { "asked_by": "" } };
        if !why.is_empty() {
            // Whoever runs it has stopped reading by now.
            pause = doc! {
                "$set": { "paused": paused, "state": State::Paused.name(), "last_error": why },
                "$currentDate": { "state_since": true, "last_error_at": true },
                "$unset": { "asked_by": "" },
            };
        }
        self.update_watcher(known, pause, false).await
    }

    pub(in crate::store) async fn update_watcher(
        &self,
        query: Document,
        update: Document,
        upsert: bool,
    ) -> Result<bool, Error> {
        self.update_watcher_raw(&query, &raw(&update), upsert).await
    }

    /// Updates the watcher if the query finds it. Repeating such an update does no harm.
    async fn update_watcher_raw(
        &self,
        query: &Document,
        update: &RawDocument,
        upsert: bool,
    ) -> Result<bool, Error> {
        let mut statement = Writer::default();
        statement.document("q", &raw(query));
        let statement = joined(&[
            &statement.finish(),
            &update_of_watcher("u", update),
            &rawdoc! { "upsert": upsert },
        ]);
        let command = self.write_command(
            &rawdoc! { "update": self.names.state.as_str() },
            "updates",
            &[statement],
        );
        let reply = self.write_retried(&command).await?;
        Ok(whole(reply.get("n")) > 0)
    }
}

/// The field of a command that holds an update of the watcher's document: one of the state leaves a
/// snapshot for those who read the news.
fn update_of_watcher(name: &str, update: &RawDocument) -> RawDocumentBuf {
    let mut field = Writer::default();
    match snapshot::stages_of_watcher(update) {
        Some(stages) => field.array(name, stages.iter().map(|stage| document_value(stage))),
        None => field.document(name, update),
    };
    field.finish()
}

/// The watch under an epoch, as long as it lasts. A newer server that takes it over may not be known by its epoch.
pub(in crate::store) fn mine(epoch: i64) -> Document {
    doc! { "_id": ID, "epoch": epoch, FORMAT: not_newer() }
}

/// This very gap: a late update must not touch one that was opened since.
fn open(epoch: i64, gap: &Gap) -> Document {
    let mut query = mine(epoch);
    query.insert("gap.to", gap.to);
    query
}

fn gap_document(gap: &Gap) -> Document {
    let mut document = doc! { "to": gap.to, "batch_id": &gap.batch_id, "cause": &gap.cause };
    if let Some(from) = gap.from {
        document.insert("from", from);
    }
    document
}

impl Store {
    /// Reads the watcher from its document.
    pub fn watcher_of(&self, row: &RawDocument) -> Result<Watcher, Error> {
        let checkpoint = raw::find(row, "checkpoint");
        let position = checkpoint
            .and_then(|checkpoint| checkpoint.elements().find(|element| element.key == b"time"))
            .and_then(|time| time.value.as_timestamp());
        let now = raw::find(row, "now").and_then(ValueRef::as_date);
        let silent = raw::find(row, "silent").and_then(ValueRef::as_bool) == Some(true);
        let row = format::read(&self.names.state, WATCHER, row)?;
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        let date = |field| row.get_datetime(field).ok().copied();
        Ok(Watcher {
            epoch: whole(row.get("epoch")),
            instance: text("instance"),
            silent,
            alive_at: date("alive_at"),
            state: State::named(&text("state")).unwrap_or(State::Stopped),
            state_since: date("state_since"),
            paused: row.get_bool("paused").unwrap_or_default(),
            checkpoint: checkpoint.map(ValueRef::to_owned),
            position,
            saved: date("saved_at"),
            last_error: text("last_error"),
            last_error_at: date("last_error_at"),
            last_event: date("last_event"),
            waiting_since: date("waiting_since"),
            gap: row.get_document("gap").ok().map(gap_of),
            asked_by: row.get_document("asked_by").ok().map(asked_by_in),
            now: now.unwrap_or(DateTime::from_millis(0)),
        })
    }
}

/// Reads a gap from its document.
pub(in crate::store) fn gap_of(gap: &Document) -> Gap {
    Gap {
        from: gap.get_timestamp("from").ok(),
        to: gap.get_timestamp("to").unwrap_or(Timestamp {
            time: 0,
            increment: 0,
        }),
        batch_id: gap.get_str("batch_id").unwrap_or_default().to_owned(),
        cause: gap.get_str("cause").unwrap_or_default().to_owned(),
    }
}

/// Reads a gap out of a change of the watcher.
pub fn gap_in(value: ValueRef<'_>) -> Option<Gap> {
    let bytes = RawDocumentBuf::from_bytes(value.bytes.to_vec()).ok()?;
    Document::try_from(bytes.as_ref()).ok().as_ref().map(gap_of)
}
