//! The verifier: runs verifications, which compare the live orders with the archive and say whether
//! every delivered one is archived exactly once, unaltered.
//!
//! A [`pass::Pass`] is what compares: the runner of a verification makes one, advances it step by
//! step, saves its progress, and concludes it. It reads by a [`ComparisonReader`] alone, and writes
//! nothing but the differences of its verification.
//!
//! [`ComparisonReader`]: crate::store::verify::reader::ComparisonReader

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Span, info_span};

use crate::{
    jobs::{self, Runner, Started, Work},
    store::{
        Error, Store,
        jobs::{Job, lease::TakenUp, limits::Limits},
        state::holds::Hold,
        verifications::{options::Options, record::Verification},
    },
};

mod changes;
mod compared;
mod comparer;
mod comparing;
pub mod conclude;
mod evidence;
mod ledger;
mod log;
mod lone_documents;
mod lone_orders;
pub mod pace;
mod pairs;
mod parts;
pub mod pass;
mod runner;
pub mod settle;

/// Runs verifications. Clones are the same verifier.
#[derive(Clone, Debug)]
pub struct Verifier {
    runner: Runner,
    store: Store,
    /// How many whole orders are read together.
    chunk_size: usize,
    limits: Limits,
}

impl Verifier {
    /// A verifier whose verifications run among `tasks` and are let go when `stop` is cancelled.
    /// `limits` hold for those that have none of their own.
    pub fn new(
        store: Store,
        chunk_size: usize,
        limits: Limits,
        instance: String,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Verifier {
        Verifier {
            runner: Runner::new(Verification::KIND, store.clone(), instance, tasks, stop),
            store,
            chunk_size,
            limits,
        }
    }

    /// The same verifier for callers, of whom there may be any number.
    pub fn for_callers(&self) -> Verifier {
        Verifier {
            runner: self.runner.for_callers(),
            ..self.clone()
        }
    }

    /// Starts a verification and answers at once, or answers with the one that is active or that the
    /// request id belongs to.
    pub async fn start(
        &self,
        options: &Options,
        request_id: Option<&str>,
    ) -> Result<Started<Verification>, Error> {
        jobs::start(self, options, request_id).await
    }
}

impl Work for Verifier {
    type Job = Verification;

    fn runner(&self) -> &Runner {
        &self.runner
    }

    fn span(&self, verification: &Verification) -> Span {
        info_span!(parent: None, "verification", id = verification.head.id)
    }

    fn hold(&self, id: String) -> Hold {
        Hold::Verification(id)
    }

    async fn run(&self, taken: TakenUp<Verification>) {
        self.run_verification(taken).await;
    }
}
