//! The record of a job: the fields that the documents of every kind have, and what is read from
//! them.

use bson::{DateTime, Document, RawDocument, doc};

use super::Job;
use crate::store::{
    Error, Store,
    encoding::document::{raw, whole},
    state::format::{self, Field, Is, may, must},
};

/// The fields that every job has.
pub(in crate::store) const COMMON: &[Field] = &[
    must("_id", Is::Text),
    must("state", Is::Word(|name| State::named(name).is_some())),
    must("created", Is::Date),
    must("updated", Is::Date),
    may("active", Is::Flag),
    may("instance", Is::Text),
    may("request_id", Is::Text),
    may("estimated_total", Is::Whole),
    may("started", Is::Date),
    may("ended", Is::Date),
    may("alive_until", Is::Date),
    may("lease", Is::Millis),
    may("taken_by", Is::Text),
    may("asked_by", Is::Text),
    may("epoch", Is::Whole),
    may("begun", Is::Whole),
    may("lives", Is::Whole),
    may("barren_lives", Is::Whole),
    may("message", Is::Text),
    may("throttle", Is::Text),
    may("warnings", Is::Texts),
];

/// The name of the index on when jobs were asked for.
pub(in crate::store) const BY_TIME: &str = "by_time";

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the states")]
pub enum State {
    Pending,
    Running,
    Cancelling,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [State; 6] = [
        State::Pending,
        State::Running,
        State::Cancelling,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ];

    const NAMES: [(State, &str); 6] = [
        (State::Pending, "pending"),
        (State::Running, "running"),
        (State::Cancelling, "cancelling"),
        (State::Succeeded, "succeeded"),
        (State::Failed, "failed"),
        (State::Cancelled, "cancelled"),
    ];

    /// The state's name in the database.
    pub fn name(self) -> &'static str {
        name_in(&State::NAMES, self)
    }

    fn named(name: &str) -> Option<State> {
        value_in(&State::NAMES, name)
    }

    /// Whether the job has ended.
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Cancelled)
    }
}

/// The word for a value; empty for one that is not in the table.
pub(in crate::store) fn name_in<T: PartialEq>(
    names: &[(T, &'static str)],
    wanted: T,
) -> &'static str {
    names
        .iter()
        .find(|(value, _)| *value == wanted)
        .map_or("", |(_, name)| name)
}

/// The value of a word.
pub(in crate::store) fn value_in<T: Copy>(names: &[(T, &str)], wanted: &str) -> Option<T> {
    names
        .iter()
        .find(|(_, name)| *name == wanted)
        .map(|(value, _)| *value)
}

/// What every job has.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Names it.
    pub id: String,
    /// How far it has come.
    pub state: State,
    /// Why it ended so, for people.
    pub message: String,
    /// About how many orders there were for it when it began; 0 while unknown.
    pub estimated_total: i64,
    /// When it was asked for.
    pub created: DateTime,
    /// When it began.
    pub started: Option<DateTime>,
    /// When it ended.
    pub ended: Option<DateTime>,
    /// When it was last saved.
    pub updated: DateTime,
    /// Who runs it.
    pub instance: String,
    /// The caller's key for repeating the request.
    pub request_id: Option<String>,
    /// What was amiss, for people.
    pub warnings: Vec<String>,
    /// Why it runs slower than it could, for people; empty at full speed.
    pub throttle: String,
    /// How often another run of a server went on with it.
    pub resumes: i32,
}

impl Head {
    fn read(row: &Document) -> Result<Head, Error> {
        let unusable =
            || Error::Unusable("a document was read without having been checked".to_owned());
        let text = |field| text(row, field);
        let date = |field| row.get_datetime(field).ok().copied();
        Ok(Head {
            id: text("_id"),
            state: State::named(&text("state")).ok_or_else(unusable)?,
            message: text("message"),
            estimated_total: whole(row.get("estimated_total")),
            created: date("created").ok_or_else(unusable)?,
            started: date("started"),
            ended: date("ended"),
            updated: date("updated").ok_or_else(unusable)?,
            instance: text("instance"),
            request_id: row.get_str("request_id").ok().map(str::to_owned),
            warnings: strings(row, "warnings"),
            throttle: text("throttle"),
            resumes: i32::try_from((whole(row.get("lives")) - 1).max(0)).unwrap_or(i32::MAX),
        })
    }
}

/// A text of a document; empty where there is none.
pub(in crate::store) fn text(document: &Document, field: &str) -> String {
    document.get_str(field).unwrap_or_default().to_owned()
}

/// The texts of a list in a document.
pub(in crate::store) fn strings(document: &Document, field: &str) -> Vec<String> {
    let members = document.get_array(field).into_iter().flatten();
    let texts = members.filter_map(|member| member.as_str());
    texts.map(str::to_owned).collect()
}

/// What keeps one job of a kind active at a time and request ids unique, and what lists walk along.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "active": 1 }, "name": "one_active", "unique": true, "partialFilterExpression": { "active": true } },
        doc! { "key": { "request_id": 1 }, "name": "request_id", "unique": true, "partialFilterExpression": { "request_id": { "$type": "string" } } },
        doc! { "key": { "created": 1, "_id": 1 }, "name": BY_TIME },
    ]
}

impl Store {
    /// Reads a job from its document.
    pub fn job_of<J: Job>(&self, row: &RawDocument) -> Result<J, Error> {
        let collection = (J::KIND.collection)(&self.names);
        let row = format::read(collection, J::KIND.fields, row)?;
        Ok(J::read(Head::read(&row)?, &row))
    }

    /// The same, where what only its runner reads is there too, and can be read.
    pub(super) fn whole_job_of<J: Job>(&self, row: &RawDocument) -> Result<J, Error> {
        format::check((J::KIND.collection)(&self.names), J::KIND.private, row)?;
        self.job_of(row)
    }

    /// Reads a job from an answer to its change.
    pub(super) fn job_in<J: Job>(&self, document: Option<&Document>) -> Result<Option<J>, Error> {
        document
            .map(|document| self.job_of(&raw(document)))
            .transpose()
    }
}
