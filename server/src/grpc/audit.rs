//! The audit log: each call that needs the right to operate or to destroy, who made it, on what, and
//! what became of it.
//!
//! A call is noted in the database as it begins and as it ends, and a line of the log tells of it
//! once it has. One that destroys is carried out only after it was noted; one that operates does not
//! wait for that, and goes on while nothing can be noted.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Instant,
};

use futures::Stream;
use order_archiver_api::json::to_json;
use prost::{Message, Name};
use serde_json::Value;
use strum::VariantArray;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Status};
use tracing::{Instrument, Span, info, warn};
use uuid::Uuid;

use super::{call::peer, measures::code_name, request_id::RequestId, status};
use crate::{
    access::{AUDIT, Admitted, identity::Unidentified, right::Right},
    domain::text::cut,
    store::{
        Error, Store,
        audit::record::{Call, End},
    },
};

/// The most that is kept of a request, and told in a line of the log, in bytes.
const MOST_KEPT: usize = 8 * 1024;
const MOST_LOGGED: usize = 512;
/// Free texts of requests: nobody knows what they hold.
const FREE_TEXTS: [&str; 2] = ["reason", "by"];
/// The outcome of a call whose caller has left before it ended: what had begun goes on.
const LEFT: &str = "LEFT";
/// The most calls at a time whose notes nobody waits for.
pub(super) const NOTED_BESIDE: usize = 256;
/// After so many calls the oldest are forgotten.
const FORGET_EVERY: u64 = 1_000;

/// What the audit log says of a call that the request itself does not: in its extensions.
#[derive(Clone, Debug)]
pub(super) struct Audited {
    pub(super) admitted: Admitted,
    pub(super) method: String,
    pub(super) right: Right,
}

/// Where calls are noted.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    /// None where calls are told of in the log alone.
    store: Option<Store>,
    instance: String,
    /// Notes that are finished before the server leaves.
    tasks: TaskTracker,
    /// For calls that are noted beside: each has its place until its end is.
    places: Arc<Semaphore>,
    noted: Arc<AtomicU64>,
}

impl Audit {
    pub(super) fn new(store: Store, instance: String, tasks: TaskTracker) -> Audit {
        Audit {
            store: Some(store),
            instance,
            tasks,
            places: Arc::new(Semaphore::new(NOTED_BESIDE)),
            noted: Arc::default(),
        }
    }

    /// One that notes nothing in a database.
    #[cfg(any(test, fuzzing))]
    pub(super) fn of_the_log_alone() -> Audit {
        Audit {
            store: None,
            instance: String::new(),
            tasks: TaskTracker::new(),
            places: Arc::new(Semaphore::new(NOTED_BESIDE)),
            noted: Arc::default(),
        }
    }

    /// An entry for a call, which is not noted yet.
    pub(super) fn entry<Q: Message + Name>(&self, request: &Request<Q>) -> Entry {
        let audited = request.extensions().get::<Audited>();
        // None only where the table of rights has forgotten the call.
        let right = audited.map_or(Right::HIGHEST, |audited| audited.right);
        Entry {
            audit: self.clone(),
            right,
            admitted: audited.map(|audited| audited.admitted.clone()),
            call: Call {
                id: Uuid::now_v7().to_string(),
                instance: self.instance.clone(),
                who: audited.and_then(|it| it.admitted.who.as_deref().map(str::to_owned)),
                peer: peer(request),
                call: audited.map_or_else(String::new, |audited| audited.method.clone()),
                right: right.into(),
                subject: cut(&subject(request.get_ref()), MOST_KEPT),
                request_id: RequestId::of_call(request),
            },
            began: Instant::now(),
            span: Span::current(),
            noted: None,
            end: End {
                outcome: LEFT,
                reason: String::new(),
            },
        }
    }

    /// Notes a call, which nobody need wait for, once what comes before that has been noted. It has
    /// its place until then.
    fn note_aside(
        &self,
        call: Call,
        end: Option<End>,
        before: Noted,
        span: Span,
    ) -> Option<JoinHandle<()>> {
        let audit = self.clone();
        let store = self.store.clone()?;
        let noting = async move {
            if let Some(begun) = before.begun {
                // It does not panic: its own note tells what came of it.
                let _ = begun.await;
            }
            let noted = store.note_call(&call, end.as_ref()).await;
            // Asked at the first call of a process, too: others may have left many.
            let number = audit.noted.fetch_add(1, Ordering::Relaxed);
            let forgotten = match number.is_multiple_of(FORGET_EVERY) {
                true => forget(&store).await,
                false => Ok(()),
            };
            if let Err(error) = noted.and(forgotten) {
                warn!(target: AUDIT, %error, call = call.call, "the audit log in the database is not complete");
            }
            drop(before.place);
        };
        Some(self.tasks.spawn(noting.instrument(span)))
    }
}

/// Forgets the oldest calls, of each right by itself: many that operate do not hide one that
/// destroys.
async fn forget(store: &Store) -> Result<(), Error> {
    for right in Right::VARIANTS.iter().filter(|right| right.is_audited()) {
        store.forget_calls(right.into()).await?;
    }
    Ok(())
}

/// That a call was to be noted as it begins.
#[derive(Debug, Default)]
struct Noted {
    /// The note, where nobody waited for it.
    begun: Option<JoinHandle<()>>,
    place: Option<OwnedSemaphorePermit>,
}

/// What the audit log says of a call. It is finished when this is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    audit: Audit,
    right: Right,
    admitted: Option<Admitted>,
    call: Call,
    began: Instant,
    span: Span,
    /// None until it was to be noted that it begins.
    noted: Option<Noted>,
    end: End,
}

impl Entry {
    /// Notes that the call is about to be carried out, or says why it may not be.
    pub(super) async fn note(&mut self) -> Result<(), Status> {
        // The head of a request is let in seconds before the last of its body may come.
        if self.admitted.as_ref().is_some_and(|it| !it.holds()) {
            return Err(status::unidentified(Unidentified::Removed));
        }
        if self.right != Right::Destroy {
            let place = self.audit.places.clone().try_acquire_owned();
            let place = place.map_err(|_| {
                status::limit_reached(format!(
                    "{NOTED_BESIDE} calls wait to be noted in the audit log already; try again in a moment"
                ))
            })?;
            let (call, span) = (self.call.clone(), self.span.clone());
            self.noted = Some(Noted {
                begun: self.audit.note_aside(call, None, Noted::default(), span),
                place: Some(place),
            });
            return Ok(());
        }
        self.noted = Some(Noted::default());
        let Some(store) = &self.audit.store else {
            return Ok(());
        };
        let noted = store.note_call(&self.call, None).await;
        noted.map_err(|error| status::unaudited(&error))
    }

    /// Notes how the call has ended.
    pub(super) fn end(mut self, outcome: Result<(), &Status>) {
        let (outcome, reason) = match outcome {
            Ok(()) => (code_name(Code::Ok), String::new()),
            Err(status) => (code_name(status.code()), status::reason_of(status)),
        };
        self.end = End { outcome, reason };
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Call {
            who, peer, call, ..
        } = &self.call;
        let who = who.as_deref().unwrap_or_default();
        let subject = cut(&self.call.subject, MOST_LOGGED);
        let End { outcome, reason } = &self.end;
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let right = self.call.right;
        self.span.in_scope(|| {
            info!(target: AUDIT, who, peer, call, right, subject, outcome, reason, millis, "an audited call has ended");
        });
        // What the server did not even begin with is told of in the log alone.
        if let Some(noted) = self.noted.take() {
            let (call, end) = (self.call.clone(), self.end.clone());
            let span = self.span.clone();
            self.audit.note_aside(call, Some(end), noted, span);
        }
    }
}

/// The answers of a call, whose entry ends with them.
pub(super) struct Answers<S> {
    inner: S,
    entry: Option<Entry>,
}

impl<S> Answers<S> {
    pub(super) fn new(inner: S, entry: Entry) -> Answers<S> {
        Answers {
            inner,
            entry: Some(entry),
        }
    }
}

impl<T, S: Stream<Item = Result<T, Status>> + Unpin> Stream for Answers<S> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.inner).poll_next(cx);
        let outcome = match &next {
            Poll::Ready(None) => Ok(()),
            Poll::Ready(Some(Err(status))) => Err(status),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => return next,
        };
        if let Some(entry) = self.entry.take() {
            entry.end(outcome);
        }
        next
    }
}

/// What a request is about: what it says, less what it leaves as it is.
fn subject<Q: Message + Name>(request: &Q) -> String {
    let mut json = to_json(request).unwrap_or_default();
    if let Value::Object(fields) = &mut json {
        fields.retain(|name, _| !FREE_TEXTS.contains(&name.as_str()));
    }
    strip(&mut json);
    match &json {
        Value::Object(fields) if fields.is_empty() => String::new(),
        json => json.to_string(),
    }
}

/// Takes out what says nothing.
fn strip(json: &mut Value) {
    if let Value::Object(fields) = json {
        fields.values_mut().for_each(strip);
        fields.retain(|_, value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty() && !text.ends_with("_UNSPECIFIED"),
            Value::Array(members) => !members.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Bool(true) | Value::Number(_) => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1 as pb;

    use super::*;

    #[test]
    fn a_request_is_told_by_what_it_says_and_without_free_texts() {
        let ids = pb::DropQuarantinedRequest {
            ids: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(subject(&ids), r#"{"ids":["a","b"]}"#);
        let repair = pb::RepairOrdersRequest {
            verification_id: "latest".to_owned(),
            numeros_commande: vec!["CMD-1".to_owned()],
            confirmed: true,
            reason: "Mme Durand has asked for it".to_owned(),
            by: "durand@example.org".to_owned(),
            ..Default::default()
        };
        let told = subject(&repair);
        assert!(told.contains(r#""numeros_commande":["CMD-1"]"#), "{told}");
        assert!(told.contains(r#""confirmed":true"#), "{told}");
        assert!(!told.to_lowercase().contains("durand"), "{told}");
        assert_eq!(subject(&pb::PauseWatcherRequest {}), "");
    }
}
