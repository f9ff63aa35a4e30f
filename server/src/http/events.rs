//! The stream that the page listens to: what the snapshots say, as it changes.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use http::{
    HeaderName, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{
    Context,
    snapshots::{Part, Told},
};
use crate::access::Admitted;

/// How long a browser waits until it connects again, in milliseconds. Said at once, so that it knows
/// that it is heard.
const RETRY: &str = "retry: 2000\n\n";
/// Tells proxies not to gather what is to arrive now.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Those who listen. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Readers(Arc<Semaphore>);

impl Readers {
    /// So many that of these connections a tenth is left to probes and to whoever asks once.
    pub(super) fn of(connections: usize) -> Readers {
        Readers(Arc::new(Semaphore::new(
            connections - connections.div_ceil(10),
        )))
    }
}

/// One who listens.
struct Listener {
    _place: OwnedSemaphorePermit,
    told: watch::Receiver<Told>,
    /// What it was told last.
    last: Told,
}

/// Tells what goes on until the reader or the server leaves.
///
/// Who reads slowly is told of the latest, and of nothing that was overtaken meanwhile.
pub(super) async fn events(
    State(context): State<Context>,
    Extension(admitted): Extension<Admitted>,
) -> Response {
    let Ok(place) = context.readers.0.clone().try_acquire_owned() else {
        let head = [(RETRY_AFTER, "10")];
        let text = "too many listen already; try again later\n";
        return (StatusCode::SERVICE_UNAVAILABLE, head, text).into_response();
    };
    let listener = Listener {
        _place: place,
        told: context.snapshots.listen(),
        last: Told::default(),
    };
    let news = stream::unfold(listener, async |mut listener| {
        loop {
            listener.told.changed().await.ok()?;
            let told = listener.told.borrow_and_update().clone();
            let news = news(&listener.last, &told);
            listener.last = told;
            if !news.is_empty() {
                return Some((stream::iter(news), listener));
            }
        }
    });
    let retry = stream::iter([Bytes::from_static(RETRY.as_bytes())]);
    let bytes = retry.chain(news.flatten()).map(Ok::<_, Infallible>);
    let bytes = bytes.take_until(context.stop.clone().cancelled_owned());
    let bytes = bytes.take_until(admitted.removed());
    let head = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (UNBUFFERED, "no"),
    ];
    (head, Body::from_stream(bytes)).into_response()
}

/// What a reader has not been told yet.
fn news(last: &Told, told: &Told) -> Vec<Bytes> {
    let pairs = last.parts().into_iter().zip(told.parts());
    pairs
        .filter(|(last, part)| part.number != last.number)
        .map(|(_, Part { text, .. })| text.clone())
        .filter(|text| !text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_told_what_is_new_and_nothing_twice() {
        let part = |number: u64, text: &'static str| Part {
            number,
            text: Bytes::from_static(text.as_bytes()),
        };
        let mut told = Told {
            figures: part(1, "figures"),
            ..Told::default()
        };
        assert_eq!(news(&Told::default(), &told), ["figures"]);
        let last = told.clone();
        assert!(news(&last, &told).is_empty());
        told.trouble = part(1, "trouble");
        assert_eq!(news(&last, &told), ["trouble"]);
        let last = told.clone();
        told.figures = part(4, "figures");
        told.trouble = part(2, "");
        told.events = part(1, "events");
        assert_eq!(news(&last, &told), ["figures", "events"]);
    }
}
