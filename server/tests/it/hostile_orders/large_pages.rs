//! A page of large orders, which no single command could carry, is archived whole.

use super::{all_get_their_due, complete, of_size};
use crate::support::TestServer;

#[tokio::test]
async fn many_large_orders_in_one_page_are_all_archived() {
    let server = TestServer::start().await.with_references().await;
    let large = |at: usize| {
        (
            format!("large {at}"),
            of_size(5 * 1024 * 1024 + at),
            complete(),
        )
    };
    all_get_their_due(&server, (0..12).map(large).collect()).await;
}
