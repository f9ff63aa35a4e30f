//! A stream of orders: requests are read as they come, answers go out in their order as fast as they are read.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use order_archiver_api::v1 as pb;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

use super::{archive, call::Calls, limits, status};
use crate::desk::Desk;

/// Orders of one stream that are under way at once.
const UNDER_WAY: usize = 256;
/// What a request takes in the queue beside its text, in bytes.
const REQUEST_OVERHEAD: usize = 64;

type Requested = Result<pb::ArchiveOrdersRequest, Status>;

/// Answers each request, in their order.
pub(super) fn answers(
    calls: Calls,
    desk: Desk,
    requests: Streaming<pb::ArchiveOrdersRequest>,
) -> impl Stream<Item = Result<pb::ArchiveOrdersResponse, Status>> {
    let stop = calls.stop.clone();
    let answers = queued(requests)
        .map(move |(request, place)| {
            let (calls, desk) = (calls.clone(), desk.clone());
            async move {
                let request = request.map_err(status::of_transport)?;
                Ok((answer(&calls, &desk, request.numero_commande).await, place))
            }
        })
        .buffered(UNDER_WAY)
        // An answer repeats its number, so its place is free only now.
        .map(|answer| answer.map(|(answer, _)| answer))
        .take_until(stop.clone().cancelled_owned());
    // A clean end would look as if every order had been answered.
    let farewell =
        futures::stream::once(async move { stop.is_cancelled().then(|| Err(status::stopping())) })
            .filter_map(std::future::ready);
    answers.chain(farewell)
}

/// The requests, read by a task of its own until the queue is full, however slowly the answers are read.
///
/// What is not read lies in h2, which cuts the connection when too many small frames do. The queue takes all that a client may
/// send before it knows the window of a stream; then the window keeps it from sending more than h2 bears.
fn queued(
    mut requests: Streaming<pb::ArchiveOrdersRequest>,
) -> impl Stream<Item = (Requested, OwnedSemaphorePermit)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(limits::STREAM_QUEUE));
    tokio::spawn(async move {
        let reading = async {
            while let Some(request) = requests.next().await {
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
        tokio::select! {
            () = reading => {}
            // The caller has left.
            () = sender.closed() => {}
        }
    });
    UnboundedReceiverStream::new(receiver)
}

async fn answer(calls: &Calls, desk: &Desk, numero: String) -> pb::ArchiveOrdersResponse {
    use pb::archive_orders_response::Answer;
    let archiving = archive::archive(desk, numero.clone());
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
