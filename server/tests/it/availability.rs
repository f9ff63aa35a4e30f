//! The server is there before its database and after it: callers hear at once how things are, and
//! work goes on by itself.

use std::time::{Duration, Instant};

use bson::doc;
use devkit::{Node, ReplicaSet, Standalone};
use futures::future::{BoxFuture, join_all};
use mongodb::{IndexModel, options::IndexOptions};
use order_archiver_api::v1 as pb;
use tonic::{Code, Request, Status};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};

use crate::support::{
    TestServer, assert_unavailable, assert_unusable, eventually, faults, order, orders, within,
};

/// How long the callers of these tests wait.
const DEADLINE: Duration = Duration::from_secs(4);

/// Every call that needs the database, each with a deadline.
fn calls(server: &TestServer) -> Vec<(&'static str, BoxFuture<'static, Result<(), Status>>)> {
    fn timed<T>(message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(DEADLINE);
        request
    }
    macro_rules! calls {
        ($($client:ident.$call:ident($message:expr)),+ $(,)?) => {
            vec![$({
                let mut client = server.$client();
                let call: BoxFuture<'static, Result<(), Status>> =
                    Box::pin(async move { client.$call(timed($message)).await.map(drop) });
                (stringify!($call), call)
            }),+]
        };
    }
    let numero_commande = || "CMD-2025-000001".to_owned();
    let id = || "some".to_owned();
    let ids = || vec!["some".to_owned()];
    calls![
        archive.archive_order(pb::ArchiveOrderRequest {
            numero_commande: numero_commande()
        }),
        archive.get_archived_order(pb::GetArchivedOrderRequest {
            numero_commande: numero_commande()
        }),
        archive.list_archived_orders(pb::ListArchivedOrdersRequest::default()),
        batches.start_batch(pb::StartBatchRequest::default()),
        batches.get_batch(pb::GetBatchRequest { id: id() }),
        batches.list_batches(pb::ListBatchesRequest::default()),
        batches.cancel_batch(pb::CancelBatchRequest { id: id() }),
        batches.watch_batch(pb::WatchBatchRequest { id: id() }),
        events.tail_events(pb::TailEventsRequest::default()),
        stats.get_stats(pb::GetStatsRequest::default()),
        quarantine.list_quarantined(pb::ListQuarantinedRequest::default()),
        quarantine.retry_quarantined(pb::RetryQuarantinedRequest { ids: ids() }),
        quarantine.drop_quarantined(pb::DropQuarantinedRequest { ids: ids() }),
    ]
}

/// That every call is answered UNAVAILABLE before its caller gives up.
async fn assert_all_unavailable(server: &TestServer) {
    let asked = Instant::now();
    let answers = join_all(
        calls(server)
            .into_iter()
            .map(|(call, answer)| async move { (call, answer.await, asked.elapsed()) }),
    );
    for (call, answer, took) in answers.await {
        assert_unavailable(&answer.expect_err(call), "DATABASE_UNAVAILABLE");
        assert!(took < DEADLINE, "{call} took {took:?}");
    }
}

/// What health says of the server and of each service.
async fn healths(server: &TestServer) -> Vec<ServingStatus> {
    let services = [
        "",
        "Archive",
        "Batch",
        "Watcher",
        "Event",
        "Stats",
        "Seed",
        "Quarantine",
    ];
    let mut said = Vec::new();
    for service in services {
        let service = match service {
            "" => String::new(),
            service => format!("orderarchiver.v1.{service}Service"),
        };
        let answer = HealthClient::new(server.channel.clone())
            .check(HealthCheckRequest { service })
            .await
            .unwrap()
            .into_inner();
        said.push(if answer.status == ServingStatus::Serving as i32 {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        });
    }
    said
}

/// That an order can be archived.
async fn assert_works(server: &TestServer, numero: &str) {
    server.insert("Commande", [order(numero)]).await;
    server.archive_order(numero).await.unwrap();
    // Not by this call, perhaps: a batch whose caller gave up while the database was frozen begins
    // when that is back.
    let archive = server.collection("Historique");
    let archived = archive.count_documents(doc! { "numero_commande": numero });
    assert_eq!(archived.await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_without_its_database_says_so_and_serves_once_it_is_there() {
    let set = ReplicaSet::start().await.unwrap();
    let node = &set.nodes()[0];
    node.kill().await.unwrap();
    let server = TestServer::on(&set.uri(), "late").await;
    assert_eq!(healths(&server).await, [ServingStatus::NotServing; 8]);
    assert_all_unavailable(&server).await;

    node.restart().await.unwrap();
    server.ready().await;
    assert_eq!(healths(&server).await, [ServingStatus::Serving; 8]);
    assert_works(&server, "CMD-2025-000001").await;

    // And the same again, with a mongod that keeps its connections and says nothing.
    node.freeze().unwrap();
    assert_all_unavailable(&server).await;
    server.health(ServingStatus::NotServing).await;
    assert_eq!(healths(&server).await, [ServingStatus::NotServing; 8]);
    let asked = Instant::now();
    assert_all_unavailable(&server).await;
    assert!(asked.elapsed() < DEADLINE / 2, "it is known to be away");
    node.thaw().unwrap();
    server.ready().await;
    assert_works(&server, "CMD-2025-000002").await;
}

#[tokio::test]
async fn a_tail_and_a_batch_outlive_a_restart_of_the_database() {
    const ORDERS: usize = 4_000;
    let set = ReplicaSet::start().await.unwrap();
    let node = &set.nodes()[0];
    let server = TestServer::on_with(&set.uri(), "lost", |config| config.chunk_size = 20).await;
    server.ready().await;
    let request = pb::TailEventsRequest {
        kinds: vec![
            pb::EventKind::Archived.into(),
            pb::EventKind::Incomplete.into(),
        ],
        ..Default::default()
    };
    let mut news = server.tail_events(request).await;
    within(news.message()).await.unwrap().unwrap();
    server.insert("Commande", orders(ORDERS)).await;
    let (batch, _) = server
        .start_batch(pb::BatchOptions::default(), "")
        .await
        .unwrap();
    server.batch_under_way(&batch.id).await;

    lose(node, &server).await;
    let batch = server.batch_end(&batch.id).await;
    let counts = batch.counts.unwrap();
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    assert_eq!(
        (counts.found, counts.archived + counts.duplicates),
        (ORDERS as i64, ORDERS as i64)
    );
    let archived = server.all("Historique").await;
    assert_eq!(archived.len(), ORDERS);

    let mut told: Vec<String> = Vec::new();
    while told.len() < ORDERS {
        let message = within(news.message()).await.unwrap().unwrap();
        if let Some(pb::tail_events_response::Event::Order(order)) = message.event {
            told.push(order.numero_commande);
        }
    }
    told.sort();
    let expected: Vec<_> = (1..=ORDERS)
        .map(|number| format!("CMD-2025-{number:06}"))
        .collect();
    assert_eq!(told, expected);
}

/// Kills the database and starts it again, once the server has noticed.
async fn lose(node: &Node, server: &TestServer) {
    node.kill().await.unwrap();
    assert_all_unavailable(server).await;
    server.health(ServingStatus::NotServing).await;
    node.restart().await.unwrap();
    server.ready().await;
}

#[tokio::test]
async fn a_standalone_mongod_archives_and_has_no_news() {
    let mongod = Standalone::start().await.unwrap();
    let server = TestServer::on(&mongod.uri(), "alone").await;
    server.ready().await;
    assert_works(&server, "CMD-2025-000001").await;
    server.insert("Commande", [order("CMD-2025-000002")]).await;
    let batch = server.run_batch().await;
    assert_eq!(
        (batch.state(), batch.counts.unwrap().archived),
        (pb::BatchState::Succeeded, 1)
    );
    let status = server
        .events()
        .tail_events(pb::TailEventsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(faults(&status).0, "REPLICA_SET_REQUIRED");
}

/// The status of a call once the server knows what is wrong with its database.
async fn complaint(server: &TestServer) -> Status {
    eventually(async || {
        let status = server.archive_order("CMD-2025-000001").await.unwrap_err();
        (!status.message().contains("has just started")).then_some(status)
    })
    .await
}

#[tokio::test]
async fn an_archive_that_cannot_be_kept_unique_is_explained_until_it_is_mended() {
    let set = ReplicaSet::shared().await.unwrap();

    let database = set.fresh_database().await.unwrap();
    let archive = database.collection("Historique");
    let twice = ["one", "two"].map(|id| doc! { "_id": id, "numero_commande": "CMD-2024-000001" });
    archive.insert_many(twice).await.unwrap();
    let server = TestServer::on(&set.uri(), database.name()).await;
    let status = complaint(&server).await;
    assert_unusable(&status);
    for word in ["Historique", "CMD-2024-000001", "more than once"] {
        assert!(status.message().contains(word), "{status:?}");
    }
    assert_eq!(healths(&server).await, [ServingStatus::NotServing; 8]);
    archive.delete_one(doc! { "_id": "two" }).await.unwrap();
    server.ready().await;
    assert_works(&server, "CMD-2025-000001").await;
}

#[tokio::test]
async fn an_index_that_is_not_unique_does_not_stand_in_the_way_of_one_that_is() {
    let set = ReplicaSet::shared().await.unwrap();
    let on_number = || IndexModel::builder().keys(doc! { "numero_commande": 1 });
    let options = IndexOptions::builder;
    let filter = doc! { "numero_commande": { "$type": "string" } };
    for by_hand in [
        on_number().build(),
        on_number()
            .options(options().sparse(true).unique(true).build())
            .build(),
        on_number()
            .options(
                options()
                    .unique(true)
                    .partial_filter_expression(filter)
                    .build(),
            )
            .build(),
        on_number().options(options().hidden(true).build()).build(),
    ] {
        let database = set.fresh_database().await.unwrap();
        let archive = database.collection::<bson::Document>("Historique");
        archive.create_index(by_hand).await.unwrap();
        let server = TestServer::on(&set.uri(), database.name()).await;
        server.ready().await;
        assert_works(&server, "CMD-2025-000001").await;
        let names = archive.list_index_names().await.unwrap();
        let both = ["_id_", "numero_commande_1", "archd_numero_commande_1"];
        assert_eq!(names, both);
        let twice = archive.insert_one(doc! { "numero_commande": "CMD-2025-000001" });
        twice.await.unwrap_err();
        server.shut_down().await;
    }
}

#[tokio::test]
async fn an_archive_whose_collection_takes_texts_for_equal_still_tells_numbers_apart() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let collation = mongodb::options::Collation::builder()
        .locale("fr")
        .strength(mongodb::options::CollationStrength::Primary)
        .build();
    let create = database.create_collection("Historique");
    create.collation(collation).await.unwrap();
    let archive = database.collection::<bson::Document>("Historique");
    // Made by hand, this index has the collation of the collection.
    let by_hand = IndexModel::builder()
        .keys(doc! { "numero_commande": 1 })
        .options(IndexOptions::builder().unique(true).build())
        .build();
    archive.create_index(by_hand).await.unwrap();
    let server = TestServer::on(&set.uri(), database.name()).await;
    let status = complaint(&server).await;
    let mend = r#".getCollection("Historique").dropIndex("numero_commande_1")"#;
    assert!(status.message().contains(mend), "{status:?}");
    archive.drop_index("numero_commande_1").await.unwrap();
    server.ready().await;

    let numeros = ["CMD-2025-é1", "CMD-2025-E1", "cmd-2025-e1"];
    server.insert("Commande", numeros.map(order)).await;
    for numero in numeros {
        server.archive_order(numero).await.unwrap();
        let request = pb::GetArchivedOrderRequest {
            numero_commande: numero.to_owned(),
        };
        let found = server.archive().get_archived_order(request).await.unwrap();
        assert_eq!(found.into_inner().order.unwrap().numero_commande, numero);
    }
    let plan = database.run_command(doc! { "explain": { "find": "Historique", "filter": { "numero_commande": numeros[0] }, "collation": { "locale": "simple" } } });
    assert!(plan.await.unwrap().to_string().contains("IXSCAN"));
    server.shut_down().await;
}
