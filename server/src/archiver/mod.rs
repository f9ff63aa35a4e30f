//! The archiver: the source through which a batch brings every delivered order, page by page.

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Span, info_span};

use crate::{
    jobs::{self, Runner, Started, Work},
    pipeline::Pipeline,
    store::{
        Error, Store,
        batches::{
            options::Options,
            record::{Batch, StopReason},
        },
        jobs::{Job, lease::TakenUp, limits::Limits, record::State},
        state::holds::Hold,
    },
};

mod dry_run;
mod log;
mod page;
mod page_reader;
mod run;
mod runner;
mod stamps;

/// Runs batches. Clones are the same archiver.
#[derive(Clone, Debug)]
pub struct Archiver {
    runner: Runner,
    store: Store,
    pipeline: Pipeline,
    chunk_size: usize,
    limits: Limits,
}

/// How a batch ended.
struct End {
    state: State,
    reason: StopReason,
    message: String,
}

/// How one run of a batch ended.
type Ending = jobs::Ending<End>;

impl Archiver {
    /// An archiver whose batches run among `tasks` and are let go when `stop` is cancelled.
    /// `limits` hold for batches that have none of their own.
    pub fn new(
        store: Store,
        pipeline: Pipeline,
        chunk_size: usize,
        limits: Limits,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Archiver {
        Archiver {
            runner: Runner::new(Batch::KIND, store.clone(), instance, tasks, stop),
            store,
            pipeline,
            chunk_size,
            limits,
        }
    }

    /// The same archiver, whose inserts are timed apart from everybody else's.
    fn timed_apart(&self) -> Archiver {
        let store = self.store.timed_apart();
        Archiver {
            pipeline: self.pipeline.with_store(store.clone()),
            store,
            ..self.clone()
        }
    }

    /// The same archiver for callers, of whom there may be any number.
    pub fn for_callers(&self) -> Archiver {
        Archiver {
            runner: self.runner.for_callers(),
            ..self.clone()
        }
    }

    /// Starts a batch and answers at once, or answers with the one that is active or that the
    /// request id belongs to.
    pub async fn start(
        &self,
        options: &Options,
        request_id: Option<&str>,
    ) -> Result<Started<Batch>, Error> {
        jobs::start(self, options, request_id).await
    }
}

impl Work for Archiver {
    type Job = Batch;

    fn runner(&self) -> &Runner {
        &self.runner
    }

    fn span(&self, batch: &Batch) -> Span {
        let dry_run = batch.options.validate_only.then_some(true);
        info_span!(parent: None, "batch", id = batch.head.id, dry_run)
    }

    fn hold(&self, id: String) -> Hold {
        Hold::Batch(id)
    }

    async fn run(&self, taken: TakenUp<Batch>) {
        self.run_batch(taken).await;
    }
}

fn failed(reason: StopReason, message: String) -> End {
    End {
        state: State::Failed,
        reason,
        message,
    }
}
