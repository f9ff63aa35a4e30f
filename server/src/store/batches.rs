//! Batches as the database keeps them: what was asked, how far it is, and who runs it. At most one is active.

use bson::{DateTime, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{
    Error, Store,
    command::{joined, write_concern},
    counters::{from_document, to_document},
    options::{Limits, Options},
    setup::whole,
};
use crate::domain::{
    counts::Counts,
    near_miss::{Beyond, NearMiss},
    raw::{self, ValueRef, Writer, kind},
};

/// How many near misses of each batch are in a list of batches.
const NEAR_MISSES_IN_A_LIST: i32 = 10;

/// Where a batch is in its life.
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

    /// Whether the batch has ended.
    pub fn is_final(self) -> bool {
        matches!(self, State::Succeeded | State::Failed | State::Cancelled)
    }
}

/// Why a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the reasons")]
pub enum StopReason {
    Exhausted,
    Limit,
    MaxRuntime,
    Cancelled,
    Database,
    Unbalanced,
    Interrupted,
}

impl StopReason {
    const NAMES: [(StopReason, &str); 7] = [
        (StopReason::Exhausted, "exhausted"),
        (StopReason::Limit, "limit"),
        (StopReason::MaxRuntime, "max_runtime"),
        (StopReason::Cancelled, "cancelled"),
        (StopReason::Database, "database"),
        (StopReason::Unbalanced, "unbalanced"),
        (StopReason::Interrupted, "interrupted"),
    ];

    /// The reason's name in the database.
    pub fn name(self) -> &'static str {
        name_in(&StopReason::NAMES, self)
    }
}

fn name_in<T: PartialEq>(names: &[(T, &'static str)], wanted: T) -> &'static str {
    names
        .iter()
        .find(|(value, _)| *value == wanted)
        .map_or("", |(_, name)| name)
}

fn value_in<T: Copy>(names: &[(T, &str)], wanted: &str) -> Option<T> {
    names
        .iter()
        .find(|(_, name)| *name == wanted)
        .map(|(value, _)| *value)
}

/// A batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Names it; sorts by time of creation.
    pub id: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it ended.
    pub stop_reason: Option<StopReason>,
    /// The same for people.
    pub message: String,
    /// What it was asked to do. Never changes, so that a repeated request is known by it.
    pub options: Options,
    /// The limits that hold now: those that it was tuned to, else those of its options.
    pub limits: Limits,
    /// What became of the orders it met.
    pub counts: Counts,
    /// How many delivered orders there were when it began; 0 while unknown.
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
    /// Statuses that only look delivered.
    pub near_misses: Vec<NearMiss>,
    /// Those beyond the near misses that are told.
    pub near_misses_beyond: Beyond,
    /// Why it runs slower than it could, for people; empty at full speed.
    pub throttle: String,
    /// How often another life of a server went on with it.
    pub resumes: i32,
}

impl Store {
    /// Asks for a batch: makes one that nobody runs yet, unless one is active or the request id is known. The flag says whether
    /// the batch was there before.
    pub async fn ask_for_batch(
        &self,
        options: &Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<(Batch, bool), Error> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            if let Some(request_id) = request_id
                && let Some(batch) = self.find_batch(doc! { "request_id": request_id }).await?
            {
                return Ok((batch, true));
            }
            if let Some(batch) = self.find_batch(doc! { "active": true }).await? {
                return Ok((batch, true));
            }
            let id = uuid::Uuid::now_v7().to_string();
            if self
                .insert_batch(&id, options, request_id, instance)
                .await?
                && let Some(batch) = self.batch(&id).await?
            {
                return Ok((batch, false));
            }
        }
        Err(Error::Unavailable(
            "others keep starting and ending batches at the same moment".to_owned(),
        ))
    }

    /// Inserts a new batch; false when another one came first.
    async fn insert_batch(
        &self,
        id: &str,
        options: &Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<bool, Error> {
        let mut stage = doc! {
            "state": State::Pending.name(), "active": true, "instance": { "$literal": instance },
            "options": options.stage(), "counts": to_document(&Counts::default()),
            "created": "$$NOW", "updated": "$$NOW", "alive_until": "$$NOW",
        };
        if let Some(request_id) = request_id {
            stage.insert("request_id", doc! { "$literal": request_id });
        }
        // An upsert by pipeline, because only there the database's own clock can be written. When it is sent again because its
        // answer was lost, the batch may run already, or have ended: then it stays as it is.
        let is_new = doc! { "$eq": [{ "$type": "$created" }, "missing"] };
        let born = doc! { "$mergeObjects": ["$$ROOT", stage] };
        let replace = doc! { "$replaceWith": { "$cond": [is_new, born, "$$ROOT"] } };
        let statement = doc! { "q": { "_id": id }, "u": [replace], "upsert": true };
        let command = self.write_command(
            &rawdoc! { "update": self.names.batches.as_str() },
            "updates",
            &[plain(&statement)],
        );
        match self.write_retried(&command).await {
            Ok(_) => Ok(true),
            Err(Error::Refused { code: 11000, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One batch.
    pub async fn batch(&self, id: &str) -> Result<Option<Batch>, Error> {
        self.find_batch(doc! { "_id": id }).await
    }

    /// The latest batches: those before `below`, at most `limit`, in one of these states, or in
    /// any. Of the near misses of each only the first few come along: a page of batches with all of
    /// theirs would be too large for many clients.
    pub async fn batches(
        &self,
        states: &[State],
        below: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Batch>, Error> {
        let mut query = doc! {};
        if !states.is_empty() {
            query.insert(
                "state",
                doc! { "$in": states.iter().map(|state| state.name()).collect::<Vec<_>>() },
            );
        }
        if let Some(below) = below {
            query.insert("_id", doc! { "$lt": below });
        }
        let few = doc! { "near_misses": { "$slice": NEAR_MISSES_IN_A_LIST } };
        self.find_batches(query, i64::try_from(limit).unwrap_or(i64::MAX), few)
            .await
    }

    async fn find_batch(&self, query: Document) -> Result<Option<Batch>, Error> {
        Ok(self.find_batches(query, 1, doc! {}).await?.pop())
    }

    async fn find_batches(
        &self,
        query: Document,
        limit: i64,
        projection: Document,
    ) -> Result<Vec<Batch>, Error> {
        let head = doc! {
            "find": &self.names.batches, "filter": query, "sort": { "_id": -1 }, "limit": limit, "projection": projection,
        };
        let head = RawDocumentBuf::try_from(&head).expect("a plain query");
        self.rows(&joined(&[&head, &self.read_options()]))
            .await?
            .iter()
            .map(|row| batch_of(row))
            .collect()
    }

    /// Asks a batch to stop. False when it has ended.
    pub async fn cancel_batch(&self, id: &str) -> Result<bool, Error> {
        let set = doc! { "$set": { "state": State::Cancelling.name(), "updated": "$$NOW" } };
        Ok(self.change_batch(&active(id), plain(&set)).await?.is_some())
    }

    /// Sets the limits that are given, and leaves the others as they are. False when the batch has ended.
    pub async fn tune_batch(&self, id: &str, limits: &Limits) -> Result<bool, Error> {
        let mut set = doc! { "updated": "$$NOW" };
        for (name, limit) in limits.document() {
            set.insert(format!("limits.{name}"), limit);
        }
        let set = doc! { "$set": set };
        Ok(self.change_batch(&active(id), plain(&set)).await?.is_some())
    }

    /// Changes the batch that matches and answers with it, all but its position. Repeating such a change does no harm.
    pub(super) async fn change_batch(
        &self,
        query: &Document,
        stage: RawDocumentBuf,
    ) -> Result<Option<Document>, Error> {
        let reply = self.change_batch_reply(query, stage).await?;
        Ok(reply.get_document("value").ok().cloned())
    }

    /// Like [`Store::change_batch`], with all that the database says.
    pub(super) async fn change_batch_reply(
        &self,
        query: &Document,
        stage: RawDocumentBuf,
    ) -> Result<Document, Error> {
        let mut command = Writer::default();
        command
            .string("findAndModify", &self.names.batches)
            .document("query", &plain(query));
        let stage = ValueRef {
            kind: kind::DOCUMENT,
            bytes: stage.as_bytes(),
        };
        command
            .array("update", [stage])
            .bool("new", true)
            // The position is an order's `_id`, which may be text that is not UTF-8.
            .document("fields", &rawdoc! { "position": 0 })
            .document("writeConcern", &write_concern());
        self.write_retried(&command.finish()).await
    }
}

fn active(id: &str) -> Document {
    doc! { "_id": id, "active": true }
}

pub(super) fn plain(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("our own documents hold plain values")
}

/// Reads a batch from its document.
pub(super) fn batch_of(row: &RawDocument) -> Result<Batch, Error> {
    // The position is an order's `_id`, which may be text that is not UTF-8; nothing here needs it decoded.
    let mut known = Writer::default();
    for element in raw::elements(row.as_bytes()).filter(|element| element.key != b"position") {
        known.value(element.key, element.value);
    }
    let unusable = || {
        Error::Unusable(
            "a batch can't be read; it was written by another version of the server".to_owned(),
        )
    };
    let row = Document::try_from(known.finish().as_ref()).map_err(|_| unusable())?;
    let text = |field| row.get_str(field).unwrap_or_default().to_owned();
    let date = |field| row.get_datetime(field).ok().copied();
    let options = row
        .get_document("options")
        .map(Options::of)
        .unwrap_or_default();
    let tuned = Limits::of(row.get_document("limits").ok());
    let miss = |document: &Document| NearMiss {
        status: document.get_str("status").unwrap_or_default().to_owned(),
        orders: whole(document.get("orders")),
        examples: strings(document, "examples"),
    };
    Ok(Batch {
        id: text("_id"),
        state: value_in(&State::NAMES, &text("state")).ok_or_else(unusable)?,
        stop_reason: value_in(&StopReason::NAMES, &text("stop_reason")),
        message: text("message"),
        limits: tuned.or(options.limits),
        options,
        counts: row
            .get_document("counts")
            .map(from_document)
            .unwrap_or_default(),
        estimated_total: whole(row.get("estimated_total")),
        created: date("created").ok_or_else(unusable)?,
        started: date("started"),
        ended: date("ended"),
        updated: date("updated").ok_or_else(unusable)?,
        instance: text("instance"),
        request_id: row.get_str("request_id").ok().map(str::to_owned),
        warnings: strings(&row, "warnings"),
        near_misses: row
            .get_array("near_misses")
            .map(|misses| {
                misses
                    .iter()
                    .filter_map(|member| member.as_document())
                    .map(miss)
                    .collect()
            })
            .unwrap_or_default(),
        near_misses_beyond: Beyond {
            statuses: whole(row.get("near_misses_beyond_statuses")),
            orders: whole(row.get("near_misses_beyond_orders")),
        },
        throttle: text("throttle"),
        resumes: i32::try_from((whole(row.get("lives")) - 1).max(0)).unwrap_or(i32::MAX),
    })
}

fn strings(document: &Document, field: &str) -> Vec<String> {
    document
        .get_array(field)
        .map(|members| {
            members
                .iter()
                .filter_map(|member| member.as_str())
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}
