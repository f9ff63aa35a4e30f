//! A stream of orders: requests are read as they come, answers go out in their order as fast as
//! they are read.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::{Stream, StreamExt, stream};
use order_archiver_api::v1 as pb;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep, timeout},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::{
    archive_order::archive,
    call::Calls,
    connection::{Connection, Reason},
    limits, status,
};
use crate::coalescer::Coalescer;

/// Orders of one stream that are under way at once.
const UNDER_WAY: usize = 256;
/// How long the end of a stream may lie unread before its connection is cut.
const FAREWELL: Duration = Duration::from_secs(5);
/// What a request takes in the queue beside its text, in bytes.
const REQUEST_OVERHEAD: usize = 64;

type Requested = Result<pb::ArchiveOrdersRequest, Status>;

/// Answers each request, in their order.
pub(super) fn answers(
    calls: Calls,
    coalescer: Coalescer,
    requests: Streaming<pb::ArchiveOrdersRequest>,
    connection: Option<Arc<Connection>>,
    request_id: String,
) -> impl Stream<Item = Result<pb::ArchiveOrdersResponse, Status>> {
    let stop = calls.stop.clone();
    let cut = move || {
        if let Some(connection) = connection {
            connection.close(Reason::Unread);
        }
    };
    let patience = (limits::STREAM_IDLE, limits::STREAM_UNREAD);
    let (requests, open) = queued(requests, patience, cut);
    let request_id: Arc<str> = request_id.into();
    let answers = requests
        .map(move |(request, place)| {
            let (calls, coalescer) = (calls.clone(), coalescer.clone());
            let request_id = request_id.clone();
            async move {
                let request = request?;
                Ok((
                    answer(&calls, &coalescer, request.numero_commande, &request_id).await,
                    place,
                ))
            }
        })
        .buffered(UNDER_WAY)
        // An answer repeats its number, so its place is free only now.
        .map(|answer| answer.map(|(answer, _)| answer))
        .take_until(stop.clone().cancelled_owned());
    // A clean end would look as if every order had been answered.
    let farewell = stream::once(async move {
        drop(open);
        stop.is_cancelled().then(|| Err(status::stopping()))
    })
    .filter_map(std::future::ready);
    answers.chain(farewell)
}

/// The requests, read by a task of its own until the queue is full, however slowly the answers are
/// read.
///
/// What is not read lies in h2, which cuts the connection when too many small frames do. The queue
/// takes all that a client may send before it knows the window of a stream; then the window keeps
/// it from sending more than h2 bears.
///
/// A stream on which nothing happens ends: after the first patience when nothing is under way,
/// after the second when answers lie unread. Where its end lies unread as well, the connection is
/// cut. The call has ended when what is returned beside the requests is dropped.
fn queued(
    requests: impl Stream<Item = Result<pb::ArchiveOrdersRequest, Status>> + Send + 'static,
    patience: (Duration, Duration),
    cut: impl FnOnce() + Send + 'static,
) -> (
    impl Stream<Item = (Requested, OwnedSemaphorePermit)>,
    oneshot::Sender<()>,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (open, mut ended) = oneshot::channel::<()>();
    let room = Arc::new(Semaphore::new(limits::STREAM_QUEUE));
    let task = async move {
        let read = AtomicU64::new(0);
        let reading = async {
            let mut requests = pin!(requests);
            while let Some(request) = requests.next().await {
                read.fetch_add(1, Ordering::Relaxed);
                let request = request.map_err(status::of_transport);
                let text = request
                    .as_ref()
                    .map_or(0, |request| request.numero_commande.len());
                let bytes = u32::try_from(text + REQUEST_OVERHEAD).unwrap_or(u32::MAX);
                let Ok(place) = room.clone().acquire_many_owned(bytes).await else {
                    return;
                };
                if sender.send((request, place)).is_err() {
                    return;
                }
            }
        };
        let is_complete = tokio::select! {
            () = reading => true,
            () = nothing_happens(&read, &room, patience) => false,
            _ = &mut ended => return,
        };
        let leaves = if is_complete {
            // All requests are there, and their answers may lie unread.
            drop(sender);
            tokio::select! {
                () = nothing_happens(&read, &room, (patience.1, patience.1)) => false,
                _ = ended => true,
            }
        } else {
            // A place of its own: the queue may have none left.
            let place = Arc::new(Semaphore::new(1)).try_acquire_owned();
            let end = Err(status::stream_idle(patience.0));
            let _ = place.map(|place| sender.send((end, place)));
            drop(sender);
            timeout(FAREWELL, ended).await.is_ok()
        };
        if !leaves {
            cut();
        }
    };
    tokio::spawn(task.in_current_span());
    (UnboundedReceiverStream::new(receiver), open)
}

/// Returns when no request has come and no answer gone for so long: the first patience holds while
/// nothing is under way.
async fn nothing_happens(read: &AtomicU64, room: &Semaphore, patience: (Duration, Duration)) {
    let state = || (read.load(Ordering::Relaxed), room.available_permits());
    let (mut known, mut since) = (state(), Instant::now());
    loop {
        sleep(patience.0 / 4).await;
        let now = state();
        if now != known {
            (known, since) = (now, Instant::now());
        }
        let is_empty = now.1 == limits::STREAM_QUEUE;
        if since.elapsed() >= if is_empty { patience.0 } else { patience.1 } {
            return;
        }
    }
}

async fn answer(
    calls: &Calls,
    coalescer: &Coalescer,
    numero: String,
    request_id: &str,
) -> pb::ArchiveOrdersResponse {
    use pb::archive_orders_response::Answer;
    let archiving = archive(calls, coalescer, numero.clone(), request_id);
    let answer = match calls.within(calls.request_timeout, archiving).await {
        Ok(result) => Answer::Result(result),
        Err(status) => Answer::Failure(pb::ArchiveFailure {
            numero_commande: numero,
            code: status.code().into(),
            reason: status::reason_of(&status),
            message: status.message().to_owned(),
        }),
    };
    pb::ArchiveOrdersResponse {
        answer: Some(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: (Duration, Duration) =
        (Duration::from_millis(400), Duration::from_millis(2_000));

    fn request() -> Result<pb::ArchiveOrdersRequest, Status> {
        Ok(pb::ArchiveOrdersRequest::default())
    }

    #[tokio::test]
    async fn a_stream_on_which_nothing_happens_ends_and_says_so() {
        let silent = stream::iter([request()]).chain(stream::pending());
        let (queued, _open) = queued(silent, PATIENCE, || ());
        let mut queued = pin!(queued);
        drop(queued.next().await.unwrap());
        let (end, _) = queued.next().await.unwrap();
        assert_eq!(end.unwrap_err().code(), tonic::Code::DeadlineExceeded);
        assert!(queued.next().await.is_none());
    }

    #[tokio::test]
    async fn a_stream_goes_on_while_orders_are_under_way_and_ends_when_their_answers_lie_unread() {
        let silent = stream::iter([request()]).chain(stream::pending());
        let (queued, _open) = queued(silent, PATIENCE, || ());
        let mut queued = pin!(queued);
        let under_way = queued.next().await.unwrap();
        assert!(timeout(2 * PATIENCE.0, queued.next()).await.is_err());
        let (end, _) = queued.next().await.unwrap();
        assert!(end.is_err());
        drop(under_way);
    }

    #[tokio::test]
    async fn answers_that_lie_unread_cut_the_connection_though_all_has_been_asked() {
        let is_cut = Arc::new(AtomicU64::new(0));
        let cut = is_cut.clone();
        let (requests, _open) = queued(stream::iter([request()]), PATIENCE, move || {
            cut.store(1, Ordering::Relaxed);
        });
        let mut requests = pin!(requests);
        let under_way = requests.next().await.unwrap();
        assert!(
            timeout(2 * PATIENCE.1, std::future::pending::<()>())
                .await
                .is_err()
        );
        assert_eq!(is_cut.load(Ordering::Relaxed), 1);
        drop(under_way);
    }

    #[tokio::test]
    async fn requests_now_and_then_keep_a_stream_open() {
        let slow = stream::unfold(0, |number| async move {
            sleep(PATIENCE.0 / 4).await;
            (number < 8).then_some((request(), number + 1))
        });
        let (queued, _open) = queued(slow, PATIENCE, || ());
        assert_eq!(
            queued
                .filter(|(request, _)| std::future::ready(request.is_ok()))
                .count()
                .await,
            8
        );
    }
}
