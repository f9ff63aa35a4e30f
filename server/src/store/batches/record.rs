//! Batches as the database keeps them: what was asked, how far it is, and who runs it. At most one is active.

use crate::{
    bytes::raw::{self, ValueRef, Writer},
    domain::{
        counts::Counts,
        near_miss::{Beyond, NearMiss},
        near_miss_kind::Kind,
    },
    store::{
        Error, Store,
        counters::record::{COUNTS, from_document, to_document},
        encoding::document::{document_value, field, joined, raw, whole},
        state::{
            format::{self, CURRENT, FORMAT, Fault, Field, Is, may, must, not_newer},
            place::Place,
            snapshot::{self, News},
        },
        wire::command::write_concern,
    },
};
use bson::{Bson, DateTime, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::options::{LIMITS, Limits, OPTIONS, Options};

/// How many near misses of each batch are in a list of batches.
const NEAR_MISSES_IN_A_LIST: i32 = 10;
/// What a list reads besides: how many near misses there are in all, and how many orders have them.
const MISSES_STORED: &str = "near_misses_stored";
const MISSED_ORDERS_STORED: &str = "near_misses_stored_orders";

/// The fields of a batch, all but its position, which is whatever an order's `_id` is.
pub(in crate::store) const BATCH: &[Field] = &[
    must("_id", Is::Text),
    must(
        "state",
        Is::Word(|name| value_in(&State::NAMES, name).is_some()),
    ),
    must("created", Is::Date),
    must("updated", Is::Date),
    may("active", Is::Flag),
    may("instance", Is::Text),
    may("request_id", Is::Text),
    may("options", Is::Fields(OPTIONS)),
    may("limits", Is::Fields(LIMITS)),
    may("counts", Is::Fields(COUNTS)),
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
    may("exhausted", Is::Flag),
    may("moments", Is::Dates),
    may(
        "stop_reason",
        Is::Word(|name| value_in(&StopReason::NAMES, name).is_some()),
    ),
    may("message", Is::Text),
    may("throttle", Is::Text),
    may("warnings", Is::Texts),
    may("near_misses", Is::ListOf(NEAR_MISS)),
    may("near_misses_beyond_statuses", Is::Whole),
    may("near_misses_beyond_orders", Is::Whole),
];

const NEAR_MISS: &[Field] = &[
    must("status", Is::Text),
    must("orders", Is::Whole),
    may("examples", Is::Texts),
    // A kind of a later version is none that this one knows, and no fault.
    may("kind", Is::Text),
    may("difference", Is::Text),
    may("mend", Is::Text),
];

/// The name of the index on when batches were asked for.
pub(in crate::store) const BY_TIME: &str = "by_time";

/// How far a batch has come.
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
    /// Names it.
    pub id: String,
    /// How far it has come.
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
    /// How often another run of a server went on with it.
    pub resumes: i32,
}

/// What keeps one batch active at a time and request ids unique, and what lists walk along.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![
        doc! { "key": { "active": 1 }, "name": "one_active", "unique": true, "partialFilterExpression": { "active": true } },
        doc! { "key": { "request_id": 1 }, "name": "request_id", "unique": true, "partialFilterExpression": { "request_id": { "$type": "string" } } },
        doc! { "key": { "created": 1, "_id": 1 }, "name": BY_TIME },
    ]
}

impl Batch {
    /// The same, with no more near misses than it has in a list; the others are counted.
    pub fn with_few_near_misses(mut self) -> Batch {
        let few = usize::try_from(NEAR_MISSES_IN_A_LIST).unwrap_or(0);
        let others = self.near_misses.split_off(few.min(self.near_misses.len()));
        let orders = others.iter().map(|miss| miss.orders);
        let beyond = &mut self.near_misses_beyond;
        beyond.orders = orders.fold(beyond.orders, i64::saturating_add);
        let statuses = i64::try_from(others.len()).unwrap_or(i64::MAX);
        beyond.statuses = beyond.statuses.saturating_add(statuses);
        self
    }
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
                && let Some(batch) = self.find_batch(by_request(request_id)).await?
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
            FORMAT: CURRENT, "state": State::Pending.name(), "active": true, "instance": { "$literal": instance },
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
            &[raw(&statement)],
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

    /// The latest batches, by the database's clock: those asked for before the batch at this place, at most `limit`, in one of
    /// these states, or in any. None when that batch is gone. Of the near misses of each only the first few come along, and the
    /// others are counted: a page of batches with all of theirs would be too large for many clients.
    ///
    /// In the place of a batch that can't be read stands what is wrong with it.
    pub async fn batches(
        &self,
        states: &[State],
        below: &Place,
        limit: usize,
    ) -> Result<Option<Vec<Result<Batch, Fault>>>, Error> {
        let mut query = doc! {};
        if !states.is_empty() {
            query.insert(
                "state",
                doc! { "$in": states.iter().map(|state| state.name()).collect::<Vec<_>>() },
            );
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut fields: Document = BATCH
            .iter()
            .map(|it| (it.name().to_owned(), Bson::Int32(1)))
            .collect();
        fields.insert(FORMAT, 1);
        fields.insert("near_misses", doc! { "$slice": NEAR_MISSES_IN_A_LIST });
        let is_list = doc! { "$isArray": "$near_misses" };
        let stored = doc! { "$cond": [is_list, { "$size": "$near_misses" }, 0] };
        fields.insert(MISSES_STORED, stored);
        fields.insert(MISSED_ORDERS_STORED, doc! { "$sum": "$near_misses.orders" });
        let walk = doc! {
            "find": &self.names.batches, "filter": query, "sort": { "created": -1, "_id": -1 }, "hint": BY_TIME,
            "skip": below.passed, "limit": limit, "projection": fields,
        };
        let mut command = joined(&[&raw(&walk), &self.read_options()]);
        if let Some(below) = &below.after {
            let id = field("_id", below.as_ref());
            let by_id = field("_id", document_value(&field("$eq", below.as_ref())));
            let mut of = Writer::default();
            of.string("find", &self.names.batches)
                .document("filter", &by_id)
                .document("projection", &rawdoc! { "created": 1 });
            let of = joined(&[&of.finish(), &self.read_options()]);
            let rows = self.rows(&of).await?;
            let Some(row) = rows.first() else {
                return Ok(None);
            };
            // A bound of the index, unlike a condition, has batches of other types on its other side too.
            let created = raw::find(row, "created").unwrap_or(ValueRef::NULL);
            let place = joined(&[&field("created", created), &id]);
            let mut max = Writer::default();
            max.document("max", &place);
            command = joined(&[&command, &max.finish()]);
        }
        let rows = self.rows(&command).await?;
        let read = |row: &RawDocumentBuf| match self.batch_of(row) {
            Ok(mut batch) => {
                let stored = |name| raw::find(row, name).and_then(format::number).unwrap_or(0);
                let told = i64::try_from(batch.near_misses.len()).unwrap_or(i64::MAX);
                let orders_told = batch.near_misses.iter().map(|miss| miss.orders);
                let orders_told = orders_told.fold(0, i64::saturating_add);
                let left_out = |stored: i64, told| stored.saturating_sub(told).max(0);
                let statuses = left_out(stored(MISSES_STORED), told);
                let orders = left_out(stored(MISSED_ORDERS_STORED), orders_told);
                let beyond = &mut batch.near_misses_beyond;
                beyond.statuses = beyond.statuses.saturating_add(statuses);
                beyond.orders = beyond.orders.saturating_add(orders);
                Ok(Ok(batch))
            }
            Err(Error::State(fault)) => Ok(Err(*fault)),
            Err(error) => Err(error),
        };
        rows.iter().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// The batch that is active, if one is.
    pub(in crate::store) async fn active_batch(&self) -> Result<Option<Batch>, Error> {
        self.find_batch(doc! { "active": true }).await
    }

    async fn find_batch(&self, query: Document) -> Result<Option<Batch>, Error> {
        // Its snapshots are for readers of the history.
        let [a, b] = snapshot::NAMES;
        let head = doc! {
            "find": &self.names.batches, "filter": query, "limit": 1, "projection": { a: 0, b: 0 },
        };
        let rows = self
            .rows(&joined(&[&raw(&head), &self.read_options()]))
            .await?;
        rows.first().map(|row| self.batch_of(row)).transpose()
    }

    /// Asks a batch to stop, and answers with it. None when it has ended.
    pub async fn cancel_batch(&self, id: &str) -> Result<Option<Batch>, Error> {
        // A batch that has ended keeps its state, whenever this arrives.
        let state =
            doc! { "$cond": [{ "$eq": ["$active", true] }, State::Cancelling.name(), "$state"] };
        self.ask_of_batch(id, doc! { "state": state }).await
    }

    /// Sets the limits that are given, and leaves the others as they are; answers with the batch. None when it has ended.
    pub async fn tune_batch(&self, id: &str, limits: &Limits) -> Result<Option<Batch>, Error> {
        let mut set = doc! {};
        for (name, limit) in limits.document() {
            set.insert(format!("limits.{name}"), limit);
        }
        self.ask_of_batch(id, set).await
    }

    /// Changes the active batch on behalf of a caller. When this is sent again because its answer was lost, the batch may have
    /// ended since, and has been asked nevertheless.
    async fn ask_of_batch(&self, id: &str, mut set: Document) -> Result<Option<Batch>, Error> {
        let call = uuid::Uuid::new_v4().to_string();
        set.extend(doc! { "asked_by": &call, "updated": "$$NOW" });
        let query = doc! {
            "_id": id, FORMAT: not_newer(), "$or": [{ "active": true }, { "asked_by": call }],
        };
        let stages = [raw(&doc! { "$set": set }), told(News::BatchProgress)];
        let document = self.change_batch(&query, &stages).await?;
        self.batch_in(document.as_ref())
    }

    /// Changes the batch that matches and answers with it, all but its position. Repeating such a change does no harm.
    pub(in crate::store) async fn change_batch(
        &self,
        query: &Document,
        stages: &[RawDocumentBuf],
    ) -> Result<Option<Document>, Error> {
        let reply = self.change_batch_reply(query, stages).await?;
        Ok(reply.get_document("value").ok().cloned())
    }

    /// Like [`Store::change_batch`], with all that the database says.
    pub(in crate::store) async fn change_batch_reply(
        &self,
        query: &Document,
        stages: &[RawDocumentBuf],
    ) -> Result<Document, Error> {
        let mut command = Writer::default();
        command
            .string("findAndModify", &self.names.batches)
            .document("query", &raw(query));
        let [a, b] = snapshot::NAMES;
        // The position is an order's `_id`, which may be text that is not UTF-8.
        let fields = doc! { "position": 0, a: 0, b: 0 };
        command
            .array("update", stages.iter().map(|stage| document_value(stage)))
            .bool("new", true)
            .document("fields", &raw(&fields))
            .document("writeConcern", &write_concern());
        self.write_retried(&command.finish()).await
    }
}

/// The last stage of a change of a batch that is news.
pub(in crate::store) fn told(news: News) -> RawDocumentBuf {
    snapshot::stage(BATCH, news.name())
}

/// The type is said aloud: without it the index on request ids, which holds those of texts alone, is not used.
fn by_request(request_id: &str) -> Document {
    doc! { "request_id": { "$eq": request_id, "$type": "string" } }
}

impl Store {
    /// Reads a batch from its document.
    pub fn batch_of(&self, row: &RawDocument) -> Result<Batch, Error> {
        let row = format::read(&self.names.batches, BATCH, row)?;
        let unusable =
            || Error::Unusable("a batch was read without having been checked".to_owned());
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
            kind: document.get_str("kind").ok().and_then(Kind::of_name),
            difference: document
                .get_str("difference")
                .unwrap_or_default()
                .to_owned(),
            mend: document.get_str("mend").unwrap_or_default().to_owned(),
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

    /// Reads a batch from an answer to its change.
    pub(in crate::store) fn batch_in(
        &self,
        document: Option<&Document>,
    ) -> Result<Option<Batch>, Error> {
        document
            .map(|document| self.batch_of(&raw(document)))
            .transpose()
    }
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
