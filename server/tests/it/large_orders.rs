//! Large orders cost those who ask for small ones nothing: of one that is archived no more is read
//! than its answer needs, and one that has to be read whole is served beside the others.

use std::time::Duration;

use archd::config::Config;
use bson::{Document, doc};
use devkit::{
    ReplicaSet,
    relay::{Deed, Plan, Relay},
};
use futures::{TryStreamExt, future::join_all};
use order_archiver_api::v1 as pb;
use pb::ArchiveOutcome::{Archived, Duplicate};
use tonic::Code;

use crate::{
    faults::fresh,
    support::{TestServer, eventually, order, orders, within},
};

const MIB: usize = 1024 * 1024;

fn large(numero: &str) -> Document {
    let mut large = order(numero);
    large.insert("_id", format!("id of {numero}"));
    large.insert("notes", "x".repeat(15 * MIB));
    large
}

/// What the database is asked to note of commands on orders and on the archive.
async fn profile(server: &TestServer, level: i32) {
    let reads = doc! { "appName": "archd", "op": { "$in": ["query", "command", "getmore"] } };
    let profile = doc! { "profile": level, "filter": reads };
    server.database.run_command(profile).await.unwrap();
}

/// How many reads of orders and of the archive the database has noted, and how many bytes their
/// answers took.
async fn read(server: &TestServer) -> (usize, i64) {
    let names = ["Commande", "Historique"].map(|name| format!("{}.{name}", server.database.name()));
    let about = doc! { "ns": { "$in": &names[..] }, "responseLength": { "$exists": true } };
    let notes = server.collection("system.profile").find(about).await;
    let notes: Vec<Document> = notes.unwrap().try_collect().await.unwrap();
    let reads = notes.iter().filter(|note| {
        let command = note.get_document("command").unwrap();
        ["find", "aggregate", "getMore"]
            .iter()
            .any(|name| command.contains_key(name))
    });
    let bytes = reads.map(|note| i64::from(note.get_i32("responseLength").unwrap()));
    let bytes: Vec<i64> = bytes.collect();
    (bytes.len(), bytes.iter().sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_large_orders_that_are_archived_only_what_their_answer_needs_is_read() {
    let server = TestServer::start().await.with_references().await;
    let numeros = ["CMD-A", "CMD-B", "CMD-C"];
    for numero in numeros {
        server.insert("Commande", [large(numero)]).await;
        let answer = server.archive_order(numero).await.unwrap();
        assert_eq!(answer.outcome(), Archived);
    }
    // Of one there is nothing left but the archived order.
    let gone = doc! { "numero_commande": numeros[2] };
    server
        .collection("Commande")
        .delete_one(gone)
        .await
        .unwrap();
    profile(&server, 2).await;
    const ROUNDS: usize = 4;
    for round in 1..=ROUNDS {
        let calls = numeros.map(|numero| server.archive_order(numero));
        for answer in join_all(calls).await {
            let answer = answer.unwrap();
            assert_eq!(answer.outcome(), Duplicate, "{round}");
            assert_eq!(answer.missing_fields, [""; 0]);
        }
    }
    profile(&server, 0).await;
    let (reads, bytes) = read(&server).await;
    println!("{reads} reads, {bytes} bytes");
    assert!(reads >= ROUNDS, "{reads}");
    assert!(bytes < 64 * 1024, "{bytes} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_for_an_ordinary_order_takes_one_read() {
    const ORDERS: usize = 20;
    let server = TestServer::start().await.with_references().await;
    server.insert("Commande", orders(ORDERS)).await;
    profile(&server, 2).await;
    for outcome in [Archived, Duplicate] {
        for at in 1..=ORDERS {
            let numero = format!("CMD-2025-{at:06}");
            let answer = server.archive_order(&numero).await.unwrap();
            assert_eq!(answer.outcome(), outcome);
        }
    }
    profile(&server, 0).await;
    assert_eq!(read(&server).await.0, 2 * ORDERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_orders_are_answered_while_a_large_one_is_on_its_way() {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let database = fresh(set).await;
    let config = Config::simulation(&relay.uri(), database.name()).unwrap();
    let server = TestServer::launch(config, database).await;
    server.ready().await;
    server
        .insert("Commande", [large("CMD-LARGE"), order("CMD-SMALL")])
        .await;
    // Whatever names it by its `_id`: the read of all of it, and its insert.
    let held = Deed::Delay(Duration::from_secs(5));
    relay.on("id of CMD-LARGE", Plan::Always, held);
    let mut client = server.archive();
    let large = tokio::spawn(async move {
        let numero_commande = "CMD-LARGE".to_owned();
        let request = pb::ArchiveOrderRequest { numero_commande };
        client.archive_order(request).await
    });
    eventually(async || (relay.hits() > 0).then_some(())).await;
    for outcome in [Archived, Duplicate] {
        let small = server.archive_order("CMD-SMALL").await.unwrap();
        assert_eq!(small.outcome(), outcome);
    }
    // Nor does it matter who else asks for the large one meanwhile.
    assert!(!large.is_finished(), "the small order waited for the large");
    relay.clear();
    let result = within(large).await.unwrap().unwrap().into_inner().result;
    assert_eq!(result.unwrap().outcome(), Archived);
    assert_eq!(server.all("Historique").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_order_fares_as_any_other() {
    let server = TestServer::start().await.with_references().await;
    let mut waiting = large("CMD-WAITING");
    waiting.insert("status", "en_cours");
    // Two under one number, one of them small.
    let twin = || {
        let mut twin = order("CMD-TWIN");
        twin.insert("_id", "small twin");
        twin
    };
    server
        .insert(
            "Commande",
            [large("CMD-1"), waiting, large("CMD-TWIN"), twin()],
        )
        .await;
    for round in 0..2 {
        let numeros = ["CMD-1", "CMD-1", "CMD-WAITING", "CMD-TWIN", "CMD-NONE"];
        let answers = join_all(numeros.map(|numero| server.archive_order(numero))).await;
        let mut outcomes = [&answers[0], &answers[1]].map(|it| it.as_ref().unwrap().outcome());
        outcomes.sort_by_key(|outcome| *outcome as i32);
        let first = if round == 0 { Archived } else { Duplicate };
        assert_eq!(outcomes, [first, Duplicate]);
        let codes = answers[2..]
            .iter()
            .map(|answer| answer.as_ref().unwrap_err().code());
        let codes: Vec<Code> = codes.collect();
        assert_eq!(
            codes,
            [
                Code::FailedPrecondition,
                Code::FailedPrecondition,
                Code::NotFound
            ],
            "{answers:?}"
        );
    }
    assert_eq!(server.all("Historique").await.len(), 2);
    assert_eq!(server.all("archd_quarantine").await.len(), 1);
    // Its bytes are those of before.
    let live = server.collection("Commande");
    let live = live
        .find_one(doc! { "numero_commande": "CMD-1" })
        .await
        .unwrap();
    let archived = server.collection("Historique");
    let archived = archived
        .find_one(doc! { "numero_commande": "CMD-1" })
        .await
        .unwrap();
    assert!(live.unwrap().get("notes") == archived.unwrap().get("notes"));
}
