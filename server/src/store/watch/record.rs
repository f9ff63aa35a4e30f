//! The record of the watcher: its fields in the database, and the watcher as it is read from them.
//!
//! One document, changed by plain updates, so that whoever reads the history of the database hears
//! of every change.

use std::time::Duration;

use bson::{DateTime, Document, RawDocument, RawDocumentBuf, Timestamp, doc};

use super::{
    asked_by::{ASKED_BY, AskedBy, asked_by_in},
    gap::{GAP, Gap, gap_of},
    split::{SPLIT, Split, WANTED, Wanted, split_of, wanted_of},
};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    store::{
        Error, Store,
        encoding::document::{joined, raw, whole},
        state::format::{self, Field, Is, may, must},
    },
};

/// The `_id` of the watcher's document.
pub(in crate::store) const ID: &str = "watcher";
/// The fields of the watcher's document, all but the checkpoint, which is looked at before it is
/// followed.
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
    may("split", Is::Fields(SPLIT)),
    may("wanted", Is::Fields(WANTED)),
    may("renamed_at", Is::Timestamp),
];

const GONE: &[Field] = &[
    must("orders", Is::Whole),
    must("ids", Is::Texts),
    must("note", Is::Text),
];

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
    /// All states.
    pub const ALL: [State; 7] = [
        State::Starting,
        State::CatchingUp,
        State::Watching,
        State::Paused,
        State::Retrying,
        State::Unsupported,
        State::Stopped,
    ];

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
    /// Into how many partitions the stream is divided.
    pub split: Split,
    /// Who last said how many there are to be; none before anybody wanted more than one.
    pub wanted: Option<Wanted>,
    /// The latest renaming of the orders for which it has paused by itself; none before the first.
    pub renamed_at: Option<Timestamp>,
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

    /// How many partitions there are to be.
    pub fn partitions_wanted(&self) -> u32 {
        let wanted = self.wanted.as_ref();
        wanted.map_or(self.split.partitions, |wanted| wanted.partitions)
    }

    /// Whether the stream is to be split in another way than it is.
    pub fn is_to_be_split(&self) -> bool {
        self.partitions_wanted() != self.split.partitions
    }

    /// How far each partition has to be before the stream is split in the way that is wanted: as far
    /// as the database was when that was said. None while nobody wants it split in another way.
    pub fn change_waits_until(&self) -> Option<Timestamp> {
        let said = self.wanted.as_ref().and_then(|wanted| wanted.at);
        let seconds = said.map_or(0, |said| said.timestamp_millis() / 1_000);
        self.is_to_be_split().then_some(Timestamp {
            time: u32::try_from(seconds).unwrap_or(0),
            increment: 0,
        })
    }

    /// How far its position is behind the latest write that a majority holds, in cluster time, to
    /// the second; none before its first position, while no instance watches, and on a standalone
    /// mongod.
    pub fn lag(&self, majority: Option<Timestamp>) -> Option<Duration> {
        let is_run = self.state_now() != State::Stopped;
        is_run.then_some(apart(majority?, self.position?))
    }
}

/// The cluster time between two moments, to the second; zero when they come the other way round.
pub fn apart(later: Timestamp, earlier: Timestamp) -> Duration {
    Duration::from_secs(later.time.saturating_sub(earlier.time).into())
}

/// The cluster time of a checkpoint as it is stored.
pub(super) fn position_of(checkpoint: Option<ValueRef<'_>>) -> Option<Timestamp> {
    let mut fields = checkpoint?.elements();
    let time = fields.find(|element| element.key == b"time")?;
    time.value.as_timestamp()
}

impl Store {
    /// The watcher; none when nobody has ever watched.
    pub async fn watcher(&self) -> Result<Option<Watcher>, Error> {
        self.watcher_with(doc! { "_id": ID }).await
    }

    pub(super) async fn watcher_with(&self, query: Document) -> Result<Option<Watcher>, Error> {
        let rows = self.state_rows(query).await?;
        rows.first().map(|row| self.watcher_of(row)).transpose()
    }

    /// The documents of the server's state that a query finds, each with the database's clock, and
    /// whether who has it is silent.
    pub(super) async fn state_rows(&self, query: Document) -> Result<Vec<RawDocumentBuf>, Error> {
        let pipeline = [
            doc! { "$match": query },
            doc! { "$set": { "now": "$$NOW", "silent": self.silent() } },
        ];
        let head = doc! { "aggregate": &self.names.state, "pipeline": &pipeline[..], "cursor": {} };
        self.rows(&joined(&[&raw(&head), &self.read_options()]))
            .await
    }

    /// Reads the watcher from its document.
    pub fn watcher_of(&self, row: &RawDocument) -> Result<Watcher, Error> {
        let checkpoint = raw::find(row, "checkpoint");
        let position = position_of(checkpoint);
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
            split: row.get_document("split").map_or(Split::NONE, split_of),
            wanted: row.get_document("wanted").ok().map(wanted_of),
            renamed_at: row.get_timestamp("renamed_at").ok(),
            now: now.unwrap_or(DateTime::from_millis(0)),
        })
    }
}
