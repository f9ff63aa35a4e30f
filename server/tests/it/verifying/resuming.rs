//! A pass that dies goes on where it was saved, and comes to what one that lives comes to; while
//! orders are delivered and archived beside it, none of them is a false alarm.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use archd::domain::verify::verdict::Verdict;
use bson::{Document, doc};
use futures::future::join;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{Asked, Ground, archived};
use crate::support::{order, orders};

#[tokio::test]
async fn a_pass_that_dies_after_every_step_comes_to_the_same() {
    let ground = Ground::new().await;
    let known: Vec<Document> = orders(200).collect();
    ground.orders().insert_many(&known).await.unwrap();
    // Two in three are archived, and a third of these have no order any more.
    let kept = known.iter().enumerate().filter(|(at, _)| at % 3 != 0);
    let kept: Vec<Document> = kept.map(|(_, order)| archived(order)).collect();
    ground.archive().insert_many(&kept).await.unwrap();
    for order in known.iter().skip(1).step_by(3) {
        let id = doc! { "_id": order.get("_id") };
        ground.orders().delete_one(id).await.unwrap();
    }
    let asked = Asked {
        chunk: 4,
        ..Asked::default()
    };
    let whole = ground.verify(&asked).await;
    assert_eq!(whole.conclusion.counts.failing(), 67);
    let mut steps = 0;
    let mut last = None;
    let died = ground
        .verify_with(&asked, &mut |progress| {
            steps += 1;
            // Dies once after each step, however often it is asked.
            let moved = last.as_ref() != Some(progress);
            last = Some(progress.clone());
            moved && steps > 1
        })
        .await;
    assert!(died.steps > 5, "{}", died.steps);
    assert_eq!(died.told(), whole.told());
    assert_eq!(died.conclusion.counts, whole.conclusion.counts);
    assert_eq!(died.conclusion.days, whole.conclusion.days);

    // As anybody can compute it.
    let mut hash = [0_u8; 32];
    for document in ground
        .database
        .collection::<bson::RawDocumentBuf>("Historique")
        .find(doc! {})
        .sort(doc! { "_id": 1 })
        .await
        .unwrap()
        .collect_all()
        .await
    {
        let inner = Sha256::digest(document.as_bytes());
        hash = Sha256::digest([&hash[..], &inner[..]].concat()).into();
    }
    let days: Vec<_> = whole.conclusion.days.iter().collect();
    if let [(_, day)] = days.as_slice() {
        assert_eq!((day.count, day.hash), (kept.len() as i64, hash));
    } else {
        // Midnight came while it was written.
        assert_eq!(days.len(), 2);
    }
}

trait CollectAll {
    async fn collect_all(self) -> Vec<bson::RawDocumentBuf>;
}

impl CollectAll for mongodb::Cursor<bson::RawDocumentBuf> {
    async fn collect_all(self) -> Vec<bson::RawDocumentBuf> {
        use futures::TryStreamExt;
        self.try_collect().await.unwrap()
    }
}

/// Delivers orders and archives each a moment later, until it is told to stop.
async fn platform(ground: &Ground, over: &AtomicBool) {
    let mut at = 0;
    while !over.load(Ordering::Relaxed) {
        let fresh: Vec<Document> = (0..5).map(|n| order(format!("FRESH-{at}-{n}"))).collect();
        at += 1;
        ground.orders().insert_many(&fresh).await.unwrap();
        sleep(Duration::from_millis(30)).await;
        let kept = fresh.iter().map(archived);
        ground.archive().insert_many(kept).await.unwrap();
    }
}

#[tokio::test]
async fn orders_on_their_way_are_no_false_alarm_and_what_is_missing_is_found() {
    let ground = Ground::new().await;
    let known: Vec<Document> = orders(300).collect();
    ground.orders().insert_many(&known).await.unwrap();
    let kept = known.iter().skip(1).map(archived);
    ground.archive().insert_many(kept).await.unwrap();
    let (over, mut candidates) = (AtomicBool::new(false), 0);
    let verifying = async {
        for _ in 0..6 {
            let asked = Asked {
                chunk: 20,
                settle: Duration::from_millis(1_500),
                ..Asked::default()
            };
            let mut seen = 0;
            let report = ground
                .verify_with(&asked, &mut |progress| {
                    seen = progress.candidates;
                    false
                })
                .await;
            let missing = ("missing", "CMD-2025-000001".to_owned());
            assert_eq!(report.numbers(), [missing]);
            assert_eq!(report.conclusion.verdict, Verdict::NotVerified);
            candidates += seen;
        }
        over.store(true, Ordering::Relaxed);
    };
    join(verifying, platform(&ground, &over)).await;
    println!("{candidates} candidates were seen on the way");
}
