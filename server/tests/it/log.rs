//! The log of the program says at info what matters to whoever is on call, and nothing of a person.

use std::net::SocketAddr;

use bson::{Document, doc};
use devkit::ReplicaSet;
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::{
    batch_service_client::BatchServiceClient, quarantine_service_client::QuarantineServiceClient,
    watcher_service_client::WatcherServiceClient,
};

use crate::{
    faults::{FailPoints, fresh},
    process::signal,
    program::{Program, message, saying, text},
    support::{eventually, order, orders},
};

/// A database with the references of [`order`] and these orders, and the URI of its server.
async fn with(orders: impl IntoIterator<Item = Document>) -> (String, Database) {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let orders: Vec<Document> = orders.into_iter().collect();
    if !orders.is_empty() {
        let commande = database.collection("Commande");
        commande.insert_many(orders).await.unwrap();
    }
    (set.uri(), database)
}

#[tokio::test]
async fn a_batch_that_fails_is_an_error_with_its_reason_and_its_mend() {
    let points = FailPoints::turn().await;
    let database = fresh(points.set).await;
    let commande = database.collection("Commande");
    commande.insert_many(orders(3)).await.unwrap();
    let archive = format!("{}.Historique", database.name());
    let denied = doc! { "errorCode": 13, "namespace": archive };
    points.fail(&["insert"], "alwaysOn", denied).await;
    let (code, lines) = Program::start(&points.set.uri(), &database, &["batch"])
        .end()
        .await;
    points.mend().await;
    assert_eq!(code, Some(3), "{lines:#?}");
    let [failed] = saying(&lines, "batch failed")[..] else {
        panic!("{lines:#?}")
    };
    assert_eq!(text(failed, "level"), "ERROR", "{failed}");
    for words in [
        "may not run `insert`",
        "grant it the privilege",
        "then start a batch",
    ] {
        assert!(message(failed).contains(words), "{words}: {failed}");
    }
    assert_eq!(failed["reason"], "database", "{failed}");
    assert_eq!(failed["archived"], 0, "{failed}");
    // Nothing else tells people to mend what is not broken.
    assert!(
        saying(&lines, "ARCHD_OPERATION_TIMEOUT").is_empty(),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn the_settings_in_force_are_told_at_the_start_and_the_uri_never() {
    let (uri, database) = with([]).await;
    let arguments = ["batch", "--chunk-size=7", "--archived-by=night shift"];
    let (_, lines) = Program::start(&uri, &database, &arguments).end().await;
    let settings = &lines[0];
    assert_eq!(message(settings), "settings in force", "{lines:#?}");
    let given = text(settings, "given");
    for shown in [
        "ARCHD_CHUNK_SIZE=7",
        "ARCHD_ARCHIVED_BY='night shift'",
        &format!("MONGODB_DATABASE={}", database.name()),
        "MONGODB_URI=(hidden)",
    ] {
        assert!(given.contains(shown), "{shown}: {given}");
    }
    let defaults = text(settings, "defaults");
    for shown in [
        "ARCHD_LEASE=15s",
        "ARCHD_SCHEDULE='0 2 * * *'",
        "ARCHD_INSTANCE=",
    ] {
        assert!(defaults.contains(shown), "{shown}: {defaults}");
    }
}

#[tokio::test]
async fn the_next_time_of_the_schedule_is_told() {
    let (uri, database) = with([]).await;
    let arguments = ["serve", "--schedule=30 3 * * *", "--schedule-zone=UTC"];
    let mut program = Program::start(&uri, &database, &arguments);
    let line = program.says("the next batch of the schedule").await;
    assert!(text(&line, "time").contains("T03:30:00"), "{line}");
    signal(&program.child, "TERM");
    program.end().await;
}

#[tokio::test]
async fn whoever_steers_a_batch_the_watcher_or_the_quarantine_is_named_by_their_address() {
    let (uri, database) = with(orders(50)).await;
    let bad = database.collection("Commande");
    bad.insert_one(order(7)).await.unwrap();
    let mut program = Program::start(&uri, &database, &["serve", "--schedule=off"]);
    let channel = program.serves().await;

    let mut watcher = WatcherServiceClient::new(channel.clone());
    eventually(async || {
        let answer = watcher.get_watcher(pb::GetWatcherRequest {}).await.ok()?;
        let state = answer.into_inner().watcher?.state();
        (state == pb::WatcherState::Watching).then_some(())
    })
    .await;
    watcher
        .pause_watcher(pb::PauseWatcherRequest {})
        .await
        .unwrap();
    watcher
        .resume_watcher(pb::ResumeWatcherRequest {})
        .await
        .unwrap();

    let mut batches = BatchServiceClient::new(channel.clone());
    let id = eventually(async || {
        let options = pb::BatchOptions {
            max_orders_per_second: Some(1),
            ..Default::default()
        };
        let request = pb::StartBatchRequest {
            options: Some(options),
            ..Default::default()
        };
        let started = batches.start_batch(request).await.unwrap().into_inner();
        // The catch-up batch of the watcher comes first.
        (!started.already_running).then(|| started.batch.unwrap().id)
    })
    .await;
    let tune = pb::TuneBatchRequest {
        id: id.clone(),
        max_orders_per_second: Some(2),
        ..Default::default()
    };
    batches.tune_batch(tune).await.unwrap();
    let cancel = pb::CancelBatchRequest { id: id.clone() };
    batches.cancel_batch(cancel).await.unwrap();

    let mut quarantine = QuarantineServiceClient::new(channel);
    let ids = eventually(async || {
        let request = pb::ListQuarantinedRequest::default();
        let listed = quarantine.list_quarantined(request).await.unwrap();
        let entries = listed.into_inner().entries.into_iter();
        let ids: Vec<String> = entries.map(|entry| entry.id).collect();
        (!ids.is_empty()).then_some(ids)
    })
    .await;
    let retry = pb::RetryQuarantinedRequest { ids: ids.clone() };
    quarantine.retry_quarantined(retry).await.unwrap();
    let drop = pb::DropQuarantinedRequest { ids };
    quarantine.drop_quarantined(drop).await.unwrap();

    signal(&program.child, "TERM");
    let (_, lines) = program.end().await;
    let mut peers = Vec::new();
    for (words, own) in [
        ("told to pause", ""),
        ("told to go on", ""),
        ("a batch was asked for", id.as_str()),
        ("limits of a batch were changed", &id),
        ("told to end", &id),
        ("tried again", ""),
        ("let go", ""),
    ] {
        let found = saying(&lines, words);
        let line = found
            .iter()
            .find(|line| own.is_empty() || line["id"] == own);
        let line = line.unwrap_or_else(|| panic!("{words}: {lines:#?}"));
        assert_eq!(text(line, "level"), "INFO", "{line}");
        let peer: SocketAddr = text(line, "peer").parse().unwrap();
        peers.push(peer);
    }
    peers.dedup();
    assert!(peers.len() == 1 && peers[0].ip().is_loopback(), "{peers:?}");
}

#[tokio::test]
async fn each_order_that_goes_to_quarantine_is_told_with_its_reason_up_to_a_few_in_a_minute() {
    const BAD: usize = 30;
    const TOLD: usize = 20;
    let (uri, database) = with((0..BAD).map(|at| {
        let mut bad = order(7);
        bad.insert("adresse", "3 rue des Lilas");
        bad.insert("_id", format!("bad-{at}"));
        bad
    }))
    .await;
    for new in [true, false] {
        let (_, lines) = Program::start(&uri, &database, &["batch"]).end().await;
        let told = saying(&lines, "an order went to quarantine");
        let rest = saying(&lines, "more orders went to quarantine");
        if !new {
            // It is there already.
            assert!(told.is_empty() && rest.is_empty(), "{lines:#?}");
            continue;
        }
        assert_eq!(told.len(), TOLD, "{lines:#?}");
        for line in told {
            assert_eq!(line["reason"], "no_usable_number", "{line}");
            assert!(text(line, "id").contains("bad-"), "{line}");
            assert!(text(line, "entry").starts_with('q'), "{line}");
            assert!(text(line, "detail").contains("retry"), "{line}");
        }
        let [rest] = rest[..] else {
            panic!("{lines:#?}")
        };
        assert_eq!(rest["orders"], BAD - TOLD, "{rest}");
    }
}

#[tokio::test]
async fn a_batch_tells_at_its_end_of_statuses_that_only_look_delivered() {
    let near = (0..3).map(|at| {
        let mut near = order(format!("NEAR-{at}"));
        near.insert("status", "Livrée");
        near
    });
    let mut object = order("NEAR-OBJECT");
    object.insert("status", doc! { "etat": "livrée", "par": "Ali" });
    let (uri, database) = with(near.chain([object])).await;
    let (_, lines) = Program::start(&uri, &database, &["batch"]).end().await;
    let [told] = saying(&lines, "only looks delivered")[..] else {
        panic!("{lines:#?}")
    };
    assert_eq!((&told["orders"], &told["statuses"]), (&4.into(), &2.into()));
    assert!(text(told, "some").contains(r#""Livrée" (3)"#), "{told}");
    assert!(text(told, "examples").contains("NEAR-OBJECT"), "{told}");
    let end = lines
        .iter()
        .position(|line| message(line).contains("batch ended"));
    let near = lines.iter().position(|line| line == told);
    assert!(near <= end.map(|end| end + 1), "{lines:#?}");
}

#[tokio::test]
async fn every_line_of_a_dry_run_says_that_it_is_one() {
    let mut near = order("NEAR");
    near.insert("status", "Livrée");
    let (uri, database) = with(orders(3).chain([near])).await;
    for (arguments, dry) in [(&["batch", "--dry-run"][..], true), (&["batch"], false)] {
        let (code, lines) = Program::start(&uri, &database, arguments).end().await;
        assert_eq!(code, Some(0), "{lines:#?}");
        let spans = lines.iter().filter_map(|line| {
            let spans = line["spans"].as_array()?.iter();
            let mut batches = spans.filter(|span| span["name"] == "batch");
            Some((batches.next()?.clone(), line))
        });
        let spans: Vec<_> = spans.collect();
        assert!(spans.len() >= 3, "{lines:#?}");
        for (span, line) in spans {
            assert_eq!(span["dry_run"] == true, dry, "{line}");
        }
    }
}

#[tokio::test]
async fn a_long_batch_tells_every_half_minute_how_far_it_is() {
    let (uri, database) = with(orders(200)).await;
    let mut program = Program::start(&uri, &database, &["batch", "--max-rate=4"]);
    let line = program.says("batch under way").await;
    let found = line["found"].as_i64().unwrap();
    assert!((80..=140).contains(&found), "{line}");
    assert_eq!(line["archived"], found, "{line}");
    assert_eq!(line["total"], 200, "{line}");
    signal(&program.child, "INT");
    let (code, lines) = program.end().await;
    assert_eq!(code, Some(130), "{lines:#?}");
    assert_eq!(saying(&lines, "asked to stop").len(), 1, "{lines:#?}");
}
