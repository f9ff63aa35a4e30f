//! Collections are dropped, renamed and filled behind the watcher's back; orders collide, move on
//! and come in every way.

use bson::{Document, doc};
use devkit::{ReplicaSet, audit};
use futures::future::join_all;
use mongodb::Database;
use order_archiver_api::v1 as pb;

use crate::{
    faults::{cause, deliver, fresh, settled, watching},
    support::{TestServer, eventually, order, orders, references},
};

async fn server() -> TestServer {
    let set = ReplicaSet::shared().await.unwrap();
    watching(&set.uri(), fresh(set).await, |_| {}).await
}

async fn rename(database: &Database, from: &str, to: &str) {
    let full = |name: &str| format!("{}.{name}", database.name());
    let rename = doc! { "renameCollection": full(from), "to": full(to) };
    let admin = database.client().database("admin");
    admin.run_command(rename).await.unwrap();
}

async fn has_unique_index(database: &Database) -> bool {
    let archive = database.collection::<Document>("Historique");
    let names = archive.list_index_names().await.unwrap();
    names.contains(&"numero_commande_1".to_owned())
}

#[tokio::test]
async fn orders_put_under_the_name_of_a_dropped_collection_are_archived() {
    let server = server().await;
    let orders = server.collection("Commande");
    orders
        .insert_one(doc! { "status": "en_cours" })
        .await
        .unwrap();
    for made in 0..3 {
        orders.drop().await.unwrap();
        deliver(&server.database, &format!("made {made}")).await;
        server.archived(made + 1).await;
    }
    settled_but_dropped(&server, 2).await;
    server.shut_down().await;
}

/// The audit finds nothing but the archived orders whose collection is gone.
async fn settled_but_dropped(server: &TestServer, dropped: usize) {
    let audit = audit::audit(&server.database).await.unwrap();
    let gone = |line: &&String| line.ends_with("archived, but no delivered order");
    assert_eq!(
        audit.differences.iter().filter(gone).count(),
        dropped,
        "{audit:#?}"
    );
    assert_eq!(audit.differences.len(), dropped, "{audit:#?}");
    assert_eq!(audit::history(&server.database).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_renamed_collection_is_not_followed_and_what_happened_to_it_is_made_up_for() {
    let server = server().await;
    deliver(&server.database, "before").await;
    settled(&server.database).await;
    rename(&server.database, "Commande", "Ailleurs").await;
    server.watcher_is(pb::WatcherState::Paused).await;
    let watcher = server.watcher_now().await;
    assert!(
        watcher.last_error.contains("Commande was renamed"),
        "{watcher:?}"
    );
    let elsewhere = server.collection("Ailleurs");
    elsewhere.insert_one(order("elsewhere")).await.unwrap();
    rename(&server.database, "Ailleurs", "Commande").await;
    server.resume_watcher().await;
    settled(&server.database).await;
    server.watcher_is(pb::WatcherState::Watching).await;
    assert!(
        cause(&server.database)
            .await
            .unwrap()
            .contains("renamed to Commande")
    );
    deliver(&server.database, "after").await;
    settled(&server.database).await;
    server.shut_down().await;
}

/// For how long a look at the archive holds.
const A_LOOK: std::time::Duration = std::time::Duration::from_millis(100);

#[tokio::test]
async fn nothing_is_written_to_an_archive_that_has_lost_its_unique_index() {
    let server = server().await;
    deliver(&server.database, "one number").await;
    settled(&server.database).await;
    let archive = server.collection("Historique");
    archive.drop_index("numero_commande_1").await.unwrap();
    // A look holds for a tenth of a second: what is sent within it is written, and named if it is
    // double.
    tokio::time::sleep(A_LOOK).await;
    deliver(&server.database, "one number").await;
    settled(&server.database).await;
    assert!(has_unique_index(&server.database).await);
    archive.drop().await.unwrap();
    tokio::time::sleep(A_LOOK).await;
    server
        .insert("Commande", [order("another"), order("another")])
        .await;
    server.archived(1).await;
    assert!(has_unique_index(&server.database).await);
    server.run_batch().await;
    settled(&server.database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_dropped_database_is_begun_anew() {
    let server = server().await;
    deliver(&server.database, "of old").await;
    settled(&server.database).await;
    server.database.drop().await.unwrap();
    for (collection, document) in references() {
        server.insert(collection, [document]).await;
    }
    deliver(&server.database, "of new").await;
    settled(&server.database).await;
    assert!(has_unique_index(&server.database).await);
    server.shut_down().await;
}

#[tokio::test]
async fn an_archive_with_a_number_twice_is_not_written_to_until_it_is_mended() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let archive = database.collection::<Document>("Historique");
    let twice = ["one", "two"].map(|id| doc! { "_id": id, "numero_commande": "twice" });
    archive.insert_many(twice).await.unwrap();
    deliver(&database, "waits").await;
    let server =
        TestServer::on_with(&set.uri(), database.name(), |config| config.watch = true).await;
    let status = eventually(async || {
        let status = server.archive_order("waits").await.unwrap_err();
        status.message().contains("twice").then_some(status)
    });
    let message = status.await.message().to_owned();
    assert!(message.contains("more than once"), "{message}");
    assert!(!message.contains("delete"), "{message}");
    assert_eq!(server.all("Historique").await.len(), 2);
    archive
        .delete_many(doc! { "numero_commande": "twice" })
        .await
        .unwrap();
    settled(&database).await;
    server.shut_down().await;
}

#[tokio::test]
async fn another_order_under_an_archived_number_is_a_conflict() {
    let server = server().await;
    for _ in 0..3 {
        deliver(&server.database, "one number").await;
    }
    settled(&server.database).await;
    let audit = audit::audit(&server.database).await.unwrap();
    assert_eq!((audit.archived, audit.quarantined), (1, 2));
    server.shut_down().await;
}

#[tokio::test]
async fn every_source_at_once_archives_every_order_once() {
    let server = server().await;
    let other = server.second(|config| config.watch = true).await;
    server.insert("Commande", orders(200)).await;
    let numeros: Vec<_> = (1..=40)
        .map(|number| format!("CMD-2025-{number:06}"))
        .collect();
    let asked = numeros
        .iter()
        .flat_map(|numero| [server.archive_order(numero), other.archive_order(numero)]);
    let (asked, _) = tokio::join!(join_all(asked), other.run_batch());
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    settled(&server.database).await;
    // Counting follows the write.
    let archived = eventually(async || {
        let counters = server.all("archd_counters").await;
        let of_all = |counter: &&Document| {
            let id = counter.get_document("_id").unwrap();
            id.get_str("minute").is_ok()
        };
        let archived = counters.iter().filter(of_all);
        let archived = archived.filter_map(|counter| counter.get_i64("archived").ok());
        let archived: i64 = archived.sum();
        (archived >= 200).then_some(archived)
    });
    assert_eq!(archived.await, 200);
    other.shut_down().await;
    server.shut_down().await;
}

#[tokio::test]
async fn an_order_that_has_moved_on_or_gone_when_it_is_read_is_left_alone() {
    let server = server().await;
    server.pause_watcher().await;
    for numero in ["moved on", "gone", "stays"] {
        deliver(&server.database, numero).await;
    }
    let orders = server.collection("Commande");
    let moved = doc! { "$set": { "status": "remboursée" } };
    orders
        .update_one(doc! { "numero_commande": "moved on" }, moved)
        .await
        .unwrap();
    orders
        .delete_one(doc! { "numero_commande": "gone" })
        .await
        .unwrap();
    server.resume_watcher().await;
    settled(&server.database).await;
    assert_eq!(server.archived(1).await, ["stays"]);
    server.shut_down().await;
}

#[tokio::test]
async fn a_transaction_and_a_mass_update_deliver_their_orders_once() {
    let server = server().await;
    let orders = server.collection("Commande");
    let waiting = (0..50).map(|number| {
        let mut order = order(format!("mass {number}"));
        order.insert("status", "en_cours");
        order
    });
    server.insert("Commande", waiting).await;
    let deliver = doc! { "$set": { "status": "livrée" } };
    orders.update_many(doc! {}, deliver.clone()).await.unwrap();
    let mut session = server.database.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for number in 0..3 {
        let order = order(format!("together {number}"));
        orders
            .insert_one(order)
            .session(&mut session)
            .await
            .unwrap();
    }
    session.commit_transaction().await.unwrap();
    settled(&server.database).await;
    assert_eq!(server.archived(53).await.len(), 53);
    server.shut_down().await;
}

#[tokio::test]
async fn the_place_moves_on_while_others_write_and_no_order_is_delivered() {
    let server = server().await;
    let place = async || {
        let position = server.watcher_now().await.position_time.unwrap();
        (position.seconds, position.nanos)
    };
    let before = place().await;
    let mut number = 0;
    eventually(async || {
        number += 1;
        server.insert("Autre", [doc! { "number": number }]).await;
        (place().await > before).then_some(())
    })
    .await;
    settled(&server.database).await;
    server.shut_down().await;
}
