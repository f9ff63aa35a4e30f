//! What is asked for the screen: the figures again and again, and the events as they happen.

use std::time::Duration;

use chrono::Utc;
use order_archiver_api::v1::{
    GetStatsRequest, GetStatsResponse, GetWatcherRequest, Instance, ListInstancesRequest,
    ListQuarantinedRequest, ListVerificationsRequest, QuarantineEntry, TailEventsRequest,
    TailEventsResponse, Verification, VerificationState, Watcher, tail_events_request::Start,
};
use prost_types::Timestamp;
use tokio::{sync::mpsc::Sender, time::sleep};
use tonic::{Code, Response, Status};

use crate::{
    connect::Session,
    fault::{Fault, is_passing, is_unreachable},
    globals::Globals,
};

/// How long the chart reaches back, and how long each of its steps is.
const DAY: i64 = 86_400;
const STEP: i64 = 20 * 60;
/// The most entries of the quarantine that are shown.
pub(super) const MOST_QUARANTINED: i32 = 100;
/// How far back the first events lie.
const RECENT: i64 = 60;
/// How long after a fault the events are asked for again.
const PAUSE: Duration = Duration::from_secs(2);

/// All that is read at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) stats: GetStatsResponse,
    /// The watcher, with what only its own service tells; none when nobody has ever watched.
    pub(super) watcher: Option<Watcher>,
    pub(super) instances: Vec<Instance>,
    pub(super) quarantine: Vec<QuarantineEntry>,
    /// The verification that runs.
    pub(super) verification: Option<Verification>,
}

/// What there is to tell the screen.
#[derive(Debug)]
pub(super) enum News {
    Figures(Box<Figures>),
    /// Why there was no answer.
    NoAnswer(String),
    Event(Box<TailEventsResponse>),
    /// Why no events come.
    NoEvents(String),
}

/// Whoever asks the server.
pub(super) struct Asker<'a> {
    session: &'a Session,
    globals: &'a Globals,
}

impl<'a> Asker<'a> {
    pub(super) fn new(session: &'a Session, globals: &'a Globals) -> Self {
        Self { session, globals }
    }

    /// The first answer. A server that is there and can't answer for now is worth a screen; one
    /// that is not, or refuses, is not.
    pub(super) async fn first(&self) -> Result<News, Fault> {
        match self.read().await {
            Ok(figures) => Ok(News::Figures(Box::new(figures))),
            Err(status) if is_passing(&status) && !is_unreachable(&status) => {
                Ok(News::NoAnswer(self.words(status)))
            }
            Err(status) => Err(status.into()),
        }
    }

    /// Reads the figures again and again, so long after each answer.
    pub(super) async fn figures(&self, every: Duration, news: &Sender<News>) {
        loop {
            sleep(every).await;
            let told = match self.read().await {
                Ok(figures) => News::Figures(Box::new(figures)),
                Err(status) => News::NoAnswer(self.words(status)),
            };
            if news.send(told).await.is_err() {
                return;
            }
        }
    }

    /// Reads events, from one stream after another, each from where the one before ended.
    pub(super) async fn events(&self, news: &Sender<News>) {
        let mut start = Some(Start::SinceTime(Timestamp {
            seconds: Utc::now().timestamp() - RECENT,
            nanos: 0,
        }));
        loop {
            let status = match self.listen(&mut start, news).await {
                Ok(()) => return,
                Err(status) => status,
            };
            // A place that the history does not have: from now on, then.
            if [Code::OutOfRange, Code::InvalidArgument].contains(&status.code()) {
                start = None;
            }
            let told = News::NoEvents(self.words(status));
            if news.send(told).await.is_err() {
                return;
            }
            sleep(PAUSE).await;
        }
    }

    /// Reads one stream to its end, or until nobody is told of it any more.
    async fn listen(&self, start: &mut Option<Start>, news: &Sender<News>) -> Result<(), Status> {
        let request = TailEventsRequest {
            start: start.clone(),
            ..TailEventsRequest::default()
        };
        let events = self.session.events().tail_events(request).await?;
        let mut events = events.into_inner();
        while let Some(event) = events.message().await? {
            *start = Some(Start::Cursor(event.cursor.clone()));
            if news.send(News::Event(Box::new(event))).await.is_err() {
                return Ok(());
            }
        }
        Err(Status::unavailable("the server ended the stream of events"))
    }

    async fn read(&self) -> Result<Figures, Status> {
        let session = self.session;
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let stats = GetStatsRequest {
            window: seconds(DAY),
            series_step: seconds(STEP),
            ..GetStatsRequest::default()
        };
        let quarantine = ListQuarantinedRequest {
            page_size: MOST_QUARANTINED,
            ..ListQuarantinedRequest::default()
        };
        let running = ListVerificationsRequest {
            page_size: 1,
            states: [
                VerificationState::Pending,
                VerificationState::Running,
                VerificationState::Cancelling,
            ]
            .map(Into::into)
            .into(),
            ..ListVerificationsRequest::default()
        };
        let (mut to_stats, mut to_watcher) = (session.stats(), session.watcher());
        let (mut to_instances, mut to_quarantine) = (session.instance(), session.quarantine());
        let mut to_verifications = session.verification();
        let (stats, watcher, instances, quarantine, verifications) = tokio::join!(
            to_stats.get_stats(session.unary(stats)),
            to_watcher.get_watcher(session.unary(GetWatcherRequest {})),
            to_instances.list_instances(session.unary(ListInstancesRequest {})),
            to_quarantine.list_quarantined(session.unary(quarantine)),
            to_verifications.list_verifications(session.unary(running)),
        );
        Ok(Figures {
            stats: stats?.into_inner(),
            watcher: known(watcher)?.and_then(|answer| answer.watcher),
            instances: known(instances)?.map_or_else(Vec::new, |answer| answer.instances),
            quarantine: known(quarantine)?.map_or_else(Vec::new, |answer| answer.entries),
            verification: known(verifications)?.and_then(|mut answer| answer.verifications.pop()),
        })
    }

    /// Why there is no answer, on one line.
    fn words(&self, status: Status) -> String {
        let report = Fault::from(status).explain(self.globals);
        report.map_or_else(String::new, |report| {
            let why = report.why.iter().map(|why| format!(": {why}"));
            format!("{}{}", report.what, why.collect::<String>())
        })
    }
}

/// An answer; none where there is nothing of the kind, as on a database that nobody ever watched,
/// on a server of before, or for a user who may not see it.
fn known<T>(answer: Result<Response<T>, Status>) -> Result<Option<T>, Status> {
    match answer {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if is_passing(&status) => Err(status),
        Err(_) => Ok(None),
    }
}
