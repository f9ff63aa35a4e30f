//! Ids may be shortened wherever a request takes one: to a beginning that only one has, or to
//! `latest` for a batch.

use bson::{DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use tonic::{Code, Status};

use crate::support::{TestServer, faults, last};

const OLDER: &str = "019a2b3c-0000-7000-8000-000000000001";
const LATER: &str = "019a2b3c-0000-7000-8000-000000000002";

/// Two batches whose ids begin alike, the one with the greater id asked for first.
async fn with_batches() -> TestServer {
    let server = TestServer::start().await;
    let batch = |id: &str, created: i64| {
        let created = DateTime::from_millis(created);
        doc! {
            "_id": id, "format": 1, "state": "succeeded", "stop_reason": "exhausted", "created": created, "updated": created,
            "started": created, "ended": created, "instance": "i",
        }
    };
    let batches = [batch(LATER, 1_000), batch(OLDER, 2_000)];
    server.insert("archd_batches", batches).await;
    server
}

/// What each RPC that takes a batch's id says of this one: the id of the batch that it found.
async fn asked(server: &TestServer, id: &str) -> Vec<Result<String, Status>> {
    let own = || id.to_owned();
    let mut batches = server.batches();
    let got = batches.get_batch(pb::GetBatchRequest { id: own() }).await;
    let watched = batches
        .watch_batch(pb::WatchBatchRequest { id: own() })
        .await;
    let watched = match watched {
        Ok(states) => Ok(last(states.into_inner()).await.batch),
        Err(status) => Err(status),
    };
    // Both batches have ended, which the refusal says of the whole id.
    let ended = |status: Status| match status.code() {
        Code::FailedPrecondition => {
            assert_eq!(faults(&status).0, "BATCH_ENDED");
            let id = status.message().split(' ').nth(1).map(str::to_owned);
            Ok(id.unwrap())
        }
        _ => Err(status),
    };
    let cancelled = batches
        .cancel_batch(pb::CancelBatchRequest { id: own() })
        .await;
    let tuned = batches
        .tune_batch(pb::TuneBatchRequest {
            id: own(),
            max_orders_per_second: Some(5),
            ..Default::default()
        })
        .await;
    let id_of = |batch: Option<pb::Batch>| batch.unwrap().id;
    vec![
        got.map(|answer| id_of(answer.into_inner().batch)),
        watched.map(id_of),
        ended(cancelled.unwrap_err()),
        ended(tuned.unwrap_err()),
    ]
}

#[tokio::test]
async fn the_beginning_of_a_batchs_id_and_latest_will_do() {
    let server = with_batches().await;
    server
        .insert(
            "archd_batches",
            [doc! { "_id": "b-2", "state": "failed", "created": DateTime::from_millis(0), "updated": DateTime::from_millis(0) }],
        )
        .await;
    for (given, meant) in [
        (OLDER, OLDER),
        (&OLDER[..36], OLDER),
        ("latest", OLDER),
        // A whole id is one however short it is.
        ("b-2", "b-2"),
    ] {
        for found in asked(&server, given).await {
            assert_eq!(found.unwrap(), meant, "{given}");
        }
    }
    server
        .collection("archd_batches")
        .delete_one(doc! { "_id": LATER })
        .await
        .unwrap();
    for given in ["019a", "019a2b3c", &OLDER[..35], "latest"] {
        for found in asked(&server, given).await {
            assert_eq!(found.unwrap(), OLDER, "{given}");
        }
    }
}

#[tokio::test]
async fn the_beginning_of_several_ids_is_refused_and_names_them() {
    let server = with_batches().await;
    for found in asked(&server, "019a2b3c").await {
        let status = found.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(
            faults(&status),
            ("INVALID_FIELD".to_owned(), vec!["id".to_owned()])
        );
        for id in [OLDER, LATER] {
            assert!(status.message().contains(id), "{status:?}");
        }
    }
    // Six more: five are named, and it is said that there are others.
    let others = (10..16).map(|n| {
        doc! { "_id": format!("019a2b3c-{n}"), "state": "failed", "created": DateTime::from_millis(0), "updated": DateTime::from_millis(0) }
    });
    server.insert("archd_batches", others).await;
    let status = asked(&server, "019a2b3c").await.remove(0).unwrap_err();
    assert!(status.message().contains(" and others"), "{status:?}");
    assert_eq!(
        status.message().matches("019a2b3c-").count(),
        5,
        "{status:?}"
    );
}

#[tokio::test]
async fn what_is_too_short_or_the_beginning_of_nothing_is_not_found() {
    let server = with_batches().await;
    for given in ["019", "0", "019b", "latest-one", &format!("{OLDER}0")] {
        for found in asked(&server, given).await {
            let status = found.unwrap_err();
            assert_eq!(status.code(), Code::NotFound, "{given}: {status:?}");
            assert!(status.message().contains("4 characters"), "{status:?}");
        }
    }
    let empty = TestServer::start().await;
    for found in asked(&empty, "latest").await {
        assert_eq!(found.unwrap_err().code(), Code::NotFound);
    }
}

fn entry(id: &str) -> Document {
    let seen = DateTime::from_millis(0);
    doc! {
        "_id": id, "format": 1, "order_id": id, "reason": "no_usable_number", "detail": "it has none", "attempts": 1, "bytes": 0,
        "first_seen": seen, "last_seen": seen,
    }
}

#[tokio::test]
async fn the_beginning_of_a_quarantine_entrys_id_will_do() {
    let server = TestServer::start().await;
    let ids = ["q65f0c3aa", "q65f0c3bb", "q65f0d00", "q1"];
    server.insert("archd_quarantine", ids.map(entry)).await;
    let list = async |id: &str| {
        let request = pb::ListQuarantinedRequest {
            id: id.to_owned(),
            ..Default::default()
        };
        let page = server.quarantine().list_quarantined(request).await?;
        let entries = page.into_inner().entries.into_iter();
        Ok::<_, Status>(entries.map(|entry| entry.id).collect::<Vec<_>>())
    };
    assert_eq!(list("q65f0d").await.unwrap(), ["q65f0d00"]);
    assert_eq!(list("q65f0c3a").await.unwrap(), ["q65f0c3aa"]);
    assert_eq!(list("q1").await.unwrap(), ["q1"]);
    for nothing in ["q65", "q", "q777", "latest"] {
        assert!(list(nothing).await.unwrap().is_empty(), "{nothing}");
    }
    let ambiguous = |status: Status, field: &str| {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(faults(&status).1, [field]);
        assert!(
            status.message().contains("q65f0c3aa, q65f0c3bb"),
            "{status:?}"
        );
    };
    ambiguous(list("q65f0c3").await.unwrap_err(), "id");

    let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    let retry = async |given: &[&str]| {
        let request = pb::RetryQuarantinedRequest { ids: ids(given) };
        let answer = server.quarantine().retry_quarantined(request).await?;
        let results = answer.into_inner().results.into_iter();
        Ok::<_, Status>(results.map(|result| result.id).collect::<Vec<_>>())
    };
    ambiguous(retry(&["q65f0d00", "q65f0c3"]).await.unwrap_err(), "ids");
    // In the order of the request, by their whole ids.
    let retried = retry(&["q65f0d", "q1", "q65f0c3a"]).await.unwrap();
    assert_eq!(retried, ["q65f0d00", "q1", "q65f0c3aa"]);

    let drop = async |given: &[&str]| {
        let request = pb::DropQuarantinedRequest { ids: ids(given) };
        let answer = server.quarantine().drop_quarantined(request).await?;
        Ok::<_, Status>(answer.into_inner().dropped)
    };
    ambiguous(drop(&["q65f0c3"]).await.unwrap_err(), "ids");
    let unknown = drop(&["q65f0c3a", "q65f0e"]).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "{unknown:?}");
    assert!(unknown.message().contains("q65f0e"), "{unknown:?}");
    assert_eq!(drop(&["q65f0c3a", "q65f0c3aa", "q65f0d"]).await.unwrap(), 2);
    let left = server.all("archd_quarantine").await;
    let left: Vec<_> = left
        .iter()
        .map(|entry| entry.get_str("_id").unwrap())
        .collect();
    assert_eq!(left, ["q1", "q65f0c3bb"]);
}
