//! For random pairs of collections a verification finds exactly what a naive comparison does.

use archd::domain::verify::{class::Class, plan::Depth};
use bson::{Document, doc};
use devkit::ReplicaSet;
use mongodb::options::Collation;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{Asked, Ground, one_of, planted};
use crate::load::{how_many, seed};

/// Cases of each kind; more where `VERIFY_CASES` says so.
const CASES: usize = 90;

fn cases() -> usize {
    how_many("VERIFY_CASES", CASES)
}

/// One case: what is found is what there is to find, at every depth and by the history too.
async fn case(ground: &Ground, seed: u64, doubles: bool) {
    let dice = &mut StdRng::seed_from_u64(seed);
    let mut platform = planted::platform(dice, doubles);
    let since = ground.time().await;
    ground.plant(&platform).await;
    // In the order of their `_id`s.
    platform.orders = ground.all("Commande").await;
    platform.archive = ground.all("Historique").await;
    let (depth, by_history) = *one_of(
        dice,
        &[
            (Depth::Presence, false),
            (Depth::Content, false),
            (Depth::Content, false),
            (Depth::Content, true),
        ],
    );
    let asked = Asked {
        depth,
        since: by_history.then_some(since),
        chunk: dice.random_range(1..=7),
        ..Asked::default()
    };
    let crashes = *one_of(dice, &[0.0, 0.3]);
    let report = ground
        .verify_with(&asked, &mut |_| dice.random_bool(crashes))
        .await;
    let expected = platform.expected(depth >= Depth::Content);
    let shown = |documents: &[Document]| -> String {
        let lines = documents.iter().map(|it| format!("  {it}\n"));
        lines.collect()
    };
    let context = format!(
        "seed {seed}, doubles {doubles}, {asked:?}\norders\n{}archive\n{}quarantined {:?}",
        shown(&platform.orders),
        shown(&platform.archive),
        platform.quarantined
    );
    let told = report.told();
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let only = these.iter().filter(|it| !those.contains(it));
        only.cloned().collect()
    };
    let (extra, absent) = (only(&told, &expected.told), only(&expected.told, &told));
    assert!(
        told == expected.told,
        "found {extra:#?}, not found {absent:#?}: {context}"
    );
    let counts = &report.conclusion.counts;
    for class in Class::ALL.into_iter().filter(|it| *it != Class::NearMiss) {
        let wanted = expected.by_class.get(class.name()).copied().unwrap_or(0);
        // What was compared twice by a pass over the history that was cut short is counted twice.
        if !(by_history && crashes > 0.0) {
            assert_eq!(counts.of(class), wanted, "{class:?}: {context}");
        }
    }
    if !by_history {
        // Of bare `_id`s nobody knows that the status only looks delivered to an index.
        let lookalikes = match depth {
            Depth::Presence => platform.archived_lookalikes(),
            _ => 0,
        };
        assert_eq!(
            [
                counts.delivered - lookalikes,
                counts.archived,
                counts.verified - lookalikes
            ],
            [expected.delivered, expected.archived, expected.verified],
            "delivered, archived, verified: {context}"
        );
    }
    if depth >= Depth::Content && !by_history {
        let documents = report.conclusion.days.iter().map(|(_, day)| day.count);
        assert_eq!(documents.sum::<i64>(), expected.archived, "{context}");
    }
}

async fn without_the_unique_index(ground: &Ground) {
    let indexes = ground.archive().list_index_names().await.unwrap();
    for name in indexes.iter().filter(|name| *name != "_id_") {
        ground.archive().drop_index(name).await.unwrap();
    }
}

#[tokio::test]
async fn every_difference_is_found_in_its_class_and_no_other() {
    let (ground, seed) = (Ground::new().await, seed());
    for at in 0..cases() as u64 {
        case(&ground, seed.wrapping_add(at), false).await;
    }
}

#[tokio::test]
async fn numbers_that_stand_twice_are_found_where_the_unique_index_is_gone() {
    let (ground, seed) = (Ground::new().await, seed());
    without_the_unique_index(&ground).await;
    for at in 0..cases() as u64 {
        case(&ground, seed.wrapping_add(at), true).await;
    }
}

#[tokio::test]
async fn collections_that_order_ids_otherwise_are_compared_one_after_the_other() {
    let seed = seed();
    let set = ReplicaSet::shared().await.unwrap();
    for name in ["Historique", "Commande"] {
        let database = set.fresh_database().await.unwrap();
        let collation = Collation::builder().locale("fr").build();
        let create = database.create_collection(name).collation(collation);
        create.await.unwrap();
        let ground = Ground::of(set, database).await;
        let number = mongodb::IndexModel::builder()
            .keys(doc! { "numero_commande": 1 })
            .options(
                mongodb::options::IndexOptions::builder()
                    .name("by_number".to_owned())
                    .collation(Collation::builder().locale("simple").build())
                    .build(),
            )
            .build();
        if name == "Commande" {
            ground.orders().create_index(number).await.unwrap();
        }
        for at in 0..cases() as u64 / 3 {
            case(&ground, seed.wrapping_add(at), false).await;
        }
    }
}
