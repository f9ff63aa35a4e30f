//! Of a split watch the whole is told, and each partition.

use std::collections::BTreeSet;

use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::WatcherState::Watching;

use super::{split, wanting};
use crate::{
    faults::fresh,
    support::{TestServer, archctl, eventually, within},
};

#[tokio::test]
async fn a_split_watch_is_told_of_whole_and_by_its_partitions() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let serves = TestServer::on_with(&set.uri(), database.name(), |_| {}).await;
    serves.ready().await;
    let mut news = serves.tail_events(pb::TailEventsRequest::default()).await;
    within(news.message()).await.unwrap();
    let reads = wanting(&database, 2).await;
    let watcher = split(&serves, 2).await;
    for (partition, index) in watcher.partitions.iter().zip(0..) {
        assert_eq!((partition.index, partition.of), (index, 2));
        assert_eq!(partition.instance, reads.config.instance);
        assert!(partition.epoch > 0 && partition.position_time.is_some());
        assert!(partition.lag.is_some_and(|lag| lag.seconds < 60));
        assert!(partition.state_since_time.is_some(), "{partition:?}");
    }
    assert!(watcher.lag.is_some() && watcher.waiting.is_none());
    // Each tells that it is read, and the watcher that it is split.
    let mut partitions = BTreeSet::new();
    let mut has_split = false;
    while partitions.len() < 2 || !has_split {
        let message = within(news.message()).await.unwrap().unwrap();
        match message.event {
            Some(pb::tail_events_response::Event::WatchPartition(partition)) => {
                assert_eq!(message.kind, pb::EventKind::WatcherPartition as i32);
                assert!(!message.detail_unknown, "{partition:?}");
                if partition.state() == Watching {
                    assert_eq!(partition.instance, reads.config.instance);
                    assert_eq!(partition.of, 2, "{partition:?}");
                    partitions.insert(partition.index);
                }
            }
            Some(pb::tail_events_response::Event::Watcher(watcher)) => {
                has_split |= watcher.partition_count == 2;
            }
            _ => {}
        }
    }
    let shown = archctl(&serves.address, "watch status").await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for text in ["Partitions  2\n", "PARTITION  INSTANCE", "watching"] {
        assert!(shown.stdout.contains(text), "{text}: {shown:?}");
    }
    reads.shut_down().await;
    let left = eventually(async || {
        let watcher = serves.watcher_now().await;
        let stopped = |it: &pb::WatchPartition| it.state() == pb::WatcherState::Stopped;
        watcher.partitions.iter().all(stopped).then_some(watcher)
    })
    .await;
    assert_eq!(left.state(), pb::WatcherState::Stopped, "{left:?}");
    let has_lag = left.partitions.iter().any(|it| it.lag.is_some());
    assert!(!has_lag && left.lag.is_none(), "{left:?}");
    serves.shut_down().await;
}
