//! Batches as the database keeps them: what was asked, how far it is, and who runs it. At most one is active.

use std::time::Duration;

use bson::{DateTime, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{
    Error, Store,
    command::{field, joined},
    counters::{from_document, to_document},
    orders::NearMiss,
    setup::whole,
};
use crate::{
    config::Config,
    domain::{
        counts::Counts,
        raw::{self, Value, ValueRef, Writer},
    },
};

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
    Cancelled,
    Database,
    Unbalanced,
    Interrupted,
}

impl StopReason {
    const NAMES: [(StopReason, &str); 6] = [
        (StopReason::Exhausted, "exhausted"),
        (StopReason::Limit, "limit"),
        (StopReason::Cancelled, "cancelled"),
        (StopReason::Database, "database"),
        (StopReason::Unbalanced, "unbalanced"),
        (StopReason::Interrupted, "interrupted"),
    ];
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

/// What a batch is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Stop after this many orders; 0 means no limit.
    pub limit: i64,
    /// Only orders with an earlier `date_commande`.
    pub before: Option<DateTime>,
    /// Make the indexes on the foreign keys when they are missing.
    pub create_indexes: bool,
    /// Stop after this long; none means no limit. Kept to the millisecond.
    pub max_runtime: Option<Duration>,
    /// Predict the counts and write nothing.
    pub validate_only: bool,
    /// How gently to go about it, as asked at the start.
    pub limits: Limits,
}

/// How gently a batch treats the database. What is absent is left to whoever comes next: see [`Limits::or`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most orders to meet in a second; 0 means no limit.
    pub max_orders_per_second: Option<u32>,
    /// Wait while a secondary is further behind. Kept to the millisecond.
    pub max_replication_lag: Option<Duration>,
    /// Slow down while a chunk's insert takes longer. Kept to the millisecond.
    pub max_write_latency: Option<Duration>,
}

impl Limits {
    /// These limits, and where there is none, the other ones.
    pub fn or(self, others: Limits) -> Limits {
        Limits {
            max_orders_per_second: self.max_orders_per_second.or(others.max_orders_per_second),
            max_replication_lag: self.max_replication_lag.or(others.max_replication_lag),
            max_write_latency: self.max_write_latency.or(others.max_write_latency),
        }
    }

    /// The limits of a batch that is told nothing, all but the lag always given: an absent one means that no batch waits for it.
    pub fn of_settings(config: &Config) -> Limits {
        Limits {
            max_orders_per_second: Some(config.max_orders_per_second),
            max_replication_lag: config.max_replication_lag,
            max_write_latency: Some(config.max_write_latency),
        }
    }

    fn document(&self) -> Document {
        let mut document = doc! {};
        if let Some(most) = self.max_orders_per_second {
            document.insert(MOST_ORDERS, i64::from(most));
        }
        for (name, length) in [
            (MOST_LAG, self.max_replication_lag),
            (MOST_LATENCY, self.max_write_latency),
        ] {
            insert_length(&mut document, name, length);
        }
        document
    }

    fn of(document: Option<&Document>) -> Limits {
        let Some(document) = document else {
            return Limits::default();
        };
        let most = document.get(MOST_ORDERS);
        Limits {
            max_orders_per_second: most.and_then(|most| u32::try_from(whole(Some(most))).ok()),
            max_replication_lag: length_in(document, MOST_LAG),
            max_write_latency: length_in(document, MOST_LATENCY),
        }
    }
}

const MOST_RUNTIME: &str = "max_runtime";
const MOST_ORDERS: &str = "max_orders_per_second";
const MOST_LAG: &str = "max_replication_lag";
const MOST_LATENCY: &str = "max_write_latency";

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
    /// Why it runs slower than it could, for people; empty at full speed.
    pub throttle: String,
    /// How often another life of a server took it up.
    pub resumes: i32,
}

/// What came of asking for a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// A new batch, for the caller to run.
    New(Batch),
    /// This one is active already, here or elsewhere.
    Active(Batch),
    /// The request id belongs to this one.
    Known(Batch),
}

impl Store {
    /// Asks for a batch: makes one, unless one is active or the request id is known.
    pub async fn claim_batch(
        &self,
        options: &Options,
        request_id: Option<&str>,
        instance: &str,
    ) -> Result<Claim, Error> {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            // First of all: a request that is repeated because its batch died must not be told that it still runs.
            self.bury_silent_batches().await?;
            if let Some(request_id) = request_id
                && let Some(batch) = self.find_batch(doc! { "request_id": request_id }).await?
            {
                return Ok(Claim::Known(batch));
            }
            if let Some(batch) = self.find_batch(doc! { "active": true }).await? {
                return Ok(Claim::Active(batch));
            }
            let id = uuid::Uuid::now_v7().to_string();
            if self
                .insert_batch(&id, options, request_id, instance)
                .await?
                && let Some(batch) = self.batch(&id).await?
            {
                return Ok(Claim::New(batch));
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
            "options": options_document(options), "counts": to_document(&Counts::default()),
            "created": "$$NOW", "updated": "$$NOW", "alive_until": self.alive_until(),
        };
        if let Some(request_id) = request_id {
            stage.insert("request_id", doc! { "$literal": request_id });
        }
        // An upsert by pipeline, because only there the database's own clock can be written.
        let statement = doc! { "q": { "_id": id }, "u": [{ "$set": stage }], "upsert": true };
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

    /// Ends batches whose instance has been silent for too long.
    pub async fn bury_silent_batches(&self) -> Result<(), Error> {
        let silent = doc! { "active": true, "$expr": { "$lt": ["$alive_until", "$$NOW"] } };
        let end = doc! {
            "state": State::Failed.name(), "stop_reason": name_in(&StopReason::NAMES, StopReason::Interrupted), "ended": "$$NOW", "updated": "$$NOW",
            "message": "the instance that ran it stopped without a word; what it archived is safe, and the next batch takes up the rest",
        };
        self.update_batch(
            silent,
            vec![
                doc! { "$set": end },
                doc! { "$unset": ["active", "alive_until"] },
            ],
        )
        .await
        .map(|_| ())
    }

    /// One batch.
    pub async fn batch(&self, id: &str) -> Result<Option<Batch>, Error> {
        self.find_batch(doc! { "_id": id }).await
    }

    /// The latest batches: those before `below`, at most `limit`, in one of these states, or in any.
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
        self.find_batches(query, i64::try_from(limit).unwrap_or(i64::MAX))
            .await
    }

    async fn find_batch(&self, query: Document) -> Result<Option<Batch>, Error> {
        Ok(self.find_batches(query, 1).await?.pop())
    }

    async fn find_batches(&self, query: Document, limit: i64) -> Result<Vec<Batch>, Error> {
        let head = doc! { "find": &self.names.batches, "filter": query, "sort": { "_id": -1 }, "limit": limit };
        let head = RawDocumentBuf::try_from(&head).expect("a plain query");
        self.rows(&joined(&[&head, &self.read_options()]))
            .await?
            .iter()
            .map(|row| batch_of(row))
            .collect()
    }

    /// Notes that a batch has begun.
    pub async fn begin_batch(
        &self,
        id: &str,
        estimated_total: i64,
        warnings: &[String],
    ) -> Result<bool, Error> {
        let set = doc! {
            "state": { "$cond": [{ "$eq": ["$state", State::Cancelling.name()] }, State::Cancelling.name(), State::Running.name()] },
            "started": "$$NOW", "updated": "$$NOW", "alive_until": self.alive_until(),
            "estimated_total": estimated_total, "warnings": { "$literal": warnings },
        };
        self.update_batch(active(id), vec![doc! { "$set": set }])
            .await
    }

    /// Saves the counters and the position of a batch together, after a chunk. False when it is not this instance's any more.
    pub async fn save_batch(
        &self,
        id: &str,
        counts: &Counts,
        position: &Value,
    ) -> Result<bool, Error> {
        let mut set = Writer::default();
        set.document("counts", &plain(&to_document(counts)));
        set.document("position", &field("$literal", position.as_ref()));
        let times = plain(&doc! { "updated": "$$NOW", "alive_until": self.alive_until() });
        let stage = joined(&[&set.finish(), &times]);
        self.update_batch_raw(
            plain(&active(id)),
            &[field(
                "$set",
                ValueRef {
                    kind: raw::kind::DOCUMENT,
                    bytes: stage.as_bytes(),
                },
            )],
        )
        .await
    }

    /// Says that the instance that runs a batch is alive. False when the batch is not active any more.
    pub async fn keep_batch(&self, id: &str) -> Result<bool, Error> {
        self.update_batch(
            active(id),
            vec![doc! { "$set": { "alive_until": self.alive_until() } }],
        )
        .await
    }

    /// Asks a batch to stop. False when it has ended.
    pub async fn cancel_batch(&self, id: &str) -> Result<bool, Error> {
        self.update_batch(
            active(id),
            vec![doc! { "$set": { "state": State::Cancelling.name(), "updated": "$$NOW" } }],
        )
        .await
    }

    /// Sets the limits that are given, and leaves the others as they are. False when the batch has ended.
    pub async fn tune_batch(&self, id: &str, limits: &Limits) -> Result<bool, Error> {
        let mut set = doc! { "updated": "$$NOW" };
        for (name, limit) in limits.document() {
            set.insert(format!("limits.{name}"), limit);
        }
        self.update_batch(active(id), vec![doc! { "$set": set }])
            .await
    }

    /// Notes that a batch has ended.
    pub async fn end_batch(
        &self,
        id: &str,
        state: State,
        reason: StopReason,
        message: &str,
        counts: &Counts,
        near_misses: &[NearMiss],
    ) -> Result<bool, Error> {
        let misses: Vec<Document> =
            near_misses.iter().map(|miss| doc! { "status": &miss.status, "orders": miss.orders, "examples": &miss.examples }).collect();
        let set = doc! {
            "state": state.name(), "stop_reason": name_in(&StopReason::NAMES, reason), "message": { "$literal": message },
            "counts": to_document(counts), "near_misses": { "$literal": misses }, "ended": "$$NOW", "updated": "$$NOW",
        };
        self.update_batch(
            active(id),
            vec![
                doc! { "$set": set },
                doc! { "$unset": ["active", "alive_until"] },
            ],
        )
        .await
    }

    /// Until when the instance that runs a batch need not be heard of.
    fn alive_until(&self) -> Document {
        doc! { "$add": ["$$NOW", self.lease_millis()] }
    }

    async fn update_batch(&self, query: Document, stages: Vec<Document>) -> Result<bool, Error> {
        let stages: Vec<RawDocumentBuf> = stages.iter().map(plain).collect();
        self.update_batch_raw(plain(&query), &stages).await
    }

    /// Updates the batches that match; says whether there was one. Repeating such an update does no harm.
    async fn update_batch_raw(
        &self,
        query: RawDocumentBuf,
        stages: &[RawDocumentBuf],
    ) -> Result<bool, Error> {
        let mut statement = Writer::default();
        statement.document("q", &query);
        statement
            .array(
                "u",
                stages.iter().map(|stage| ValueRef {
                    kind: raw::kind::DOCUMENT,
                    bytes: stage.as_bytes(),
                }),
            )
            .bool("multi", true);
        let command = self.write_command(
            &rawdoc! { "update": self.names.batches.as_str() },
            "updates",
            &[statement.finish()],
        );
        let reply = self.write_retried(&command).await?;
        Ok(whole(reply.get("n")) > 0)
    }
}

fn active(id: &str) -> Document {
    doc! { "_id": id, "active": true }
}

fn plain(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("our own documents hold plain values")
}

/// The options as a stage of an update writes them.
fn options_document(options: &Options) -> Document {
    // A stage refuses an empty document that is not a literal.
    let limits = doc! { "$literal": options.limits.document() };
    let mut document = doc! {
        "limit": options.limit, "create_indexes": options.create_indexes, "validate_only": options.validate_only,
        "limits": limits,
    };
    if let Some(before) = options.before {
        document.insert("before", before);
    }
    insert_length(&mut document, MOST_RUNTIME, options.max_runtime);
    document
}

fn options_of(document: &Document) -> Options {
    Options {
        limit: whole(document.get("limit")),
        before: document.get_datetime("before").ok().copied(),
        create_indexes: document.get_bool("create_indexes").unwrap_or_default(),
        max_runtime: length_in(document, MOST_RUNTIME),
        validate_only: document.get_bool("validate_only").unwrap_or_default(),
        limits: Limits::of(document.get_document("limits").ok()),
    }
}

/// Lengths of time are kept in milliseconds.
fn insert_length(document: &mut Document, name: &str, length: Option<Duration>) {
    if let Some(length) = length {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        document.insert(name, millis);
    }
}

fn length_in(document: &Document, name: &str) -> Option<Duration> {
    let millis = whole(Some(document.get(name)?));
    u64::try_from(millis).ok().map(Duration::from_millis)
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
        .map(options_of)
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
        throttle: text("throttle"),
        resumes: i32::try_from(whole(row.get("resumes"))).unwrap_or(i32::MAX),
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
