//! The runner's side of a batch: taking it up, saving how far it is, ending it. At most one
//! instance has the right to.
//!
//! The right is a lease by the database's clock with an epoch: whoever takes a batch up raises its
//! epoch, and what an earlier runner still says of it is not taken down any more. A run of a batch
//! counts from `begin_batch` on: a take-up that no majority confirmed is none.

use bson::{DateTime, Document, RawDocumentBuf, doc};

use super::{
    change::told,
    record::{BATCH, Batch, State, StopReason},
};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::{
        counts::Counts,
        near_miss::{Beyond, NearMiss},
        near_miss_kind::Kind,
    },
    store::{
        Error, Store,
        counters::record::to_document,
        encoding::document::{field, joined, raw, whole},
        state::{
            expressions::millis_or,
            snapshot::{self, News},
            version::{FORMAT, not_newer},
        },
        wire::command::OPERATION_TIME,
    },
};

/// The right to run a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    id: String,
    epoch: i64,
}

/// How far a batch is: what a later run goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What became of the orders before the position.
    pub counts: Counts,
    /// The `_id` of the first order that is not counted yet; none before the first order.
    pub position: Option<Value>,
    /// Whether all orders are counted.
    pub exhausted: bool,
    /// Whether this run has got any further than the one before it.
    pub moved: bool,
    /// The `date_archivage`s that orders from the position on may bear if this batch has archived
    /// them, the current one last.
    pub stamps: Vec<DateTime>,
    /// Why the batch runs slower than it could; empty at full speed.
    pub throttle: String,
}

/// A batch that this instance has taken up.
#[derive(Clone, Debug)]
pub struct TakenUp {
    /// The batch.
    pub batch: Batch,
    /// The right to run it.
    pub lease: Lease,
    /// How far it is.
    pub progress: Progress,
    /// How many runs it has begun since it was last seen to move, before this one.
    pub runs_without_progress: i64,
}

/// How a batch ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How it has ended.
    pub state: State,
    /// Why.
    pub reason: StopReason,
    /// The same for people.
    pub message: String,
    /// What became of the orders it met.
    pub counts: Counts,
    /// Statuses that only look delivered.
    pub near_misses: Vec<NearMiss>,
    /// Those beyond the near misses that are told.
    pub near_misses_beyond: Beyond,
    /// Why these may not be all.
    pub warning: Option<String>,
}

impl Store {
    /// Takes up the active batch if nobody runs it: a new one, or one whose instance has been
    /// silent for too long. But not `own`, the one that this instance runs.
    pub async fn take_up_batch(
        &self,
        instance: &str,
        own: Option<&str>,
    ) -> Result<Option<TakenUp>, Error> {
        // Looked at before it is touched: what can't be read is told by name.
        if self.active_batch().await?.is_none() {
            return Ok(None);
        }
        // When this is sent again because its answer was lost, the batch may be taken up already,
        // by this very call.
        let call = uuid::Uuid::new_v4().to_string();
        let by_this_call = doc! { "$eq": ["$taken_by", &call] };
        let mut free = doc! {
            "active": true, FORMAT: not_newer(), "$expr": { "$or": [self.silent_runner(), &by_this_call] },
        };
        if let Some(own) = own {
            free.insert("_id", doc! { "$ne": own });
        }
        let epoch = or_zero("epoch");
        let set = doc! {
            "instance": { "$literal": instance }, "taken_by": &call,
            "alive_until": self.alive_until(), "lease": self.lease_millis(),
            "epoch": { "$cond": [by_this_call, &epoch, { "$add": [&epoch, 1_i64] }] },
        };
        let Some(document) = self
            .change_batch(&free, &[raw(&doc! { "$set": set })])
            .await?
        else {
            return Ok(None);
        };
        let lease = Lease {
            id: document.get_str("_id").unwrap_or_default().to_owned(),
            epoch: whole(document.get("epoch")),
        };
        // Whoever has taken it up since has got further with it.
        let Some(progress) = self.progress_of(&lease).await? else {
            return Ok(None);
        };
        Ok(Some(TakenUp {
            batch: self.batch_of(&raw(&document))?,
            progress,
            lease,
            runs_without_progress: whole(document.get("barren_lives")),
        }))
    }

    /// Notes that a run of a batch has begun; a batch that is taken up again keeps its first
    /// beginning. From then on every read, of whichever member of the set, sees at least what a
    /// majority had confirmed before.
    pub async fn begin_batch(
        &self,
        lease: &Lease,
        warnings: &[String],
    ) -> Result<Option<Batch>, Error> {
        let running = State::Running.name();
        let cancelling = State::Cancelling.name();
        // This may be sent again too: each epoch is one run.
        let one = doc! { "$cond": [{ "$eq": ["$begun", "$epoch"] }, 0_i64, 1_i64] };
        let set = doc! {
            "begun": "$epoch", "lives": { "$add": [or_zero("lives"), &one] },
            "barren_lives": { "$add": [or_zero("barren_lives"), one] },
            "state": { "$cond": [{ "$eq": ["$state", cancelling] }, cancelling, running] },
            "started": { "$ifNull": ["$started", "$$NOW"] }, "updated": "$$NOW", "alive_until": self.alive_until(),
            "warnings": { "$literal": warnings },
        };
        // Both are this very moment only in the first run.
        let first = doc! { "$eq": ["$started", "$updated"] };
        let [started, goes_on] = [News::BatchStarted, News::BatchProgress].map(News::name);
        let news = doc! { "$cond": [first, started, goes_on] };
        let stages = [raw(&doc! { "$set": set }), snapshot::stage(BATCH, news)];
        let reply = self.change_batch_reply(&own(lease), &stages).await?;
        // A majority has confirmed this change, and with it all that lies before it.
        if let Ok(time) = reply.get_timestamp(OPERATION_TIME) {
            self.has_read_up_to(time);
        }
        self.batch_in(reply.get_document("value").ok())
    }

    /// Notes about how many orders a batch will meet.
    pub async fn expect_in_batch(&self, lease: &Lease, orders: i64) -> Result<(), Error> {
        let expected = doc! { "$set": { "estimated_total": orders } };
        let stages = [raw(&expected)];
        self.runner_says(lease, &stages).await.map(|_| ())
    }

    /// Saves the counters and the position of a batch together, and tells what has been asked of it
    /// since. None when somebody else runs it now, or it has been ended.
    pub async fn save_batch(
        &self,
        lease: &Lease,
        progress: &Progress,
    ) -> Result<Option<Batch>, Error> {
        let mut set = Writer::default();
        set.document("counts", &raw(&to_document(&progress.counts)));
        if let Some(position) = &progress.position {
            set.document("position", &field("$literal", position.as_ref()));
        }
        let mut rest = doc! {
            "exhausted": progress.exhausted, "moments": &progress.stamps, "throttle": { "$literal": &progress.throttle },
            "updated": "$$NOW", "alive_until": self.alive_until(),
        };
        if progress.moved {
            rest.insert("barren_lives", 0_i64);
        }
        let set = joined(&[&set.finish(), &raw(&rest)]);
        let stage = field(
            "$set",
            ValueRef {
                kind: kind::DOCUMENT,
                bytes: set.as_bytes(),
            },
        );
        let stages = [stage, told(News::BatchProgress)];
        self.runner_says(lease, &stages).await
    }

    /// Says that the instance that runs a batch is alive. False when the batch is not its own any
    /// more.
    pub async fn keep_batch(&self, lease: &Lease) -> Result<bool, Error> {
        let alive = doc! { "$set": { "alive_until": self.alive_until() } };
        Ok(self.runner_says(lease, &[raw(&alive)]).await?.is_some())
    }

    /// Lets go of a batch that is not at its end, so that another instance, or a later run of this
    /// one, takes it up at once.
    pub async fn release_batch(&self, lease: &Lease) -> Result<(), Error> {
        let let_go = doc! { "$set": { "alive_until": "$$NOW", "barren_lives": 0_i64 } };
        let stages = [raw(&let_go)];
        self.runner_says(lease, &stages).await.map(|_| ())
    }

    /// Notes that a batch has ended.
    pub async fn end_batch(&self, lease: &Lease, end: &Ended) -> Result<bool, Error> {
        let miss = |miss: &NearMiss| {
            doc! {
                "status": &miss.status, "orders": miss.orders, "examples": &miss.examples,
                "kind": miss.kind.map(Kind::name), "difference": &miss.difference, "mend": &miss.mend,
            }
        };
        let misses: Vec<Document> = end.near_misses.iter().map(miss).collect();
        let warnings = doc! { "$concatArrays": [
            { "$ifNull": ["$warnings", []] }, { "$literal": end.warning.as_slice() },
        ] };
        let set = doc! {
            "state": end.state.name(), "stop_reason": end.reason.name(), "message": { "$literal": &end.message }, "throttle": "",
            "counts": to_document(&end.counts), "near_misses": { "$literal": misses }, "warnings": warnings,
            "near_misses_beyond_statuses": end.near_misses_beyond.statuses, "near_misses_beyond_orders": end.near_misses_beyond.orders,
            "ended": "$$NOW", "updated": "$$NOW", "active": "$$REMOVE", "alive_until": "$$REMOVE",
        };
        let stages = [raw(&doc! { "$set": set }), told(News::BatchFinished)];
        Ok(self.runner_says(lease, &stages).await?.is_some())
    }

    /// Until when the instance that runs a batch need not be heard of.
    fn alive_until(&self) -> Document {
        doc! { "$add": ["$$NOW", self.lease_millis()] }
    }

    /// Whether the instance that runs a batch has been silent for longer than its own lease: the
    /// settings of whoever looks may differ. A heartbeat from further ahead than a lease was given
    /// before the database's clock was set back, and would count for ever so long.
    fn silent_runner(&self) -> Document {
        let lease = millis_or("lease", self.lease_millis());
        let furthest = doc! { "$add": ["$$NOW", { "$multiply": [lease, 2] }] };
        doc! { "$or": [{ "$lte": ["$alive_until", "$$NOW"] }, { "$gt": ["$alive_until", furthest] }] }
    }

    /// Changes a batch on behalf of its runner; the batch as it is then, or none if the lease is
    /// over.
    async fn runner_says(
        &self,
        lease: &Lease,
        stages: &[RawDocumentBuf],
    ) -> Result<Option<Batch>, Error> {
        let document = self.change_batch(&own(lease), stages).await?;
        self.batch_in(document.as_ref())
    }

    /// How far a batch is; none once the lease is over.
    async fn progress_of(&self, lease: &Lease) -> Result<Option<Progress>, Error> {
        let find = raw(&doc! { "find": &self.names.batches, "filter": own(lease), "limit": 1 });
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let stamps = raw::find(row, "moments").unwrap_or(ValueRef::NULL);
        Ok(Some(Progress {
            counts: self.batch_of(row)?.counts,
            position: raw::find(row, "position").map(ValueRef::to_owned),
            exhausted: raw::find(row, "exhausted").and_then(ValueRef::as_bool) == Some(true),
            stamps: stamps
                .elements()
                .filter_map(|moment| moment.value.as_date())
                .collect(),
            throttle: String::new(),
            moved: false,
        }))
    }
}

/// The batch that a lease is for, as long as it lasts.
fn own(lease: &Lease) -> Document {
    doc! { "_id": &lease.id, "active": true, "epoch": lease.epoch, FORMAT: not_newer() }
}

/// A number of the batch that is 0 where it is not there yet.
fn or_zero(field: &str) -> Document {
    doc! { "$ifNull": [format!("${field}"), 0_i64] }
}
