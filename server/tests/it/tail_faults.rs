//! A reader that comes back with its last cursor misses nothing; one that comes with a bad one is
//! told what is wrong with it.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use bson::doc;
use devkit::{ReplicaSet, relay::Relay};
use order_archiver_api::v1 as pb;
use pb::{
    EventKind, TailEventsRequest, event_service_client::EventServiceClient,
    tail_events_request::Start, tail_events_response::Event,
};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::{
    faults::{FailPoints, deliver, fresh, settled, watching},
    support::{TestServer, faults, within},
};

async fn server() -> TestServer {
    let set = ReplicaSet::shared().await.unwrap();
    watching(&set.uri(), fresh(set).await, |_| {}).await
}

fn archived_from(start: Option<Start>) -> TailEventsRequest {
    TailEventsRequest {
        kinds: vec![EventKind::Archived.into()],
        start,
        ..Default::default()
    }
}

async fn tail(
    server: &TestServer,
    start: Option<Start>,
) -> Result<Streaming<pb::TailEventsResponse>, Status> {
    let news = server.events().tail_events(archived_from(start)).await?;
    Ok(news.into_inner())
}

/// A cursor as good as any: that of now.
async fn cursor(server: &TestServer) -> String {
    let mut news = tail(server, None).await.unwrap();
    within(news.message()).await.unwrap().unwrap().cursor
}

#[tokio::test]
async fn a_reader_that_is_cut_off_again_and_again_misses_nothing() {
    const ORDERS: usize = 200;
    let server = server().await;
    let relay = Relay::to(server.address.trim_start_matches("http://"))
        .await
        .unwrap();
    let mut cursor = cursor(&server).await;
    let database = server.database.clone();
    let delivering = tokio::spawn(async move {
        for number in 0..ORDERS {
            deliver(&database, &format!("told-{number:03}")).await;
        }
    });
    let (mut told, mut cursors, mut cuts) = (Vec::new(), BTreeSet::new(), 0);
    let reading = async {
        while told.len() < ORDERS {
            let address = format!("http://{}", relay.address());
            let mut client = EventServiceClient::connect(address).await.unwrap();
            let start = Some(Start::Cursor(cursor.clone()));
            let mut news = client
                .tail_events(archived_from(start))
                .await
                .unwrap()
                .into_inner();
            while let Ok(Some(message)) = news.message().await {
                if let Some(Event::Order(order)) = message.event {
                    told.push(order.numero_commande);
                    assert!(cursors.insert(message.cursor.clone()), "told twice");
                    if told.len() % 20 == 0 {
                        relay.cut();
                        cuts += 1;
                    }
                }
                cursor = message.cursor;
            }
        }
    };
    within(reading).await;
    delivering.await.unwrap();
    settled(&server.database).await;
    let all: BTreeSet<_> = (0..ORDERS)
        .map(|number| format!("told-{number:03}"))
        .collect();
    assert_eq!(told.iter().cloned().collect::<BTreeSet<_>>(), all);
    assert_eq!((told.len(), cuts), (ORDERS, 10));
    server.shut_down().await;
}

#[tokio::test]
async fn a_cursor_that_is_none_or_of_another_database_is_refused() {
    let (server, other) = tokio::join!(server(), server());
    let own = cursor(&server).await;
    let foreign = cursor(&other).await;
    for bad in [
        "garbage".to_owned(),
        own[..own.len() - 1].to_owned(),
        format!("00{own}"),
        foreign,
    ] {
        let status = tail(&server, Some(Start::Cursor(bad.clone())))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad}: {status:?}");
        assert_eq!(
            faults(&status),
            ("INVALID_CURSOR".to_owned(), vec!["cursor".to_owned()])
        );
    }
    other.shut_down().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_moment_of_the_past_is_told_again_and_one_of_the_future_is_refused() {
    let server = server().await;
    let before = SystemTime::now() - Duration::from_secs(1);
    for numero in ["one", "two"] {
        deliver(&server.database, numero).await;
        settled(&server.database).await;
    }
    let mut news = tail(&server, Some(Start::SinceTime(before.into())))
        .await
        .unwrap();
    for numero in ["one", "two"] {
        let order = loop {
            let message = within(news.message()).await.unwrap().unwrap();
            if let Some(Event::Order(order)) = message.event {
                break order;
            }
        };
        assert_eq!(order.numero_commande, numero);
    }
    let later = SystemTime::now() + Duration::from_secs(3_600);
    let status = tail(&server, Some(Start::SinceTime(later.into())))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(faults(&status).1, ["since_time"]);
    drop(news);
    server.shut_down().await;
}

#[tokio::test]
async fn a_cursor_beyond_the_history_is_told_how_far_that_reaches() {
    let points = FailPoints::turn().await;
    let database = fresh(points.set).await;
    // No watcher, whose stream would meet the fault first.
    let server = TestServer::on(&points.set.uri(), database.name()).await;
    server.ready().await;
    let own = cursor(&server).await;
    points
        .fail(&["aggregate"], "alwaysOn", doc! { "errorCode": 286 })
        .await;
    let status = tail(&server, Some(Start::Cursor(own))).await.unwrap_err();
    points.mend().await;
    assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "HISTORY_LOST");
    assert!(info.metadata["oldest_time"].starts_with("20"), "{info:?}");
    server.shut_down().await;
}
