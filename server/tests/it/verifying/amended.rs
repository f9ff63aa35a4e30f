//! An order that has changed since it was archived is told from an archived one that has: by the
//! history, and where that says nothing by an earlier verification's digests.

use std::time::Duration;

use archd::domain::verify::{days::Days, verdict::Verdict};
use bson::{Document, doc};
use devkit::{
    ReplicaSet,
    relay::{Deed, Plan, Relay},
};

use super::{Asked, Ground, archived, with};
use crate::support::order;

/// Archives an order as it is now.
async fn archive(ground: &Ground, order: &Document) {
    ground.orders().insert_one(order).await.unwrap();
    ground.archive().insert_one(archived(order)).await.unwrap();
}

fn amend() -> Document {
    doc! { "$set": { "remboursé": true } }
}

#[tokio::test]
async fn the_history_tells_which_side_has_changed() {
    let ground = Ground::new().await;
    let number = |name: &str| doc! { "numero_commande": name };
    for name in ["SAME", "REFUND", "REPLACED", "TAMPERED", "BOTH", "AGAIN"] {
        archive(&ground, &order(name)).await;
    }
    let (orders, archive) = (ground.orders(), ground.archive());
    for name in ["REFUND", "BOTH", "AGAIN"] {
        orders.update_one(number(name), amend()).await.unwrap();
    }
    let kept = orders.find_one(number("REPLACED")).await.unwrap().unwrap();
    let other = with(kept, doc! { "coût_commande": 1 });
    orders.replace_one(number("REPLACED"), other).await.unwrap();
    for name in ["TAMPERED", "BOTH"] {
        let tamper = doc! { "$set": { "coût_commande": 1 } };
        archive.update_one(number(name), tamper).await.unwrap();
    }
    let kept = archive.find_one(number("AGAIN")).await.unwrap().unwrap();
    archive.delete_one(number("AGAIN")).await.unwrap();
    archive.insert_one(kept).await.unwrap();

    let report = ground.verify(&Asked::default()).await;
    let expected = [
        ("altered", "AGAIN"),
        ("altered", "BOTH"),
        ("altered", "TAMPERED"),
        ("amended", "REFUND"),
        ("amended", "REPLACED"),
    ];
    let expected = expected.map(|(class, name)| (class, name.to_owned()));
    assert_eq!(report.numbers(), expected);
    let conclusion = report.conclusion;
    assert_eq!(conclusion.verdict, Verdict::NotVerified);
    let counts = conclusion.counts;
    assert_eq!((counts.delivered, counts.verified), (6, 3));
}

/// The database looks through everything that was written since before it tells of any change.
#[tokio::test]
async fn a_history_that_takes_longer_than_calls_may_is_looked_through_all_the_same() {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let ground = Ground::through(&relay.uri(), database, |config| {
        config.operation_timeout = Duration::from_secs(1);
    })
    .await;
    archive(&ground, &order("REFUND")).await;
    ground.orders().update_one(doc! {}, amend()).await.unwrap();
    let slow = Deed::Delay(Duration::from_millis(2_500));
    relay.on("$changeStream", Plan::Always, slow);
    let report = ground.verify(&Asked::default()).await;
    assert_eq!(report.numbers(), [("amended", "REFUND".to_owned())]);
}

#[tokio::test]
async fn an_earlier_digest_of_the_day_shows_that_the_archive_was_left_alone() {
    let ground = Ground::new().await;
    archive(&ground, &order("CMD-1")).await;
    // The history shows changes of the archived document, which came to nothing.
    for update in [doc! { "$set": { "x": 1 } }, doc! { "$unset": { "x": 1 } }] {
        ground.archive().update_one(doc! {}, update).await.unwrap();
    }
    let clean = ground.verify(&Asked::default()).await;
    assert_eq!(clean.told(), [""; 0]);
    assert_eq!(clean.conclusion.verdict, Verdict::Verified);

    ground.orders().update_one(doc! {}, amend()).await.unwrap();
    let class = async |trusted: Days| {
        let asked = Asked {
            trusted,
            ..Asked::default()
        };
        let report = ground.verify(&asked).await;
        report
            .numbers()
            .into_iter()
            .map(|(class, _)| class)
            .collect::<Vec<_>>()
    };
    assert_eq!(class(Days::default()).await, ["altered"]);
    assert_eq!(class(clean.conclusion.days.clone()).await, ["amended"]);
    // Another document of that day was added since.
    ground
        .archive()
        .insert_one(archived(&order("GHOST")))
        .await
        .unwrap();
    assert_eq!(class(clean.conclusion.days).await, ["altered", "orphaned"]);
}

#[tokio::test]
async fn what_was_acknowledged_fails_no_more_until_it_changes() {
    let ground = Ground::new().await;
    archive(&ground, &order("CMD-1")).await;
    ground.orders().insert_one(order("CMD-2")).await.unwrap();
    let tamper = async |cost: i32| {
        let tamper = doc! { "$set": { "coût_commande": cost } };
        ground.archive().update_one(doc! {}, tamper).await.unwrap();
    };
    tamper(1).await;
    let first = ground.verify(&Asked::default()).await;
    assert_eq!(first.conclusion.counts.failing(), 2);
    for difference in &first.differences {
        let finding = &difference.finding;
        let mut said = doc! {
            "numero": &finding.numero, "class": finding.class.name(), "fingerprint": &finding.fingerprint,
            "reason": "known", "by": "Zoé", "created": bson::DateTime::now(),
        };
        for (name, id) in [
            ("order_id", &finding.order_id),
            ("archive_id", &finding.archive_id),
        ] {
            if let Some(id) = id {
                said.insert(name, super::naive::bson_of(id));
            }
        }
        let acknowledgements = ground.collection("archd_acknowledgements");
        acknowledgements.insert_one(said).await.unwrap();
    }
    let second = ground.verify(&Asked::default()).await;
    let counts = second.conclusion.counts;
    assert_eq!(second.conclusion.verdict, Verdict::Verified);
    let told = [
        counts.acknowledged,
        counts.failing(),
        counts.verified,
        counts.delivered,
    ];
    assert_eq!(told, [2, 0, 2, 2]);
    let reasons = second
        .differences
        .iter()
        .map(|it| it.acknowledged.as_ref().unwrap());
    assert!(reasons.into_iter().all(|said| said.reason == "known"));

    tamper(2).await;
    let third = ground.verify(&Asked::default()).await;
    let counts = third.conclusion.counts;
    assert_eq!([counts.acknowledged, counts.failing()], [1, 1]);
}
