//! A verification records so many differences and no more, and says what it left out.

use archd::{
    domain::verify::{class::Class, verdict::Verdict},
    verifier::pass::Bounds,
};

use super::{Asked, Ground, archived};
use crate::support::orders;

const BOUNDS: Bounds = Bounds {
    failing: 20,
    of_a_class: 7,
};

fn asked() -> Asked {
    Asked {
        bounds: BOUNDS,
        chunk: 5,
        ..Asked::default()
    }
}

#[tokio::test]
async fn too_many_differences_end_it_without_a_good_verdict() {
    let ground = Ground::new().await;
    ground.orders().insert_many(orders(300)).await.unwrap();
    let report = ground.verify(&asked()).await;
    let conclusion = report.conclusion;
    assert_eq!(conclusion.verdict, Verdict::NotVerified);
    // It stops within the pages that are under way.
    let missing = conclusion.counts.of(Class::Missing);
    assert!((21..=60).contains(&missing), "{missing}");
    assert_eq!(report.differences.len() as i64, missing);
    let warnings = conclusion.warnings.join("\n");
    assert!(
        warnings.contains("more than 20 differences; stopped at _id"),
        "{warnings}"
    );
    assert!(warnings.contains("run a batch first"), "{warnings}");
    assert!(conclusion.days.is_empty());
}

#[tokio::test]
async fn of_what_does_not_fail_the_first_are_recorded_and_all_are_counted() {
    let ground = Ground::new().await;
    let ghosts: Vec<_> = orders(50).map(|order| archived(&order)).collect();
    ground.archive().insert_many(ghosts).await.unwrap();
    let report = ground.verify(&asked()).await;
    let conclusion = report.conclusion;
    assert_eq!(conclusion.verdict, Verdict::Verified);
    assert_eq!(conclusion.counts.of(Class::Orphaned), 50);
    assert_eq!(report.differences.len(), 7);
    let told = "of 50 orphaned differences the first 7 are listed".to_owned();
    assert_eq!(conclusion.warnings, [told]);
}
