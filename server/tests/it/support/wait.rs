//! Waiting for something, but not for ever.

use std::{future::Future, time::Duration};

use tokio::time::{interval, timeout};
use tonic::Streaming;

/// Longest that anything a test waits for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(wait: impl Future<Output = T>) -> T {
    timeout(PATIENCE, wait)
        .await
        .expect("this took longer than a test may wait")
}

/// Asks again and again until there is an answer, for what nothing tells of by itself.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        let mut pause = interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}

/// The last message of a stream.
pub(crate) async fn last<M>(mut stream: Streaming<M>) -> M {
    within(async {
        let mut last = None;
        while let Some(message) = stream.message().await.unwrap() {
            last = Some(message);
        }
        last.unwrap()
    })
    .await
}
