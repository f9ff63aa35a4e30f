//! The unique index goes while orders are archived: hardly any number gets in twice, and each that
//! does is named.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use bson::{Document, doc};
use devkit::ReplicaSet;
use futures::TryStreamExt;
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::archive_service_client::ArchiveServiceClient;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Channel;

use crate::{
    process::archd,
    support::{TestServer, eventually, order, within},
};

/// A server as a process, whose log is read.
struct Logged {
    _program: Child,
    address: String,
    named: Arc<Mutex<BTreeSet<String>>>,
}

impl Logged {
    async fn start(uri: &str, database: &str) -> Logged {
        // What the watcher has left over from a while without an index it would write in chunks of
        // thousands.
        let settings = [
            ("MONGODB_URI", uri),
            ("MONGODB_DATABASE", database),
            ("ARCHD_WATCH", "false"),
        ];
        let mut program = archd(&["--listen=127.0.0.1:0", "--log-format=json"], &settings)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
        let mut address = None;
        within(async {
            loop {
                let line = log.next_line().await.unwrap().unwrap();
                let line: Value = serde_json::from_str(&line).unwrap();
                if let Some(said) = line["address"].as_str() {
                    address = Some(said.to_owned());
                }
                if line["message"] == "the database is ready" {
                    return;
                }
            }
        })
        .await;
        let named: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let names = named.clone();
        tokio::spawn(async move {
            while let Some(line) = log.next_line().await.unwrap() {
                if line.contains("archived twice while the unique index was gone") {
                    let line: Value = serde_json::from_str(&line).unwrap();
                    let numbers = line["numbers"].as_str().unwrap().split(", ");
                    let numbers = numbers.map(|number| number.trim_matches('"').to_owned());
                    names.lock().unwrap().extend(numbers);
                }
            }
        });
        Logged {
            _program: program,
            address: format!("http://{}", address.unwrap()),
            named,
        }
    }
}

/// The numbers that the archive holds more than once.
async fn doubled(database: &Database) -> BTreeSet<String> {
    let archive = database.collection::<Document>("Historique");
    let groups = [
        doc! { "$group": { "_id": "$numero_commande", "n": { "$sum": 1 } } },
        doc! { "$match": { "n": { "$gt": 1 } } },
    ];
    let groups: Vec<Document> = archive
        .aggregate(groups)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let number = |group: &Document| group.get_str("_id").unwrap().to_owned();
    groups.iter().map(number).collect()
}

/// Asks for one pair of orders after the other, whatever the answer.
async fn ask(database: Database, channel: Channel, name: String, stop: CancellationToken) {
    let mut archive = ArchiveServiceClient::new(channel);
    let orders = database.collection::<Document>("Commande");
    for number in 0.. {
        if stop.is_cancelled() {
            return;
        }
        let numero_commande = format!("CMD-{name}-{number:06}");
        let pair = [(); 2].map(|()| order(numero_commande.as_str()));
        orders.insert_many(pair).await.unwrap();
        let request = pb::ArchiveOrderRequest { numero_commande };
        if archive.archive_order(request).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn drop_index(database: &Database) {
    let archive = database.collection::<Document>("Historique");
    archive.drop_index("numero_commande_1").await.unwrap();
}

async fn has_index(database: &Database) -> bool {
    let archive = database.collection::<Document>("Historique");
    let names = archive.list_index_names().await.unwrap();
    names.iter().any(|name| name == "numero_commande_1")
}

#[tokio::test]
async fn no_number_that_gets_in_twice_while_the_index_is_gone_goes_unnamed() {
    const ROUNDS: usize = 8;
    let set = ReplicaSet::start().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let by_number = mongodb::IndexModel::builder().keys(doc! { "numero_commande": 1 });
    let orders = database.collection::<Document>("Commande");
    orders.create_index(by_number.build()).await.unwrap();
    let servers = [
        Logged::start(&set.uri(), database.name()).await,
        Logged::start(&set.uri(), database.name()).await,
    ];
    let (callers, stop) = (TaskTracker::new(), CancellationToken::new());
    for (index, server) in servers.iter().enumerate() {
        let channel = Channel::from_shared(server.address.clone()).unwrap();
        let channel = channel.connect().await.unwrap();
        for caller in 0..4 {
            let name = format!("{index}{caller}");
            callers.spawn(ask(database.clone(), channel.clone(), name, stop.clone()));
        }
    }
    let archive = database.collection::<Document>("Historique");
    let mut all = BTreeSet::new();
    for round in 0..ROUNDS {
        let before = archive.count_documents(doc! {}).await.unwrap();
        eventually(async || {
            let now = archive.count_documents(doc! {}).await.unwrap();
            (now > before + 40).then_some(())
        })
        .await;
        drop_index(&database).await;
        // What is under way comes to its end, and nothing else is written.
        let twice = eventually(async || {
            let twice = doubled(&database).await;
            sleep(Duration::from_millis(500)).await;
            let still = doubled(&database).await == twice;
            let over = !twice.is_empty() || has_index(&database).await;
            (still && over).then_some(twice)
        })
        .await;
        println!("round {round}: doubled {twice:?}");
        // Eight callers for a tenth of a second, which is one insert after the other.
        assert!(twice.len() < 100, "{}", twice.len());
        eventually(async || {
            let mut named = BTreeSet::new();
            for server in &servers {
                named.extend(server.named.lock().unwrap().iter().cloned());
            }
            twice.is_subset(&named).then_some(())
        })
        .await;
        for numero in &twice {
            let one = archive.delete_one(doc! { "numero_commande": numero });
            one.await.unwrap();
        }
        all.extend(twice);
        eventually(async || has_index(&database).await.then_some(())).await;
    }
    stop.cancel();
    callers.close();
    within(callers.wait()).await;
    assert!(!all.is_empty(), "the index was never missed");
    assert_eq!(doubled(&database).await, BTreeSet::new());
}

#[tokio::test]
async fn a_look_follows_the_last_order_of_a_burst() {
    let set = ReplicaSet::start().await.unwrap();
    let server = TestServer::start_on(&set, |_| {}).await;
    server
        .insert("Historique", [doc! { "numero_commande": "CMD-0" }])
        .await;
    server.insert("Commande", [order("CMD-1")]).await;
    // The index goes between the look and the insert, and what takes its place is not finished.
    let hang = doc! { "configureFailPoint": "hangAfterStartingIndexBuild", "mode": "alwaysOn" };
    set.configure_fail_point(hang).await.unwrap();
    let late = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": {
        "failCommands": ["insert"], "appName": "archd", "blockConnection": true, "blockTimeMS": 1_000,
    } };
    set.configure_fail_point(late).await.unwrap();
    let asked = server.archive_order("CMD-1");
    let meanwhile = async {
        sleep(Duration::from_millis(300)).await;
        drop_index(&server.database).await;
        let other = doc! { "numero_commande": "CMD-1" };
        server.insert("Historique", [other]).await;
    };
    let (answer, ()) = tokio::join!(asked, meanwhile);
    answer.unwrap();
    let named = eventually(async || {
        let status = server.archive_order("CMD-2").await.unwrap_err();
        let message = status.message().to_owned();
        message
            .contains("archived twice while it was gone")
            .then_some(message)
    })
    .await;
    assert!(named.contains("\"CMD-1\""), "{named}");
    assert_eq!(doubled(&server.database).await.len(), 1);
    set.clear_fail_point("hangAfterStartingIndexBuild")
        .await
        .unwrap();
    let archive = server.collection("Historique");
    let mine = archive
        .delete_one(doc! { "numero_commande": "CMD-1", "archived_by": doc! { "$exists": false } });
    assert_eq!(mine.await.unwrap().deleted_count, 1);
    server.ready().await;
}
