//! Whoever runs the commands that `archd check` prints has nothing left to complain of, and no
//! order less.

use bson::{Document, doc};
use devkit::ReplicaSet;
use futures::{StreamExt, stream};

use super::cases::{CASES, Case};
use crate::{
    check::{check, check_with, furnish},
    mongosh::{commands, mongosh},
};

/// Spoils a database, follows the advice to the letter, and sees that nothing is left to complain
/// of and no order is lost.
async fn is_mended(set: &ReplicaSet, case: &Case) {
    let name = case.name;
    let server = furnish(set).await;
    let database = server.database.clone();
    server.shut_down().await;
    (case.spoil)(database.clone()).await;
    let archive = database.collection::<Document>("Historique");
    let before = archive.count_documents(doc! {}).await.unwrap();

    let spoilt = check(&set.uri(), database.name()).await;
    let verdict = spoilt.verdict(case.finding);
    assert!(
        ["warning", "failed"].contains(&verdict),
        "{name}: {}",
        spoilt.text
    );
    let advice = spoilt.fixes();
    for word in ["delete", "remove(", "drop("] {
        assert!(!advice.contains(word), "{name}: {advice}");
    }
    mongosh(&set.uri(), &commands(&advice)).await;

    let setting = "ARCHD_COLLECTION_ARCHIVE";
    let other = advice.split_once(&format!("{setting}="));
    let other = other.map(|(_, rest)| rest.split([',', '\n']).next().unwrap());
    let settings: Vec<(&str, &str)> = other.iter().map(|other| (setting, *other)).collect();
    let mut mended = check_with(&set.uri(), database.name(), &[], &settings).await;
    if other.is_some() {
        // There is a unique index to be made on the other one.
        mongosh(&set.uri(), &commands(&mended.fixes())).await;
        mended = check_with(&set.uri(), database.name(), &[], &settings).await;
    }
    assert_eq!(
        mended.complaints(),
        [""; 0],
        "{name}: {advice}\n{}",
        mended.text
    );
    let archive = database.collection::<Document>(other.unwrap_or("Historique"));
    let after = archive.count_documents(doc! {}).await.unwrap();
    assert_eq!(after, before, "{name}: {advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_advises_mends_what_it_is_for() {
    // Of its own, because only a young history is whole.
    let set = ReplicaSet::start().await.unwrap();
    let mending = stream::iter(CASES).map(|case| is_mended(&set, case));
    let () = mending.buffer_unordered(3).collect().await;
}
