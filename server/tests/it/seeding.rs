//! Made-up data: only in a simulation, never over other data, and the same for the same seed.

use std::collections::HashMap;

use archd::config::Profile;
use bson::{RawDocumentBuf, doc};
use futures::TryStreamExt;
use order_archiver_api::v1 as pb;
use pb::{SeedDataRequest, SeedDataResponse, SeedPhase};
use tonic::{Code, Status};

use crate::support::{TestServer, eventually, faults, order, within};

const COLLECTIONS: [&str; 5] = ["Client", "Livreur", "Restaurants", "Menu", "Commande"];

fn request(orders: i64) -> SeedDataRequest {
    SeedDataRequest {
        orders: Some(orders),
        ..Default::default()
    }
}

/// Every message of a seeding.
async fn seed(
    server: &TestServer,
    request: SeedDataRequest,
) -> Result<Vec<SeedDataResponse>, Status> {
    let stream = server.seeds().seed_data(request).await?.into_inner();
    within(stream.try_collect()).await
}

/// The bytes of all five collections, in their order of `_id`.
async fn bytes(server: &TestServer) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for name in COLLECTIONS {
        let collection = server.database.collection::<RawDocumentBuf>(name);
        let documents = collection.find(doc! {}).sort(doc! { "_id": 1 });
        let documents: Vec<_> = documents.await.unwrap().try_collect().await.unwrap();
        assert!(!documents.is_empty(), "{name}");
        all.extend(documents.into_iter().map(RawDocumentBuf::into_bytes));
    }
    all
}

#[tokio::test]
async fn a_production_server_makes_nothing_up() {
    let server = TestServer::start_with(|config| config.profile = Profile::Production).await;
    let status = seed(&server, request(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(faults(&status).0, "SIMULATION_OFF");
    assert_eq!(server.all("Commande").await, []);
}

#[tokio::test]
async fn data_that_is_there_is_named_and_not_touched() {
    for occupied in COLLECTIONS {
        let server = TestServer::start().await;
        server.insert(occupied, [doc! { "_id": "mine" }]).await;
        let status = seed(&server, request(1)).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(faults(&status).0, "COLLECTION_NOT_EMPTY");
        assert!(status.message().contains(occupied), "{status:?}");
        for name in COLLECTIONS {
            let expected = if name == occupied { 1 } else { 0 };
            assert_eq!(server.all(name).await.len(), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let servers = [
        TestServer::start().await,
        TestServer::start().await,
        TestServer::start().await,
    ];
    for (server, number) in servers.iter().zip([7, 7, 8]) {
        let request = SeedDataRequest {
            seed: Some(number),
            ..request(500)
        };
        seed(server, request).await.unwrap();
    }
    let [one, same, other] = &servers;
    let one = bytes(one).await;
    assert!(one == bytes(same).await);
    assert!(one != bytes(other).await);
}

#[tokio::test]
async fn appended_data_collides_with_none_that_is_there() {
    let server = TestServer::start().await;
    server.insert("Commande", [order("CMD-2025-000700")]).await;
    for number in [1, 1, 2] {
        let request = SeedDataRequest {
            seed: Some(number),
            append: true,
            ..request(200)
        };
        seed(&server, request).await.unwrap();
    }
    for (name, key) in COLLECTIONS.into_iter().zip([
        "id_client",
        "id_livreur",
        "id_restaurant",
        "id_menu",
        "numero_commande",
    ]) {
        let documents = server.all(name).await;
        let keys: Vec<_> = documents
            .iter()
            .map(|document| document.get(key).unwrap().to_string())
            .collect();
        let mut unique = keys.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), keys.len(), "{name}");
    }
    let commandes = server.collection("Commande");
    let numero =
        |sequence: i32| doc! { "numero_commande": { "$regex": format!("-{sequence:06}$") } };
    for (sequence, orders) in [(700, 1), (701, 1), (1_300, 1), (1_301, 0)] {
        let found = commandes.count_documents(numero(sequence));
        assert_eq!(found.await.unwrap(), orders, "{sequence}");
    }

    let too_high = order("CMD-2025-99999999999");
    server.insert("Commande", [too_high]).await;
    let request = SeedDataRequest {
        append: true,
        ..request(1)
    };
    let status = seed(&server, request).await.unwrap_err();
    assert!(status.message().contains("99999999999"), "{status:?}");
}

#[tokio::test]
async fn ids_that_leave_no_room_are_named_and_nothing_is_written_beside_them() {
    let i32_max = bson::Bson::from(i32::MAX);
    let cases: [(&str, &str, bson::Bson); 8] = [
        ("Client", "id_client", i32_max.clone()),
        ("Livreur", "id_livreur", (i32::MAX - 3).into()),
        ("Restaurants", "id_restaurant", i64::MAX.into()),
        ("Menu", "id_menu", 3e9.into()),
        ("Menu", "id_menu", f64::INFINITY.into()),
        ("Client", "id_client", 899_999_999.5.into()),
        (
            "Client",
            "id_client",
            bson::Bson::Decimal128("5E9".parse().unwrap()),
        ),
        ("Commande", "numero_commande", "CMD-2025-2147483646".into()),
    ];
    for (name, field, id) in cases {
        let server = TestServer::start().await;
        server.insert(name, [doc! { field: id.clone() }]).await;
        let request = SeedDataRequest {
            append: true,
            ..request(50)
        };
        let status = seed(&server, request).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(status.message().contains(name), "{id}: {status:?}");
        assert!(status.message().contains("900,000,000"), "{id}: {status:?}");
        for other in COLLECTIONS {
            let documents = server.all(other).await.len();
            assert_eq!(documents, usize::from(other == name), "{other} beside {id}");
        }
    }
}

#[tokio::test]
async fn ids_of_other_types_are_gone_on_after_or_passed_over() {
    let server = TestServer::start().await;
    let decimal = bson::Bson::Decimal128("1500.25".parse().unwrap());
    let ids: [(&str, bson::Bson, i32); 4] = [
        ("id_client", decimal, 1_501),
        ("id_livreur", 700.5.into(), 701),
        ("id_restaurant", 12_i64.into(), 13),
        ("id_menu", f64::NAN.into(), 1),
    ];
    for ((name, (field, id, _)), text) in COLLECTIONS.into_iter().zip(&ids).zip(["a", "9", "-", ""])
    {
        server
            .insert(name, [doc! { *field: id }, doc! { *field: text }])
            .await;
    }
    let request = SeedDataRequest {
        append: true,
        ..request(50)
    };
    seed(&server, request).await.unwrap();
    for (name, (field, _, first)) in COLLECTIONS.into_iter().zip(ids) {
        let ours = server.all(name).await;
        let lowest = ours.iter().filter_map(|row| row.get_i32(field).ok()).min();
        assert_eq!(lowest, Some(first), "{field}");
    }
}

#[tokio::test]
async fn progress_only_grows_and_ends_with_all_that_was_written() {
    let server = TestServer::start().await;
    let messages = seed(&server, request(5_000)).await.unwrap();
    let (last, writing) = messages.split_last().unwrap();
    let mut written: HashMap<&str, i64> = HashMap::new();
    let mut met: Vec<&str> = Vec::new();
    for message in writing {
        assert_eq!(message.phase(), SeedPhase::Writing);
        let collection = message.collection.as_str();
        if met.last() != Some(&collection) {
            met.push(collection);
        }
        let before = written.insert(collection, message.written).unwrap_or(0);
        assert!(
            before < message.written && message.written <= message.total,
            "{message:?}"
        );
    }
    assert_eq!(met, COLLECTIONS);
    assert_eq!(last.phase(), SeedPhase::Written);
    assert_eq!((last.written, last.total), {
        let all = written.values().sum();
        (all, all)
    });
    let by_status: i64 = last.orders_by_status.iter().map(|count| count.orders).sum();
    assert_eq!(by_status, 5_000);
}

#[tokio::test]
async fn live_orders_pass_through_their_statuses_until_nobody_listens() {
    let server = TestServer::start().await;
    let request = SeedDataRequest {
        live_orders_per_minute: 6_000,
        live_order_lifetime: Some(prost_types::Duration {
            seconds: 1,
            nanos: 0,
        }),
        ..request(0)
    };
    let mut stream = server
        .seeds()
        .seed_data(request)
        .await
        .unwrap()
        .into_inner();
    let mut seen: HashMap<String, i64> = HashMap::new();
    while ![
        "en_attente",
        "en_preparation",
        "en_cours",
        "livrée",
        "annulée",
    ]
    .iter()
    .all(|status| seen.contains_key(*status))
    {
        let message = within(stream.message()).await.unwrap().unwrap();
        if message.phase() == SeedPhase::Live {
            let counts = message.orders_by_status.into_iter();
            seen.extend(
                counts
                    .filter(|count| count.orders > 0)
                    .map(|count| (count.status, count.orders)),
            );
        }
    }
    assert!(server.run_batch().await.counts.unwrap().archived > 0);
    drop(stream);
    let (commandes, mut counts) = (server.collection("Commande"), Vec::new());
    // Until new orders come no more.
    eventually(async || {
        counts.push(commandes.count_documents(doc! {}).await.unwrap());
        // Forty more would have come while twenty looks were taken.
        counts
            .rchunks(20)
            .next()
            .is_some_and(|last| last.len() == 20 && last[0] == last[19])
            .then_some(())
    })
    .await;
}
