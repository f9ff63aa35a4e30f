//! How every call is answered: only while the database is there, and never later than the caller
//! waits.

use std::{future::Future, sync::Arc, time::Duration};

use prost::{Message, Name};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    audit::{Answers, Audit, Entry},
    limits::{Limits, Room},
    status,
};
use crate::{observe::monitor::Monitor, peer::Peer, store::state::caller::Caller};

/// What all services need to answer a call.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    pub(crate) monitor: Monitor,
    pub(crate) request_timeout: Duration,
    pub(crate) stop: CancellationToken,
    pub(super) limits: Limits,
    pub(super) audit: Audit,
}

impl Calls {
    /// Answers a unary call: at once while the database is away, and before the caller's deadline
    /// in any case.
    pub(crate) async fn answer<Q, A>(
        &self,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let limit = self.limit(request.metadata());
        self.within(limit, work(request.into_inner()))
            .await
            .map(Response::new)
    }

    /// The same, for a call that the audit log tells of.
    pub(super) async fn audited<Q: Message + Name, A>(
        &self,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        let (outcome, entry) = self.noted(request, work).await;
        entry.end(outcome.as_ref().map(|_| ()));
        outcome.map(Response::new)
    }

    /// The same, for one that is answered by a stream, with which its entry ends.
    pub(super) async fn audited_stream<Q: Message + Name, S>(
        &self,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<S, Status>,
    ) -> Result<Response<Answers<S>>, Status> {
        let (outcome, entry) = self.noted(request, work).await;
        match outcome {
            Ok(answers) => Ok(small_messages(Answers::new(answers, entry))),
            Err(status) => {
                entry.end(Err(&status));
                Err(status)
            }
        }
    }

    /// Does what is asked for once it is noted that it begins.
    async fn noted<Q: Message + Name, A>(
        &self,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<A, Status>,
    ) -> (Result<A, Status>, Entry) {
        let limit = self.limit(request.metadata());
        let mut entry = self.audit.entry(&request);
        let noted_work = async {
            entry.note().await?;
            work(request.into_inner()).await
        };
        let outcome = self.within(limit, noted_work).await;
        (outcome, entry)
    }

    /// The same as [`Calls::answer`], for an answer that can be large: its room is kept until it has
    /// been sent. One that was made without room is given some as it leaves.
    pub(super) async fn answer_in_room<Q, A, R: Into<Option<Room>>>(
        &self,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<(A, R), Status>,
    ) -> Result<Response<A>, Status> {
        let limit = self.limit(request.metadata());
        self.answer_in_room_within(limit, request, work).await
    }

    /// The same, for an answer that may take so long.
    pub(super) async fn answer_in_room_within<Q, A, R: Into<Option<Room>>>(
        &self,
        limit: Duration,
        request: Request<Q>,
        work: impl AsyncFnOnce(Q) -> Result<(A, R), Status>,
    ) -> Result<Response<A>, Status> {
        let (answer, room) = self.within(limit, work(request.into_inner())).await?;
        let mut response = Response::new(answer);
        if let Some(room) = room.into() {
            response.extensions_mut().insert(room);
        }
        Ok(response)
    }

    /// Room for making an answer of so many bytes.
    pub(super) async fn room(&self, bytes: usize) -> Result<Room, Status> {
        self.limits.answer(bytes).await
    }

    /// A place for a look through the database's history.
    pub(super) fn history_look(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.limits.history_look()
    }

    /// How long a caller may be kept waiting: the settings say so, or the caller, whichever is
    /// shorter.
    pub(crate) fn limit(&self, metadata: &MetadataMap) -> Duration {
        self.limit_with(metadata, Duration::ZERO)
    }

    /// The same, for a call that the caller wants to take longer than others by so much.
    pub(super) fn limit_with(&self, metadata: &MetadataMap, longer: Duration) -> Duration {
        let own = self.request_timeout + longer;
        deadline(metadata).map_or(own, |deadline| deadline.min(own))
    }

    /// Does something for a caller within a limit. What has begun is finished even when the server
    /// is told to stop: the grace period is there for it.
    pub(crate) async fn within<A>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<A, Status>>,
    ) -> Result<A, Status> {
        self.check()?;
        timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(status::too_slow(limit, limit < self.request_timeout)))
    }

    /// An error while the server can't do anything for anybody.
    pub(crate) fn check(&self) -> Result<(), Status> {
        if self.stop.is_cancelled() {
            return Err(status::stopping());
        }
        let reads = self.monitor.check_reads();
        reads.map_err(|error| status::of_error(&error))
    }

    /// An error while nothing can be archived.
    pub(crate) fn check_archive(&self) -> Result<(), Status> {
        let ready = self.monitor.check();
        ready.map_err(|error| status::of_error(&error))
    }
}

/// Who makes a call: the address at the other end of the connection, be it that of a proxy. Empty
/// when it is not known.
pub(super) fn peer<Q>(request: &Request<Q>) -> String {
    let peer = request.extensions().get::<Arc<Peer>>();
    peer.map_or_else(String::new, |peer| peer.address.to_string())
}

/// An answer of many small messages, each of which gzip would make larger, and at more expense than
/// the message itself.
pub(super) fn small_messages<S>(messages: S) -> Response<S> {
    let mut response = Response::new(messages);
    response.disable_compression();
    response
}

/// Who calls this instance, and from where.
pub(super) fn caller<Q>(instance: &str, request: &Request<Q>) -> Caller {
    Caller {
        instance: instance.to_owned(),
        peer: peer(request),
    }
}

/// How long there is for an answer to a caller with a deadline: nine tenths of it, so that the
/// answer still arrives.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (amount, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = amount.parse().ok()?;
    let whole = match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    };
    Some(whole - whole / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_in_every_unit() {
        let table = [
            ("1S", Some(900)),
            ("2000m", Some(1_800)),
            ("1M", Some(54_000)),
            ("1H", Some(3_240_000)),
            ("x", None),
            ("", None),
            ("5", None),
        ];
        for (text, millis) in table {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(
                deadline(&metadata),
                millis.map(Duration::from_millis),
                "{text}"
            );
        }
    }
}
