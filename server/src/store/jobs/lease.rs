//! The runner's side of a job: taking it up, saving how far it is, ending it. At most one instance
//! has the right to.
//!
//! The right is a lease by the database's clock with an epoch: whoever takes a job up raises its
//! epoch, and what an earlier runner still says of it is not taken down any more. A run of a job
//! counts from `begin_job` on: a take-up that no majority confirmed is none.

use bson::{Document, RawDocument, RawDocumentBuf, doc};

use super::{Job, Kind, record::State};
use crate::store::{
    Error, Store,
    encoding::document::{document_value, field, joined, raw, whole},
    state::{
        expressions::millis_or,
        version::{FORMAT, not_newer},
    },
    wire::command::OPERATION_TIME,
};

/// The right to run a job.
#[derive(Clone, Debug)]
pub struct Lease {
    kind: &'static Kind,
    id: String,
    epoch: i64,
}

impl Lease {
    /// The job, as long as the lease lasts.
    fn own(&self) -> Document {
        doc! { "_id": &self.id, "active": true, "epoch": self.epoch, FORMAT: not_newer() }
    }
}

/// A job that this instance has taken up.
#[derive(Clone, Debug)]
pub struct TakenUp<J: Job> {
    /// The job.
    pub job: J,
    /// The right to run it.
    pub lease: Lease,
    /// How far it is.
    pub progress: J::Progress,
    /// How many runs it has begun since it was last seen to move, before this one.
    pub runs_without_progress: i64,
}

/// What is saved of every job with how far it is.
pub(in crate::store) struct Saved<'a> {
    /// Whether this run has got any further than the one before it.
    pub(in crate::store) moved: bool,
    /// Why the job runs slower than it could.
    pub(in crate::store) throttle: &'a str,
}

/// How a job ended.
pub(in crate::store) struct JobEnd<'a> {
    /// How it has ended.
    pub(in crate::store) state: State,
    /// Why, for people.
    pub(in crate::store) message: &'a str,
    /// What else was amiss, for people.
    pub(in crate::store) warnings: &'a [String],
}

impl Store {
    /// Takes up the active job if nobody runs it: a new one, or one whose instance has been silent
    /// for too long. But not `own`, the one that this instance runs.
    pub async fn take_up_job<J: Job>(
        &self,
        instance: &str,
        own: Option<&str>,
    ) -> Result<Option<TakenUp<J>>, Error> {
        // Looked at before it is touched: what can't be read is told by name.
        if self.active_job::<J>().await?.is_none() {
            return Ok(None);
        }
        // When this is sent again because its answer was lost, the job may be taken up already, by
        // this very call.
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
            .change_job(J::KIND, &free, &[raw(&doc! { "$set": set })])
            .await?
        else {
            return Ok(None);
        };
        let lease = Lease {
            kind: J::KIND,
            id: document.get_str("_id").unwrap_or_default().to_owned(),
            epoch: whole(document.get("epoch")),
        };
        // Whoever has taken it up since has got further with it.
        let Some(progress) = self.progress_of::<J>(&lease).await? else {
            return Ok(None);
        };
        Ok(Some(TakenUp {
            job: self.job_of(&raw(&document))?,
            progress,
            lease,
            runs_without_progress: whole(document.get("barren_lives")),
        }))
    }

    /// Notes that a run of a job has begun, and what its kind has to note then; a job that is taken
    /// up again keeps its first beginning. From then on every read, of whichever member of the set,
    /// sees at least what a majority had confirmed before.
    pub(in crate::store) async fn begin_job<J: Job>(
        &self,
        lease: &Lease,
        noted: Document,
    ) -> Result<Option<J>, Error> {
        let running = State::Running.name();
        let cancelling = State::Cancelling.name();
        // This may be sent again too: each epoch is one run.
        let one = doc! { "$cond": [{ "$eq": ["$begun", "$epoch"] }, 0_i64, 1_i64] };
        let mut set = doc! {
            "begun": "$epoch", "lives": { "$add": [or_zero("lives"), &one] },
            "barren_lives": { "$add": [or_zero("barren_lives"), one] },
            "state": { "$cond": [{ "$eq": ["$state", cancelling] }, cancelling, running] },
            "started": { "$ifNull": ["$started", "$$NOW"] }, "updated": "$$NOW", "alive_until": self.alive_until(),
        };
        set.extend(noted);
        // Both are this very moment only in the first run.
        let first = doc! { "$eq": ["$started", "$updated"] };
        let [started, goes_on] = [lease.kind.started, lease.kind.progress].map(|news| news.name());
        let news = doc! { "$cond": [first, started, goes_on] };
        let stages = [raw(&doc! { "$set": set }), lease.kind.told(news)];
        let reply = self
            .change_job_reply(lease.kind, &lease.own(), &stages)
            .await?;
        // A majority has confirmed this change, and with it all that lies before it.
        if let Ok(time) = reply.get_timestamp(OPERATION_TIME) {
            self.has_read_up_to(time);
        }
        self.job_in(reply.get_document("value").ok())
    }

    /// Notes about how many orders a job will meet.
    pub async fn expect_in_job(&self, lease: &Lease, orders: i64) -> Result<(), Error> {
        let expected = doc! { "$set": { "estimated_total": orders } };
        self.runner_says(lease, &[raw(&expected)]).await.map(drop)
    }

    /// Saves how far a job is: what every job has of it together with the fields of its kind, which
    /// are written as a stage of an update has them. Tells what has been asked of it since. None
    /// when somebody else runs it now, or it has been ended.
    pub(in crate::store) async fn save_job<J: Job>(
        &self,
        lease: &Lease,
        saved: Saved<'_>,
        fields: &RawDocument,
    ) -> Result<Option<J>, Error> {
        let mut common = doc! {
            "throttle": { "$literal": saved.throttle },
            "updated": "$$NOW", "alive_until": self.alive_until(),
        };
        if saved.moved {
            common.insert("barren_lives", 0_i64);
        }
        let set = joined(&[fields, &raw(&common)]);
        let stage = field("$set", document_value(&set));
        let stages = [stage, lease.kind.told(lease.kind.progress.name())];
        let document = self.runner_says(lease, &stages).await?;
        self.job_in(document.as_ref())
    }

    /// Says that the instance that runs a job is alive. False when the job is not its own any more.
    pub async fn keep_job(&self, lease: &Lease) -> Result<bool, Error> {
        let alive = doc! { "$set": { "alive_until": self.alive_until() } };
        Ok(self.runner_says(lease, &[raw(&alive)]).await?.is_some())
    }

    /// Lets go of a job that is not at its end, so that another instance, or a later run of this
    /// one, takes it up at once.
    pub async fn release_job(&self, lease: &Lease) -> Result<(), Error> {
        let let_go = doc! { "$set": { "alive_until": "$$NOW", "barren_lives": 0_i64 } };
        self.runner_says(lease, &[raw(&let_go)]).await.map(drop)
    }

    /// Notes that a job has ended, and what it came to by its kind. False when it was not this
    /// instance's to end.
    pub(in crate::store) async fn end_job(
        &self,
        lease: &Lease,
        end: JobEnd<'_>,
        came_to: Document,
    ) -> Result<bool, Error> {
        let warnings = doc! { "$concatArrays": [
            { "$ifNull": ["$warnings", []] }, { "$literal": end.warnings },
        ] };
        let mut set = doc! {
            "state": end.state.name(), "message": { "$literal": end.message }, "throttle": "", "warnings": warnings,
            "ended": "$$NOW", "updated": "$$NOW", "active": "$$REMOVE", "alive_until": "$$REMOVE",
        };
        set.extend(came_to);
        let news = lease.kind.told(lease.kind.finished.name());
        let stages = [raw(&doc! { "$set": set }), news];
        Ok(self.runner_says(lease, &stages).await?.is_some())
    }

    /// Until when the instance that runs a job need not be heard of.
    fn alive_until(&self) -> Document {
        doc! { "$add": ["$$NOW", self.lease_millis()] }
    }

    /// Whether the instance that runs a job has been silent for longer than its own lease: the
    /// settings of whoever looks may differ. A heartbeat from further ahead than a lease was given
    /// before the database's clock was set back, and would count for ever so long.
    fn silent_runner(&self) -> Document {
        let lease = millis_or("lease", self.lease_millis());
        let furthest = doc! { "$add": ["$$NOW", { "$multiply": [lease, 2] }] };
        doc! { "$or": [{ "$lte": ["$alive_until", "$$NOW"] }, { "$gt": ["$alive_until", furthest] }] }
    }

    /// Changes a job on behalf of its runner; its document then, or none if the lease is over.
    async fn runner_says(
        &self,
        lease: &Lease,
        stages: &[RawDocumentBuf],
    ) -> Result<Option<Document>, Error> {
        self.change_job(lease.kind, &lease.own(), stages).await
    }

    /// How far a job is; none once the lease is over.
    async fn progress_of<J: Job>(&self, lease: &Lease) -> Result<Option<J::Progress>, Error> {
        let collection = (lease.kind.collection)(&self.names);
        let find = raw(&doc! { "find": collection, "filter": lease.own(), "limit": 1 });
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let job = self.whole_job_of::<J>(row)?;
        Ok(Some(job.progress(row)))
    }
}

/// A number of a job that is 0 where it is not there yet.
fn or_zero(field: &str) -> Document {
    doc! { "$ifNull": [format!("${field}"), 0_i64] }
}
