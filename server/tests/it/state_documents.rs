//! A document of archd's own that can't be read is told by name and set aside on demand; it fails no order, and all else goes on.

use bson::{Bson, DateTime, Document, doc};
use devkit::{ReplicaSet, audit};
use order_archiver_api::v1 as pb;
use tonic::{Code, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::{
    faults::state,
    process::run,
    support::{TestServer, eventually, faults, order, orders, tally},
};

/// A server that watches, has archived an order in each way, and has one in quarantine.
async fn server() -> TestServer {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.lease = std::time::Duration::from_secs(2);
    })
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [order(7)]).await;
    server.insert("Commande", [order("watched")]).await;
    server.archived(1).await;
    server.run_batch().await;
    assert_works(&server, "asked").await;
    server
}

/// That callers are served whatever else is wrong, and everything balances.
async fn assert_works(server: &TestServer, numero: &str) {
    let mut asked = order(numero);
    asked.insert("status", "en_cours");
    server.insert("Commande", [asked]).await;
    let delivered = doc! { "$set": { "status": "livrée" } };
    let orders = server.collection("Commande");
    orders
        .update_one(doc! { "numero_commande": numero }, delivered)
        .await
        .unwrap();
    server.archive_order(numero).await.unwrap();
    let asked = pb::GetStatsRequest::default();
    server.stats().get_stats(asked).await.unwrap();
    server.archived(1).await;
}

async fn spoil(server: &TestServer, collection: &str, id: impl Into<Bson>, set: Document) {
    let collection = server.collection(collection);
    let spoilt = collection.update_one(doc! { "_id": id.into() }, doc! { "$set": set });
    assert_eq!(spoilt.await.unwrap().matched_count, 1);
}

/// Spoils the counter of every source for all time, also that of one which has counted nothing yet.
async fn spoil_counters(server: &TestServer, set: Document) {
    for source in ["rpc", "watch", "batch"] {
        let id = doc! { "_id": { "door": source, "minute": "all" } };
        let counters = server.collection("archd_counters");
        let spoilt = counters.update_one(id, doc! { "$set": &set }).upsert(true);
        spoilt.await.unwrap();
    }
}

async fn health(server: &TestServer, service: &str, wanted: ServingStatus) {
    eventually(async || {
        let service = match service {
            "" => String::new(),
            service => format!("orderarchiver.v1.{service}Service"),
        };
        let mut health = HealthClient::new(server.channel.clone());
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        (answer.into_inner().status == wanted as i32).then_some(())
    })
    .await;
}

/// Runs `archd` on the server's database: its code and what it prints.
async fn program(server: &TestServer, arguments: &[&str]) -> (Option<i32>, String) {
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", server.database.name()),
        ("ARCHD_WATCH", "false"),
    ];
    let (code, stdout, _) = run(arguments, &settings).await;
    (code, stdout)
}

/// That the status names the document and the field, or the version, and is no matter for a retry.
fn assert_named(status: &Status, reason: &str, document: &str, what: &str) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(faults(status).0, reason, "{status:?}");
    assert!(status.message().contains(document), "{status:?}");
    assert!(status.message().contains(what), "{status:?}");
}

/// Sets a document aside by the program, and finds it whole where it was moved to.
async fn set_aside(server: &TestServer, document: &str) {
    let before = server.all("archd_set_aside").await.len();
    let (code, listed) = program(server, &["state"]).await;
    assert_eq!(code, Some(5), "{listed}");
    assert!(listed.contains(document), "{listed}");
    let (code, said) = program(server, &["check"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains(document), "{said}");
    let (code, said) = program(server, &["state", "--set-aside", document]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = program(server, &["state"]).await;
    assert_eq!(code, Some(0), "{said}");
    let aside = server.all("archd_set_aside").await;
    assert_eq!(aside.len(), before + 1, "{aside:?}");
    let copy = aside
        .iter()
        .find(|copy| copy.get_str("problem").unwrap().contains(document));
    assert!(!copy.unwrap().get_document("document").unwrap().is_empty());
}

fn batch(id: &str, minutes_ago: i64) -> Document {
    let then = DateTime::from_millis(DateTime::now().timestamp_millis() - minutes_ago * 60_000);
    doc! {
        "_id": id, "state": "succeeded", "stop_reason": "exhausted", "instance": "gone", "created": then, "started": then,
        "updated": then, "ended": then, "options": { "limit": 0_i64 }, "counts": { "found": 0_i64 },
    }
}

/// An active batch whose instance is gone.
fn left(id: &str) -> Document {
    let mut batch = batch(id, 1);
    batch.extend(doc! { "state": "running", "active": true, "alive_until": DateTime::from_millis(0), "epoch": 1_i64, "lives": 1_i64 });
    for field in ["ended", "stop_reason"] {
        batch.remove(field);
    }
    batch
}

#[tokio::test]
async fn a_bad_active_batch_is_named_and_set_aside_while_everything_else_goes_on() {
    for (field, bad) in [
        ("epoch", Bson::from("two")),
        ("lease", doc! {}.into()),
        ("state", "sleeping".into()),
        ("counts", doc! { "found": "many" }.into()),
        ("alive_until", "tomorrow".into()),
    ] {
        let server = server().await;
        let mut active = left("bad");
        active.insert(field, bad);
        server.insert("archd_batches", [active]).await;
        health(&server, "Batch", ServingStatus::NotServing).await;
        health(&server, "", ServingStatus::Serving).await;
        health(&server, "Watcher", ServingStatus::Serving).await;
        let status = server
            .start_batch(pb::BatchOptions::default(), "")
            .await
            .unwrap_err();
        assert_named(
            &status,
            "STATE_UNREADABLE",
            "archd_batches/bad",
            &format!("`{field}"),
        );
        assert_works(&server, "meanwhile").await;
        let listed = server
            .batches()
            .list_batches(pb::ListBatchesRequest::default())
            .await;
        let listed = listed.unwrap().into_inner();
        assert!(!listed.batches.is_empty(), "{listed:?}");
        assert_eq!(listed.unreadable[0].name, "archd_batches/bad");
        set_aside(&server, "archd_batches/bad").await;
        health(&server, "Batch", ServingStatus::Serving).await;
        assert_eq!(
            server.run_batch().await.state(),
            pb::BatchState::Succeeded,
            "{field}"
        );
        assert!(audit::audit(&server.database).await.unwrap().is_clean());
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_watcher_is_told_in_health_and_set_aside_while_batches_and_callers_go_on() {
    for (field, bad) in [
        ("lease", Bson::from("long")),
        ("epoch", "first".into()),
        ("paused", "no".into()),
        ("gap", doc! { "to": "then" }.into()),
    ] {
        let server = server().await;
        spoil(&server, "archd_state", "watcher", doc! { field: bad }).await;
        health(&server, "Watcher", ServingStatus::NotServing).await;
        health(&server, "Batch", ServingStatus::Serving).await;
        let status = server
            .watcher()
            .get_watcher(pb::GetWatcherRequest {})
            .await
            .unwrap_err();
        assert_named(
            &status,
            "STATE_UNREADABLE",
            "archd_state/watcher",
            &format!("`{field}"),
        );
        assert_works(&server, "meanwhile").await;
        assert_eq!(server.run_batch().await.state(), pb::BatchState::Succeeded);
        set_aside(&server, "archd_state/watcher").await;
        server.watcher_is(pb::WatcherState::Watching).await;
        health(&server, "Watcher", ServingStatus::Serving).await;
        server.insert("Commande", [order("afterwards")]).await;
        eventually(async || {
            audit::audit(&server.database)
                .await
                .unwrap()
                .is_clean()
                .then_some(())
        })
        .await;
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_counter_never_fails_an_order_and_is_named_in_the_statistics() {
    for field in ["archived", "incomplete", "quarantined"] {
        let server = server().await;
        spoil_counters(&server, doc! { field: "many" }).await;
        // In whichever way it comes.
        assert_works(&server, "asked-again").await;
        server.insert("Commande", [order("seen")]).await;
        server.archived(4).await;
        server.insert("Commande", orders(3)).await;
        server.archived(7).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
        assert_eq!(tally(batch.counts)[3], 1, "{batch:?}");
        let stats = server
            .stats()
            .get_stats(pb::GetStatsRequest::default())
            .await;
        let stats = stats.unwrap().into_inner();
        assert_eq!(stats.unreadable.len(), 3, "{:?}", stats.unreadable);
        let watcher = server.watcher_now().await;
        assert_eq!(
            (watcher.state(), watcher.counts),
            (pb::WatcherState::Watching, None)
        );
        let problem = &stats.unreadable[0].problem;
        assert!(
            problem.contains(&format!("`{field}` is of type string")),
            "{problem}"
        );
        let (code, said) = program(&server, &["state", "--set-aside", "all"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert_works(&server, "counted").await;
        assert!(server.watcher_now().await.counts.is_some());
        let stats = server
            .stats()
            .get_stats(pb::GetStatsRequest::default())
            .await;
        let stats = stats.unwrap().into_inner();
        assert!(
            stats.unreadable.is_empty() && stats.lifetime.unwrap().found > 0,
            "{stats:?}"
        );
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_entry_in_quarantine_holds_up_neither_orders_nor_the_list() {
    for (field, bad) in [
        ("attempts", Bson::from("twice")),
        ("first_seen", 1.into()),
        ("reason", Bson::Null),
    ] {
        let server = server().await;
        let listed = async || {
            let request = pb::ListQuarantinedRequest::default();
            server
                .quarantine()
                .list_quarantined(request)
                .await
                .unwrap()
                .into_inner()
        };
        let id = listed().await.entries[0].id.clone();
        server.insert("Commande", [order(8)]).await;
        server.run_batch().await;
        spoil(&server, "archd_quarantine", id.clone(), doc! { field: bad }).await;
        let list = listed().await;
        assert_eq!(
            (list.entries.len(), list.unreadable.len()),
            (1, 1),
            "{list:?}"
        );
        assert_eq!(list.unreadable[0].name, format!("archd_quarantine/{id}"));
        let ids = vec![id.clone()];
        let retry = pb::RetryQuarantinedRequest { ids };
        let status = server
            .quarantine()
            .retry_quarantined(retry)
            .await
            .unwrap_err();
        assert_named(&status, "STATE_UNREADABLE", &id, field);
        let mut news = server.news().await;
        // The order is met again, and its entry is written anew.
        let batch = server.run_batch().await;
        assert_eq!(tally(batch.counts)[3], 2, "{batch:?}");
        assert_eq!(listed().await.entries.len(), 2);
        assert!(news.message().await.is_ok());
        server.shut_down().await;
    }
}

#[tokio::test]
async fn one_bad_batch_breaks_no_list_and_pages_go_on_behind_it() {
    let server = TestServer::start().await;
    let mut bad = [batch("bad-1", 3), batch("bad-2", 5), batch("bad-3", 7)];
    bad[0].insert("created", "yesterday");
    bad[1].insert("state", 3);
    bad[2].insert("options", "none");
    let good = (1..=9).map(|number| batch(&format!("good-{number}"), number));
    server.insert("archd_batches", good.chain(bad)).await;
    for page_size in [1, 2, 5, 100] {
        let (mut read, mut unreadable, mut page_token) = (Vec::new(), Vec::new(), String::new());
        loop {
            let request = pb::ListBatchesRequest {
                page_size,
                page_token,
                ..Default::default()
            };
            let page = server
                .batches()
                .list_batches(request)
                .await
                .unwrap()
                .into_inner();
            read.extend(page.batches.into_iter().map(|batch| batch.id));
            unreadable.extend(page.unreadable.into_iter().map(|document| document.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let expected: Vec<String> = (1..=9).map(|number| format!("good-{number}")).collect();
        assert_eq!(read, expected, "{page_size}");
        unreadable.sort();
        let expected = ["bad-1", "bad-2", "bad-3"].map(|id| format!("archd_batches/{id}"));
        assert_eq!(unreadable, expected, "{page_size}");
    }
}

#[tokio::test]
async fn batches_are_listed_by_the_databases_clock_whatever_their_ids_say() {
    let server = TestServer::start().await;
    // Their instances' clocks were years apart: the ids sort the other way round.
    let all = (0..5).map(|minutes| batch(&format!("b-{minutes}"), minutes + 1));
    server.insert("archd_batches", all).await;
    let latest = server.run_batch().await;
    let request = pb::ListBatchesRequest {
        page_size: 3,
        ..Default::default()
    };
    let page = server
        .batches()
        .list_batches(request.clone())
        .await
        .unwrap()
        .into_inner();
    let ids = |page: &pb::ListBatchesResponse| {
        page.batches
            .iter()
            .map(|batch| batch.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&page), [latest.id.as_str(), "b-0", "b-1"]);
    let next = pb::ListBatchesRequest {
        page_token: page.next_page_token,
        ..request
    };
    let page = server
        .batches()
        .list_batches(next)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(ids(&page), ["b-2", "b-3", "b-4"]);
    let stats = server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(stats.last_batch.unwrap().id, latest.id);
}

#[tokio::test]
async fn a_newer_batch_is_left_alone_and_callers_and_the_watcher_go_on() {
    let server = server().await;
    let mut newer = left("newer");
    newer.insert("format", 2);
    server.insert("archd_batches", [newer.clone()]).await;
    health(&server, "Batch", ServingStatus::NotServing).await;
    let status = server
        .start_batch(pb::BatchOptions::default(), "")
        .await
        .unwrap_err();
    assert_named(&status, "STATE_NEWER", "archd_batches/newer", "format 2");
    let cancel = pb::CancelBatchRequest {
        id: "newer".to_owned(),
    };
    let status = server.batches().cancel_batch(cancel).await.unwrap_err();
    assert_named(&status, "STATE_NEWER", "archd_batches/newer", "format 2");
    assert_works(&server, "meanwhile").await;
    server.insert("Commande", [order("seen")]).await;
    server.archived(4).await;
    let (code, said) = program(&server, &["state", "--set-aside", "all"]).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("run the newer archd"), "{said}");
    let batches = server.all("archd_batches").await;
    assert!(batches.contains(&newer), "{batches:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_newer_watcher_is_left_alone_and_batches_and_callers_go_on() {
    let server = server().await;
    spoil(
        &server,
        "archd_state",
        "watcher",
        doc! { "format": 2, "epoch": 100_i64 },
    )
    .await;
    health(&server, "Watcher", ServingStatus::NotServing).await;
    let status = server
        .watcher()
        .get_watcher(pb::GetWatcherRequest {})
        .await
        .unwrap_err();
    assert_named(&status, "STATE_NEWER", "archd_state/watcher", "format 2");
    let pausing = server
        .watcher()
        .pause_watcher(pb::PauseWatcherRequest {})
        .await;
    assert_named(
        &pausing.unwrap_err(),
        "STATE_NEWER",
        "archd_state/watcher",
        "format 2",
    );
    let before = state(&server.database).await;
    assert_works(&server, "meanwhile").await;
    server.insert("Commande", orders(3)).await;
    assert_eq!(server.run_batch().await.state(), pb::BatchState::Succeeded);
    server.archived(6).await;
    assert_eq!(state(&server.database).await, before);
    server.shut_down().await;
}

#[tokio::test]
async fn a_newer_format_while_it_is_at_work_takes_the_work_from_an_instance() {
    let server = server().await;
    // With the epoch that this very instance holds.
    spoil(&server, "archd_state", "watcher", doc! { "format": 2 }).await;
    let before = state(&server.database).await;
    server.insert("Commande", orders(1)).await;
    health(&server, "Watcher", ServingStatus::NotServing).await;
    let after = state(&server.database).await;
    assert_eq!(after.get("checkpoint"), before.get("checkpoint"));
    server
        .insert(
            "Commande",
            (0..500).map(|number| order(format!("slow-{number}"))),
        )
        .await;
    let slow = pb::BatchOptions {
        max_orders_per_second: Some(20),
        ..Default::default()
    };
    let (running, _) = server.start_batch(slow, "").await.unwrap();
    server.batch_under_way(&running.id).await;
    spoil(
        &server,
        "archd_batches",
        running.id.clone(),
        doc! { "format": 2 },
    )
    .await;
    let counts = async || {
        server
            .all("archd_batches")
            .await
            .iter()
            .find(|batch| batch.get_str("_id").unwrap() == running.id)
            .unwrap()
            .clone()
    };
    let left = counts().await;
    health(&server, "Batch", ServingStatus::NotServing).await;
    assert_eq!(counts().await, left);
    server.shut_down().await;
}

#[tokio::test]
async fn newer_counters_are_left_alone_and_the_statistics_say_so() {
    let server = server().await;
    spoil_counters(&server, doc! { "format": 2 }).await;
    let newer = async || {
        let counters = server.all("archd_counters").await.into_iter();
        counters
            .filter(|counter| counter.get_i32("format").ok() == Some(2))
            .collect::<Vec<_>>()
    };
    let before = newer().await;
    assert_works(&server, "uncounted").await;
    server.insert("Commande", [order("seen")]).await;
    server.archived(4).await;
    assert_eq!(server.run_batch().await.state(), pb::BatchState::Succeeded);
    assert_eq!(newer().await, before);
    let stats = server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(stats.unreadable.len(), 3, "{stats:?}");
    assert!(
        stats.unreadable.iter().all(|document| document.newer),
        "{stats:?}"
    );
    server.shut_down().await;
}

#[tokio::test]
async fn newer_entries_in_quarantine_are_listed_as_such_and_left_alone() {
    let server = server().await;
    let request = pb::ListQuarantinedRequest::default();
    let id = server
        .quarantine()
        .list_quarantined(request.clone())
        .await
        .unwrap()
        .into_inner()
        .entries[0]
        .id
        .clone();
    spoil(
        &server,
        "archd_quarantine",
        id.clone(),
        doc! { "format": 2 },
    )
    .await;
    spoil(
        &server,
        "archd_quarantine_bytes",
        format!("{id}/0000"),
        doc! { "format": 2, "bytes": "packed" },
    )
    .await;
    let before = (
        server.all("archd_quarantine").await,
        server.all("archd_quarantine_bytes").await,
    );
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts)[3], 1, "{batch:?}");
    let list = server
        .quarantine()
        .list_quarantined(request)
        .await
        .unwrap()
        .into_inner();
    assert!(
        list.entries.is_empty() && list.unreadable[0].newer,
        "{list:?}"
    );
    let dropping = server
        .quarantine()
        .drop_quarantined(pb::DropQuarantinedRequest {
            ids: vec![id.clone()],
        })
        .await;
    assert_named(&dropping.unwrap_err(), "STATE_NEWER", &id, "format 2");
    let after = (
        server.all("archd_quarantine").await,
        server.all("archd_quarantine_bytes").await,
    );
    assert_eq!(before, after);
    server.shut_down().await;
}

#[tokio::test]
async fn the_identity_of_the_database_is_looked_after_too() {
    let server = server().await;
    drop(server.news().await);
    spoil(&server, "archd_state", "identity", doc! { "uuid": 7 }).await;
    health(&server, "Event", ServingStatus::NotServing).await;
    assert_works(&server, "meanwhile").await;
    set_aside(&server, "archd_state/identity").await;
    health(&server, "Event", ServingStatus::Serving).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_bad_document_of_the_index_build_is_listed_and_keeps_no_index_from_being_built() {
    for (field, bad) in [
        ("lease", Bson::from("x")),
        ("alive_until", 7.into()),
        ("failed", doc! { "numbers": "many" }.into()),
    ] {
        let server = server().await;
        let set = doc! { field: bad };
        spoil(&server, "archd_state", "unique_index", set.clone()).await;
        set_aside(&server, "archd_state/unique_index").await;
        let mut spoilt = doc! { "_id": "unique_index" };
        spoilt.extend(set);
        server.insert("archd_state", [spoilt]).await;
        server.insert("Commande", [order("afterwards")]).await;
        drop_archive_index(&server).await;
        eventually(async || {
            // Whoever is asked looks whether the index is there.
            let archived = server.archive_order("afterwards").await;
            let names = server.collection("Historique").list_index_names().await;
            let is_there = names.unwrap().contains(&"numero_commande_1".to_owned());
            (is_there && archived.is_ok()).then_some(())
        })
        .await;
        let (code, said) = program(&server, &["state"]).await;
        assert_eq!(code, Some(0), "{field}: {said}");
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_newer_document_of_the_index_build_is_left_alone_and_named() {
    let server = server().await;
    let newer = doc! { "format": 2, "lease": "none" };
    spoil(&server, "archd_state", "unique_index", newer).await;
    let build = async || {
        let state = server.all("archd_state").await.into_iter();
        let mut builds = state.filter(|it| it.get_str("_id").unwrap() == "unique_index");
        builds.next().unwrap()
    };
    let before = build().await;
    // It is asked nothing while the index is there.
    assert_works(&server, "meanwhile").await;
    drop_archive_index(&server).await;
    server.insert("Commande", [order("late")]).await;
    eventually(async || {
        let status = server.archive_order("late").await.err()?;
        (faults(&status).0 == "STATE_NEWER").then(|| {
            assert_named(
                &status,
                "STATE_NEWER",
                "archd_state/unique_index",
                "format 2",
            );
        })
    })
    .await;
    assert_eq!(build().await, before);
    server.shut_down().await;
}

async fn drop_archive_index(server: &TestServer) {
    let archive = server.collection("Historique");
    archive.drop_index("numero_commande_1").await.unwrap();
}

#[tokio::test]
async fn every_document_of_its_own_says_which_format_it_has() {
    let server = server().await;
    drop(server.news().await);
    for collection in [
        "archd_batches",
        "archd_counters",
        "archd_instances",
        "archd_quarantine",
        "archd_quarantine_bytes",
        "archd_state",
    ] {
        let documents = server.all(collection).await;
        assert!(!documents.is_empty(), "{collection}");
        for document in documents {
            assert_eq!(
                document.get_i32("format").ok(),
                Some(1),
                "{collection}: {document}"
            );
        }
    }
    server.shut_down().await;
}
