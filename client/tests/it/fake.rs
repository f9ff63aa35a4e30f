//! A server of answers: real gRPC on a real port, and for each request what the test wants to see
//! rendered.

pub(crate) mod archive;
mod batch;
mod explanation;
mod health;
mod instance;
pub(crate) mod news;
mod quarantine;
pub(crate) mod verification;
pub(crate) mod watcher;

use std::{
    collections::HashMap,
    fmt::Debug,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize},
        mpsc::{Receiver, Sender, channel},
    },
};

use order_archiver_api::v1::{
    Acknowledgement, ArchivedOrder, Batch, BatchState, Difference, GetStatsResponse, LedgerEntry,
    OrderCounts, QuarantineEntry, TailEventsResponse, UnreadableDocument, Verification,
    archive_service_server::ArchiveServiceServer, batch_service_server::BatchServiceServer,
    event_service_server::EventServiceServer, instance_service_server::InstanceServiceServer,
    quarantine_service_server::QuarantineServiceServer, seed_service_server::SeedServiceServer,
    stats_service_server::StatsServiceServer,
    verification_service_server::VerificationServiceServer,
    watcher_service_server::WatcherServiceServer,
};
use prost_types::Duration;
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::watch,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Status, transport::Server};
use tonic_health::pb::health_server::HealthServer;
use tonic_types::{ErrorDetails, StatusExt};

use crate::program::PATIENCE;

/// What the server answers with, and what it was asked; it outlives the server, so that one can
/// come back.
pub(crate) struct Script {
    /// The one batch that there is.
    pub(crate) batch: watch::Sender<Batch>,
    /// The batches that a list shows before it.
    pub(crate) listed: Mutex<Vec<Batch>>,
    /// The one verification that there is.
    pub(crate) verification: watch::Sender<Verification>,
    /// The verifications that a list shows before it.
    pub(crate) verifications: Mutex<Vec<Verification>>,
    /// What it found.
    pub(crate) differences: Mutex<Vec<Difference>>,
    /// What was acknowledged.
    pub(crate) acknowledgements: Mutex<Vec<Acknowledgement>>,
    /// The ledger, whether it is intact or not.
    pub(crate) ledger: Mutex<Vec<LedgerEntry>>,
    /// The orders that a list shows, where these are not to be 120 like each other.
    pub(crate) shown: Mutex<Vec<ArchivedOrder>>,
    /// The entries that are in quarantine beside `q-1` and `q-2`.
    pub(crate) quarantined: Mutex<Vec<QuarantineEntry>>,
    /// Every event there ever was, and every end of a stream; the cursor of an event is its place.
    history: watch::Sender<Vec<Result<TailEventsResponse, Status>>>,
    /// What a test has otherwise in the figures.
    pub(crate) figures: Mutex<fn(&mut GetStatsResponse)>,
    /// Whether it serves, as its health service says.
    pub(crate) serves: AtomicBool,
    /// What lists and figures leave out because it can't be read.
    pub(crate) unreadable: Mutex<Vec<UnreadableDocument>>,
    /// What the next call about the watcher, the figures, the events, the progress of the batch or
    /// the verification, or a later page of a list is answered with.
    refusal: Mutex<Option<Status>>,
    /// How many orders are archived.
    pub(crate) archived: AtomicUsize,
    opened: Sender<()>,
    tails: Mutex<Receiver<()>>,
    asked: Mutex<Vec<String>>,
}

impl Script {
    /// Makes an event happen, whether anybody is there to hear of it or not.
    pub(crate) fn publish(&self, event: TailEventsResponse) {
        self.history.send_modify(|history| {
            let cursor = format!("c-{}", history.len() + 1);
            history.push(Ok(TailEventsResponse { cursor, ..event }));
        });
    }

    /// Whether a request was asked that Rust shows with these words.
    pub(crate) fn was_asked(&self, words: &str) -> bool {
        let asked = self.asked.lock().unwrap();
        asked.iter().any(|request| request.contains(words))
    }

    /// Notes what was asked for the tests that look at requests.
    fn note(&self, request: &impl Debug) {
        self.asked.lock().unwrap().push(format!("{request:?}"));
    }
}

/// The server, until it is dropped.
pub(crate) struct Fake {
    pub(crate) script: Arc<Script>,
    address: SocketAddr,
    /// Its own, so that its death takes every connection with it at once.
    runtime: Option<Runtime>,
}

impl Fake {
    pub(crate) fn start() -> Self {
        let (opened, tails) = channel();
        let script = Script {
            batch: watch::Sender::new(batch(BatchState::Running)),
            listed: Mutex::default(),
            verification: watch::Sender::new(verification::running()),
            verifications: Mutex::default(),
            differences: Mutex::default(),
            acknowledgements: Mutex::default(),
            ledger: Mutex::default(),
            shown: Mutex::default(),
            quarantined: Mutex::default(),
            history: watch::Sender::default(),
            figures: Mutex::new(|_| {}),
            serves: AtomicBool::new(true),
            unreadable: Mutex::default(),
            refusal: Mutex::default(),
            archived: AtomicUsize::new(archive::ARCHIVED),
            opened,
            tails: Mutex::new(tails),
            asked: Mutex::default(),
        };
        Self::on("127.0.0.1:0", Arc::new(script))
    }

    /// Dies without a goodbye, and comes back on the same port when told to.
    pub(crate) fn die(mut self) -> impl FnOnce() -> Self {
        self.stop();
        let (address, script) = (self.address.to_string(), Arc::clone(&self.script));
        move || Self::on(&address, script)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until a tail is open: only a reader that knows a cursor gets to see an event before
    /// that.
    pub(crate) fn await_tail(&self) {
        let tails = self.script.tails.lock().unwrap();
        tails.recv_timeout(PATIENCE).expect("a tail is opened");
    }

    pub(crate) fn publish(&self, event: TailEventsResponse) {
        self.script.publish(event);
    }

    /// Ends the tails that are open, once they have told everything.
    pub(crate) fn break_tails(&self, status: Status) {
        self.script
            .history
            .send_modify(|history| history.push(Err(status)));
    }

    /// Refuses the next call about the watcher, the figures, the events, the progress of the batch or
    /// the verification, or a later page of a list.
    pub(crate) fn refuse_next(&self, status: Status) {
        self.script.refusal.lock().unwrap().replace(status);
    }

    /// The last request, as Rust shows it.
    pub(crate) fn last_request(&self) -> String {
        self.script
            .asked
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }

    fn on(address: &str, script: Arc<Script>) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let answers = || Answers(Arc::clone(&script));
        let server = Server::builder()
            .add_service(ArchiveServiceServer::new(answers()))
            .add_service(BatchServiceServer::new(answers()))
            .add_service(EventServiceServer::new(answers()))
            .add_service(HealthServer::new(answers()))
            .add_service(InstanceServiceServer::new(answers()))
            .add_service(QuarantineServiceServer::new(answers()))
            .add_service(SeedServiceServer::new(answers()))
            .add_service(StatsServiceServer::new(answers()))
            .add_service(VerificationServiceServer::new(answers()))
            .add_service(WatcherServiceServer::new(answers()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(server);
        Self {
            script,
            address,
            runtime: Some(runtime),
        }
    }

    fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Implements every service of the contract that `archctl` calls, one a file.
struct Answers(Arc<Script>);

/// A status with the reason and the metadata that the contract promises.
pub(crate) fn refusal(
    code: Code,
    reason: &str,
    message: &str,
    metadata: &[(&str, &str)],
) -> Status {
    let metadata = metadata
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let details = ErrorDetails::with_error_info(
        reason,
        "orderarchiver.v1",
        metadata.collect::<HashMap<_, _>>(),
    );
    Status::with_error_details(code, message, details)
}

/// The one batch, in this state and with the brief's figures.
pub(crate) fn batch(state: BatchState) -> Batch {
    Batch {
        id: "b-1".to_owned(),
        state: state.into(),
        counts: Some(counts()),
        duration: Some(Duration {
            seconds: 754,
            nanos: 0,
        }),
        estimated_total: 2_000,
        ..Batch::default()
    }
}

pub(crate) fn counts() -> OrderCounts {
    OrderCounts {
        found: 1_234,
        archived: 1_220,
        duplicates: 8,
        incomplete: 45,
        errors: 6,
        gone: 0,
    }
}
