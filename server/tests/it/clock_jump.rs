//! A database whose clock is set forward or back loses no order, doubles none, and keeps nobody
//! waiting.

use devkit::{Options, ReplicaSet, audit};
use order_archiver_api::v1 as pb;

use crate::{
    crash_loop::{
        archived, assert_all_archived, assert_place_was_kept, caught_up, count, watching,
    },
    faults::{deliver, fresh},
    load::{Load, seed},
    support::{TestServer, eventually},
};

/// By how much the clock jumps, in seconds: longer than any lease.
const JUMP: i64 = 3_600;

async fn with_a_clock() -> ReplicaSet {
    Options::new().own_clock().start().await.unwrap()
}

#[tokio::test]
async fn while_the_clock_jumps_every_order_is_archived_once() {
    let set = with_a_clock().await;
    let node = &set.nodes()[0];
    let server = TestServer::on_with(&set.uri(), "livraison", |config| config.watch = true).await;
    let load = Load::start(&server.database, seed()).await;
    caught_up(&server.database).await;
    for ahead in [JUMP, 0, -JUMP, 0] {
        node.shift_clock(ahead).await.unwrap();
        let before = count(&server.database).await;
        archived(&server.database, before + 100).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
        server.watcher_is(pb::WatcherState::Watching).await;
        // It looks as if it lay behind by the whole jump until its next checkpoint; cluster time
        // never goes back.
        eventually(async || {
            let lag = server.watcher_now().await.lag.unwrap();
            (lag.seconds < 60).then_some(())
        })
        .await;
    }
    let delivered = load.stop().await;
    assert_all_archived(&server.database, delivered).await;
    assert_place_was_kept(&server.database).await;
    let history = audit::history(&server.database).await.unwrap();
    assert_eq!(history, [""; 0]);
    server.shut_down().await;
}

/// A lease that was taken by a clock an hour ahead must not hold for an hour.
#[tokio::test]
async fn a_watcher_that_died_under_a_clock_ahead_is_succeeded_at_once() {
    let set = with_a_clock().await;
    let node = &set.nodes()[0];
    let database = fresh(&set).await;
    node.shift_clock(JUMP).await.unwrap();
    let mut first = watching(&set.uri(), &database);
    caught_up(&database).await;
    deliver(&database, "first").await;
    archived(&database, 1).await;
    first.kill().await.unwrap();
    node.shift_clock(0).await.unwrap();
    deliver(&database, "second").await;
    let _second = watching(&set.uri(), &database);
    assert_all_archived(&database, 2).await;
}
