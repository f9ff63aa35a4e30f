//! A status that only looks like the one of delivered orders is counted, and its order left alone.

use bson::{Bson, doc};
use order_archiver_api::v1 as pb;

use super::{good, raw_of, with, with_text};
use crate::support::{TestServer, tally};

#[tokio::test]
async fn statuses_that_only_look_delivered_are_counted_and_left_alone() {
    let server = TestServer::start().await.with_references().await;
    let near: [Bson; 14] = [
        "livre\u{301}e".into(),
        "Livrée".into(),
        "LIVRÉE".into(),
        " livrée".into(),
        "livrée ".into(),
        "livrée\n".into(),
        "livrée\u{200b}".into(),
        "livrée\u{0}".into(),
        "livree".into(),
        vec!["livrée"].into(),
        vec!["livrée", "Livrée"].into(),
        vec!["Livrée", "LIVRÉE"].into(),
        doc! { "v": "livrée" }.into(),
        Bson::Symbol("livrée".into()),
    ];
    let far: [Bson; 6] = [
        "en_cours".into(),
        "annulée".into(),
        "non livrée".into(),
        Bson::Null,
        1.into(),
        Bson::Array(vec![]),
    ];
    let mut orders = Vec::new();
    for (at, status) in near.iter().enumerate() {
        for copy in 0..=at {
            let numero = format!("NEAR-{at}-{copy}");
            orders.push(with(doc! { "numero_commande": numero, "status": status }));
        }
    }
    orders.extend(far.iter().map(|status| with(doc! { "status": status })));
    orders.push(with_text(&raw_of(&good()), b"status", b"livr\xe9e"));
    orders.push(raw_of(&good()));
    server.insert_raw("Commande", orders).await;

    let all = pb::BatchOptions::default();
    let dry_run = pb::BatchOptions {
        validate_only: true,
        ..all
    };
    let limited = pb::BatchOptions { limit: 1, ..all };
    let mut found = Vec::new();
    for indexed in [false, true] {
        if indexed {
            server.index_status().await;
            server.collection("Historique").drop().await.unwrap();
        }
        for (options, duplicates) in [(dry_run, 0), (all, 0), (all, 1), (limited, 1)] {
            let batch = server.run_batch_with(options).await;
            let tally = tally(batch.counts);
            assert_eq!(tally, [1, 1 - duplicates, duplicates, 0], "{batch:?}");
            found.push(batch.near_misses);
        }
    }
    let stats = server
        .get_stats(pb::GetStatsRequest {
            include_near_misses: true,
            ..Default::default()
        })
        .await;
    found.push(stats.near_misses);
    for misses in found {
        assert_eq!(misses.len(), near.len(), "{misses:?}");
        for (at, status) in near.iter().enumerate() {
            let json = status.clone().into_relaxed_extjson().to_string();
            let miss = misses.iter().find(|miss| miss.status_json == json);
            let miss = miss.unwrap_or_else(|| panic!("{json} is not among {misses:?}"));
            assert_eq!(miss.orders, i64::try_from(at).unwrap() + 1, "{json}");
            assert_eq!(miss.examples.len(), (at + 1).min(3), "{json}");
            let of_it = |numero: &String| numero.starts_with(&format!("NEAR-{at}-"));
            assert!(miss.examples.iter().all(of_it), "{miss:?}");
        }
    }
    let without = server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await
        .unwrap();
    assert_eq!(without.into_inner().near_misses, []);
}
