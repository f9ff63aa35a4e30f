//! The document of the index build keeps no index from being built when it can't be read, and is
//! left alone when it is newer.

use bson::{Bson, doc};

use super::{assert_named, assert_works, program, server, set_aside, spoil};
use crate::support::{TestServer, eventually, faults, order};

#[tokio::test]
async fn a_bad_document_of_the_index_build_is_listed_and_keeps_no_index_from_being_built() {
    for (field, bad) in [
        ("lease", Bson::from("x")),
        ("alive_until", 7.into()),
        ("failed", doc! { "numbers": "many" }.into()),
    ] {
        let server = server().await;
        let set = doc! { field: bad };
        spoil(&server, "archd_state", "unique_index", set.clone()).await;
        set_aside(&server, "archd_state/unique_index").await;
        let mut spoilt = doc! { "_id": "unique_index" };
        spoilt.extend(set);
        server.insert("archd_state", [spoilt]).await;
        server.insert("Commande", [order("afterwards")]).await;
        drop_archive_index(&server).await;
        eventually(async || {
            // Whoever is asked looks whether the index is there.
            let archived = server.archive_order("afterwards").await;
            let names = server.collection("Historique").list_index_names().await;
            let is_there = names.unwrap().contains(&"numero_commande_1".to_owned());
            (is_there && archived.is_ok()).then_some(())
        })
        .await;
        let (code, said) = program(&server, &["state"]).await;
        assert_eq!(code, Some(0), "{field}: {said}");
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_newer_document_of_the_index_build_is_left_alone_and_named() {
    let server = server().await;
    let newer = doc! { "format": 2, "lease": "none" };
    spoil(&server, "archd_state", "unique_index", newer).await;
    let build = async || {
        let state = server.all("archd_state").await.into_iter();
        let mut builds = state.filter(|it| it.get_str("_id").unwrap() == "unique_index");
        builds.next().unwrap()
    };
    let before = build().await;
    // It is asked nothing while the index is there.
    assert_works(&server, "meanwhile").await;
    drop_archive_index(&server).await;
    server.insert("Commande", [order("late")]).await;
    eventually(async || {
        let status = server.archive_order("late").await.err()?;
        (faults(&status).0 == "STATE_NEWER").then(|| {
            assert_named(
                &status,
                "STATE_NEWER",
                "archd_state/unique_index",
                "format 2",
            );
        })
    })
    .await;
    assert_eq!(build().await, before);
    server.shut_down().await;
}

async fn drop_archive_index(server: &TestServer) {
    let archive = server.collection("Historique");
    archive.drop_index("numero_commande_1").await.unwrap();
}
