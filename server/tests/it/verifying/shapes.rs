//! Whatever shape the two collections have: one far denser than the other, empty, with `_id`s that
//! come last, without indexes.

use archd::domain::verify::{class::Class, plan::Depth, verdict::Verdict};
use bson::{Bson, Document, doc};

use super::{Asked, Ground, archived, with};
use crate::support::{order, orders};

fn asked(depth: Depth) -> Asked {
    Asked {
        depth,
        chunk: 3,
        ..Asked::default()
    }
}

#[tokio::test]
async fn an_archive_that_is_far_denser_than_its_orders_is_walked_in_parts() {
    let ground = Ground::new().await;
    let known: Vec<Document> = orders(600).collect();
    let kept = known.iter().map(archived);
    ground.archive().insert_many(kept).await.unwrap();
    // One in a hundred is left, and one of these is not in the archive.
    let left: Vec<&Document> = known.iter().skip(50).step_by(100).collect();
    ground.orders().insert_many(left.clone()).await.unwrap();
    let id = doc! { "_id": left[3].get("_id") };
    ground.archive().delete_one(id).await.unwrap();
    for depth in [Depth::Content, Depth::References] {
        let report = ground.verify(&asked(depth)).await;
        let counts = report.conclusion.counts;
        assert_eq!(
            (counts.delivered, counts.archived, counts.verified),
            (6, 599, 5)
        );
        assert_eq!(counts.of(Class::Orphaned), 594);
        assert_eq!(counts.of(Class::Missing), 1);
        // No part is larger than others, so it is saved often.
        assert!(report.steps > 10, "{} steps", report.steps);
    }
    let report = ground.verify(&asked(Depth::Presence)).await;
    let counts = report.conclusion.counts;
    let told = (
        counts.of(Class::Orphaned),
        counts.of(Class::Missing),
        counts.verified,
    );
    assert_eq!(told, (594, 1, 5));
}

#[tokio::test]
async fn a_side_that_is_empty_leaves_the_other_alone() {
    for depth in [Depth::Presence, Depth::Content] {
        let ground = Ground::new().await;
        let nothing = ground.verify(&asked(depth)).await;
        assert_eq!(nothing.conclusion.verdict, Verdict::Verified);
        assert_eq!(nothing.conclusion.counts, Default::default());
        ground.orders().insert_many(orders(10)).await.unwrap();
        let missing = ground.verify(&asked(depth)).await;
        assert_eq!(missing.conclusion.counts.of(Class::Missing), 10);
        ground.orders().delete_many(doc! {}).await.unwrap();
        let ghosts = orders(10).map(|order| archived(&order));
        ground.archive().insert_many(ghosts).await.unwrap();
        let orphaned = ground.verify(&asked(depth)).await;
        assert_eq!(orphaned.conclusion.counts.of(Class::Orphaned), 10);
        assert_eq!(orphaned.conclusion.verdict, Verdict::Verified);
    }
}

#[tokio::test]
async fn ids_that_come_first_and_last_are_looked_at_too() {
    for depth in [Depth::Presence, Depth::Content] {
        for id in [Bson::MinKey, Bson::MaxKey] {
            let ground = Ground::new().await;
            let ours = with(order("CMD-1"), doc! { "_id": id.clone() });
            ground.orders().insert_one(&ours).await.unwrap();
            let missing = ground.verify(&asked(depth)).await;
            assert_eq!(missing.numbers(), [("missing", "CMD-1".to_owned())]);
            ground.archive().insert_one(archived(&ours)).await.unwrap();
            let fine = ground.verify(&asked(depth)).await;
            assert_eq!(fine.told(), [""; 0], "{id}");
            let counts = fine.conclusion.counts;
            assert_eq!((counts.delivered, counts.archived), (1, 1), "{id}");
            ground.orders().delete_many(doc! {}).await.unwrap();
            let ghost = ground.verify(&asked(depth)).await;
            assert_eq!(ghost.numbers(), [("orphaned", "CMD-1".to_owned())]);
        }
    }
}

#[tokio::test]
async fn names_that_have_changed_are_told_and_fail_nothing() {
    let ground = Ground::new().await;
    for (collection, document) in crate::support::references() {
        ground
            .collection(collection)
            .insert_one(document)
            .await
            .unwrap();
    }
    let known: Vec<Document> = orders(20).collect();
    ground.orders().insert_many(&known).await.unwrap();
    let kept = known.iter();
    let kept = kept.map(|order| super::planted::archived(order, &super::planted::references()));
    ground.archive().insert_many(kept).await.unwrap();
    let same = ground.verify(&asked(Depth::References)).await;
    assert_eq!(same.told(), [""; 0]);
    let rename = doc! { "$set": { "Nom": "Durand" } };
    ground
        .collection("Client")
        .update_one(doc! {}, rename)
        .await
        .unwrap();
    let other = ground.verify(&asked(Depth::References)).await;
    assert_eq!(other.conclusion.counts.of(Class::NamesChanged), 20);
    assert_eq!(other.conclusion.verdict, Verdict::Verified);
    assert!(
        other
            .differences
            .iter()
            .all(|it| it.finding.fields == ["nom_client"])
    );
    let content = ground.verify(&asked(Depth::Content)).await;
    assert_eq!(content.told(), [""; 0]);
}

#[tokio::test]
async fn without_an_index_on_the_number_orphans_are_counted_and_the_index_is_named() {
    let ground = Ground::new().await;
    let known: Vec<Document> = orders(20).collect();
    ground.orders().insert_many(&known).await.unwrap();
    let kept = known.iter().enumerate().map(|(at, order)| match at {
        0..3 => {
            let mut script = with(archived(order), doc! { "_id": at as i32 });
            script.remove("missing_fields");
            script
        }
        _ => archived(order),
    });
    ground.archive().insert_many(kept).await.unwrap();
    let ghosts = ["G-1", "G-2"].map(|name| archived(&order(name)));
    ground.archive().insert_many(ghosts).await.unwrap();
    ground
        .orders()
        .drop_index("numero_commande_1")
        .await
        .unwrap();
    let report = ground.verify(&asked(Depth::Content)).await;
    let conclusion = report.conclusion;
    assert_eq!(conclusion.counts.of(Class::Orphaned), 2);
    assert_eq!(report.differences, []);
    assert_eq!(conclusion.verdict, Verdict::Verified);
    let warnings = conclusion.warnings.join("\n");
    assert!(
        warnings.contains("Commande has no index on numero_commande"),
        "{warnings}"
    );
}
