//! `archd check` names exactly the privileges that the database user lacks; the commands it prints
//! give them, and they are enough.

use std::{fs, os::unix::fs::PermissionsExt};

use archd::config::Config;
use bson::{Bson, doc};
use devkit::{Options, ReplicaSet};
use mongodb::Client;
use order_archiver_api::v1 as pb;
use tempfile::TempDir;

use crate::{
    check::check,
    mongosh::{commands, mongosh},
    support::{TestServer, eventually, order, within},
};

const DATABASE: &str = "livraison";

/// A set that asks who comes, its administrator, and the user of archd, which may do nothing yet.
pub(crate) struct Guarded {
    pub(crate) set: ReplicaSet,
    pub(crate) admin: Client,
    /// What the administrator's shell is told.
    root: String,
    /// What archd is told.
    pub(crate) uri: String,
    _key: TempDir,
}

impl Guarded {
    pub(crate) async fn start() -> Guarded {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs::write(&key, "c2FtZSBmb3IgZXZlcnkgbWVtYmVy").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let key = key.to_str().unwrap();
        let set = Options::new()
            .arg("--keyFile")
            .arg(key)
            .start()
            .await
            .unwrap();
        // The first user may be made by whoever is on the same machine.
        let nobody = set.client().await.unwrap().database("admin");
        let root = doc! { "createUser": "root", "pwd": "root", "roles": ["root"] };
        nobody.run_command(root).await.unwrap();
        let uri = |user: &str| {
            let address = set.nodes()[0].address();
            format!("mongodb://{user}:{user}@{address}/?directConnection=true&authSource=admin")
        };
        let admin = Client::with_uri_str(uri("root")).await.unwrap();
        let archd = doc! { "createUser": "archd", "pwd": "archd", "roles": [] };
        admin.database("admin").run_command(archd).await.unwrap();
        Guarded {
            admin,
            uri: uri("archd"),
            root: uri("root"),
            set,
            _key: folder,
        }
    }

    /// Runs the commands of a fix in the shell.
    pub(crate) async fn apply(&self, fix: &str) {
        assert!(fix.lines().all(|line| line.starts_with("db.")), "{fix}");
        mongosh(&self.root, &commands(fix)).await;
    }

    async fn revoke(&self, role: &str, collection: &str, action: &str) {
        let privilege =
            doc! { "resource": { "db": DATABASE, "collection": collection }, "actions": [action] };
        let command = doc! { "revokePrivilegesFromRole": role, "privileges": [privilege] };
        self.admin
            .database("admin")
            .run_command(command)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_check_grants_is_all_that_archd_needs() {
    let guarded = Guarded::start().await;
    let database = guarded.admin.database(DATABASE);
    database.create_collection("Commande").await.unwrap();

    let stranger = guarded.set.uri();
    let checked = check(&stranger, DATABASE).await;
    checked.assert_is("privileges", 5, "failed");
    assert!(
        checked
            .found("privileges")
            .contains("MONGODB_URI names none"),
        "{}",
        checked.text
    );

    let checked = check(&guarded.uri, DATABASE).await;
    checked.assert_is("privileges", 5, "failed");
    assert!(!checked.text.contains("archd:archd"), "{}", checked.text);
    guarded.apply(checked.fix("privileges")).await;

    // Enough to archive and to watch; each thing more is named with what is lost without it.
    let checked = check(&guarded.uri, DATABASE).await;
    checked.assert_is("privileges", 0, "ok");
    assert_eq!(checked.verdict("change stream"), "ok", "{}", checked.text);
    assert_eq!(
        checked.verdict("optional privileges"),
        "warning",
        "{}",
        checked.text
    );
    for unknown in ["majority writes", "history"] {
        assert_eq!(checked.verdict(unknown), "not_checked", "{}", checked.text);
    }
    assert_works(&guarded, false).await;

    guarded.apply(checked.fix("optional privileges")).await;
    let checked = check(&guarded.uri, DATABASE).await;
    for name in [
        "privileges",
        "optional privileges",
        "superfluous privileges",
        "majority writes",
        "history",
    ] {
        assert_eq!(checked.verdict(name), "ok", "{}", checked.text);
    }
    assert_works(&guarded, true).await;

    // One that is taken away again is missed, alone, and the role that is there by now gets it
    // back.
    guarded
        .revoke("archd_livraison", "Historique", "insert")
        .await;
    let checked = check(&guarded.uri, DATABASE).await;
    assert_eq!(checked.code, Some(5), "{}", checked.text);
    assert_eq!(
        checked.found("privileges"),
        r#"user "archd" lacks insert on livraison.Historique: nothing is archived"#
    );
    guarded.apply(checked.fix("privileges")).await;
    let checked = check(&guarded.uri, DATABASE).await;
    checked.assert_is("privileges", 0, "ok");

    // What is too much is named too, and the fix leaves nothing but what is needed.
    let more = doc! { "grantRolesToUser": "archd", "roles": ["clusterMonitor", { "role": "dbAdmin", "db": DATABASE }] };
    let admin = guarded.admin.database("admin");
    admin.run_command(more).await.unwrap();
    let checked = check(&guarded.uri, DATABASE).await;
    checked.assert_is("superfluous privileges", 0, "warning");
    for named in [
        "serverStatus",
        "dropCollection",
        "on all of livraison",
        "on the cluster",
    ] {
        assert!(
            checked.found("superfluous privileges").contains(named),
            "{}",
            checked.text
        );
    }
    guarded.apply(checked.fix("superfluous privileges")).await;
    let checked = check(&guarded.uri, DATABASE).await;
    for name in [
        "privileges",
        "optional privileges",
        "superfluous privileges",
    ] {
        checked.assert_is(name, 0, "ok");
    }
}

/// Everything that the server does for somebody, as the user of archd: with all the privileges also
/// what takes the optional ones.
async fn assert_works(guarded: &Guarded, all: bool) {
    let round = if all { "all" } else { "few" };
    let began = std::time::SystemTime::now();
    let mut config = Config::simulation(&guarded.uri, DATABASE).unwrap();
    config.watch = true;
    let server = TestServer::launch(config, guarded.admin.database(DATABASE)).await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Watching).await;

    // Its heartbeat, which it takes away in the end.
    let heartbeats = server.collection("archd_instances");
    let given = async || heartbeats.find_one(doc! {}).await.unwrap();
    eventually(given).await;
    // By the watcher.
    let watched = format!("CMD-{round}-1");
    server.insert("Commande", [order(watched.as_str())]).await;
    within(async { while !server.archived(1).await.contains(&watched) {} }).await;
    // By the batch, which meets an order that it can't archive.
    server.insert("Commande", [order(Bson::Null)]).await;
    let options = pb::BatchOptions {
        create_indexes: all,
        ..pb::BatchOptions::default()
    };
    let batch = server.run_batch_with(options).await;
    assert_eq!(batch.state(), pb::BatchState::Succeeded, "{batch:?}");
    // By a caller.
    let result = server.archive_order(&watched).await.unwrap();
    assert_eq!(result.numero_commande, watched);

    let quarantined = server
        .quarantine()
        .list_quarantined(pb::ListQuarantinedRequest::default())
        .await;
    let ids: Vec<String> = quarantined
        .unwrap()
        .into_inner()
        .entries
        .into_iter()
        .map(|entry| entry.id)
        .collect();
    assert!(!ids.is_empty());
    let retry = pb::RetryQuarantinedRequest { ids: ids.clone() };
    server.quarantine().retry_quarantined(retry).await.unwrap();
    let let_go = pb::DropQuarantinedRequest { ids };
    server.quarantine().drop_quarantined(let_go).await.unwrap();
    server
        .stats()
        .get_stats(pb::GetStatsRequest::default())
        .await
        .unwrap();

    let since = pb::tail_events_request::Start::SinceTime(began.into());
    let request = pb::TailEventsRequest {
        start: Some(since),
        ..Default::default()
    };
    let news = server.events().tail_events(request).await;
    assert_eq!(news.is_ok(), all, "{news:?}");
    // No privilege beyond these is needed for them to tell everything.
    if let Ok(news) = news {
        let mut news = news.into_inner();
        loop {
            let message = within(news.message()).await.unwrap().unwrap();
            assert!(!message.detail_unknown, "{message:?}");
            if message.kind() == pb::EventKind::Released {
                break;
            }
        }
    }

    server.shut_down().await;
    assert_eq!(heartbeats.count_documents(doc! {}).await.unwrap(), 0);
}
