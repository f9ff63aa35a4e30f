//! A server that can't archive gives the same advice, and archives once somebody has followed it.

use devkit::ReplicaSet;

use super::cases::CASES;
use crate::{check::furnish, mongosh::mongosh, support::TestServer};

#[tokio::test]
async fn a_server_gives_the_same_advice_and_follows_it_up() {
    let set = ReplicaSet::shared().await.unwrap();
    for (name, words) in [
        (
            "no number",
            "holds 5 documents that have no numero_commande",
        ),
        (
            "a text twice",
            "more than once, for example \"A-1\", \"A-2\"",
        ),
        ("a number twice", "more than once, for example 7, "),
        (
            "lists that share a member",
            "for example \"A-1\", \"A-2\", \"A-3\"",
        ),
        (
            "lists without a number",
            "holds 5 documents that have no numero_commande",
        ),
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let server = furnish(set).await;
        let database = server.database.clone();
        server.shut_down().await;
        (case.spoil)(database.clone()).await;
        let server = TestServer::on(&set.uri(), database.name()).await;
        crate::support::eventually(async || {
            let status = server.archive_order("CMD-2025-000001").await.unwrap_err();
            status.message().contains(words).then_some(())
        })
        .await;
        // Callers hear as much of it as the headers of an answer can carry, the log all of it.
        let store = archd::store::Store::new(&server.config).await.unwrap();
        let said = crate::support::eventually(async || {
            let said = store.prepare_archive().await.unwrap_err().to_string();
            said.contains("; mend: ").then_some(said)
        })
        .await;
        store.close().await;
        assert!(said.contains(words), "{name}: {said}");
        assert!(!said.contains("delete"), "{name}: {said}");
        let (_, mends) = said.split_once("; mend: ").unwrap();
        let mends: Vec<String> = mends.split("; ").map(str::to_owned).collect();
        mongosh(&set.uri(), &mends).await;
        server.ready().await;
        server.shut_down().await;
    }
}
