//! However many statuses only look delivered, and however long they are, a batch ends properly and
//! what it tells stays small.

use bson::{Bson, Document, doc};
use order_archiver_api::v1 as pb;
use pb::BatchState;

use crate::support::{TestServer, order, tally};

async fn figures(server: &TestServer) -> pb::GetStatsResponse {
    let request = pb::GetStatsRequest {
        include_near_misses: true,
        ..Default::default()
    };
    server.get_stats(request).await
}

fn with_status(numero: String, status: impl Into<Bson>) -> Document {
    let mut order = order(numero);
    order.insert("status", status);
    order
}

#[tokio::test]
async fn sixty_thousand_statuses_are_counted_and_a_thousand_told() {
    const ORDERS: usize = 60_000;
    for indexed in [false, true] {
        let server = TestServer::start().await.with_references().await;
        if indexed {
            server.index_status().await;
        }
        server.insert("Commande", [order("GOOD")]).await;
        let filler = "x".repeat(300);
        let near = |at: usize| {
            // Numbers of orders may be long too.
            let numero = format!("NEAR-{at}-{filler}");
            with_status(
                numero,
                vec!["livrée".to_owned(), format!("{at:08}-{filler}")],
            )
        };
        server.insert("Commande", (0..ORDERS).map(near)).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{:?}", batch.message);
        assert_eq!(tally(batch.counts), [1, 1, 0, 0]);
        assert_eq!(batch.near_misses.len(), 1_000);
        for miss in &batch.near_misses {
            assert!(miss.status_json.len() <= 256, "{miss:?}");
            assert!(
                miss.examples.iter().all(|example| example.len() <= 64),
                "{miss:?}"
            );
        }
        let more = batch.more_near_misses.unwrap();
        assert_eq!((more.statuses, more.orders), (59_000, 59_000));
        let figures = figures(&server).await;
        assert_eq!(figures.near_misses.len(), 1_000);
        let more = figures.more_near_misses.unwrap();
        assert_eq!((more.statuses, more.orders), (59_000, 59_000));
        // More such batches, without all the work.
        let batches = server.collection("archd_batches");
        let mut copy = batches.find_one(doc! {}).await.unwrap().unwrap();
        for at in 0..19 {
            copy.insert("_id", format!("copy-{at}"));
            batches.insert_one(&copy).await.unwrap();
        }
        let list = server
            .batches()
            .list_batches(pb::ListBatchesRequest::default())
            .await;
        let listed = list.unwrap().into_inner().batches;
        assert_eq!(listed.len(), 20);
        let told = |batch: &pb::Batch| (batch.near_misses.len(), batch.more_near_misses.is_some());
        assert!(listed.iter().all(|batch| told(batch) == (10, true)));
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_list_counts_the_near_misses_that_it_leaves_out() {
    let server = TestServer::start().await;
    let near = |at: usize| {
        with_status(
            format!("NEAR-{at}"),
            vec!["livrée".to_owned(), at.to_string()],
        )
    };
    server.insert("Commande", (0..20).map(near)).await;
    let twice = with_status("NEAR-AGAIN".to_owned(), vec!["livrée", "9"]);
    server.insert("Commande", [twice]).await;
    let batch = server.run_batch().await;
    assert_eq!(
        (batch.near_misses.len(), batch.more_near_misses),
        (20, None)
    );
    let list = server
        .batches()
        .list_batches(pb::ListBatchesRequest::default())
        .await;
    let listed = list.unwrap().into_inner().batches.remove(0);
    let last = figures(&server).await.last_batch.unwrap();
    for batch in [listed, last] {
        let told: i64 = batch.near_misses.iter().map(|miss| miss.orders).sum();
        let more = batch.more_near_misses.unwrap();
        assert_eq!((batch.near_misses.len(), more.statuses), (10, 10));
        assert_eq!(told + more.orders, 21);
    }
    server.shut_down().await;
}

#[tokio::test]
async fn statuses_and_numbers_of_any_length_do_no_harm() {
    const MIB: usize = 1 << 20;
    for indexed in [false, true] {
        let server = TestServer::start().await.with_references().await;
        if indexed {
            server.index_status().await;
        }
        let statuses: [(&str, Bson); 6] = [
            (
                "LIST",
                vec!["livrée".to_owned(), "x".repeat(10 * MIB)].into(),
            ),
            ("BLANKS", format!("livrée{}", " ".repeat(10 * MIB)).into()),
            (
                "NESTED",
                doc! { "v": "livrée", "w": "y".repeat(5 * MIB) }.into(),
            ),
            ("OTHER", "z".repeat(10 * MIB).into()),
            ("SHORT", "Livrée".into()),
            ("GOOD", "livrée".into()),
        ];
        for (numero, status) in statuses {
            let order = with_status(numero.to_owned(), status);
            server.insert("Commande", [order]).await;
        }
        let long = with_status("N".repeat(5 * MIB), "LIVRÉE");
        server.insert("Commande", [long]).await;
        let batch = server.run_batch().await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{:?}", batch.message);
        assert_eq!(tally(batch.counts), [1, 1, 0, 0]);
        let figures = figures(&server).await;
        for told in [&batch.near_misses, &figures.near_misses] {
            let has = |status: &str| told.iter().any(|miss| miss.status_json == status);
            assert!(has("\"Livrée\"") && has("\"LIVRÉE\""), "{told:?}");
            assert!(told.iter().all(|miss| miss.status_json.len() <= 256));
            let examples = told.iter().flat_map(|miss| &miss.examples);
            assert!(examples.clone().all(|example| example.len() <= 64));
        }
        let lists = |miss: &pb::NearMiss| miss.status_json.starts_with("[\"livrée\"");
        assert!(
            batch.near_misses.iter().any(lists),
            "{:?}",
            batch.near_misses
        );
        server.shut_down().await;
    }
}
