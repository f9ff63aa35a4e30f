//! A right that is revoked while a server runs shows as what it is, and heals.

use bson::doc;
use order_archiver_api::v1 as pb;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{DATABASE, Privilege, privileges, role_of, serve};
use crate::{
    check_privileges::Guarded,
    support::{TestServer, eventually, http::get, order, within},
};

/// Whether a service says SERVING; none asks for all of them.
async fn serves(server: &TestServer, service: &str) -> bool {
    let mut client = HealthClient::new(server.channel.clone());
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = client.check(request).await.unwrap().into_inner();
    answer.status() == tonic_health::pb::health_check_response::ServingStatus::Serving
}

/// What is revoked while a server runs, the services that stand still then, and what is lost.
const REVOKED: &[(&str, &str, &[&str], &str)] = &[
    (
        "insert",
        "Historique",
        &["ArchiveService", "BatchService", "WatcherService"],
        "nothing is archived",
    ),
    (
        "insert",
        "archd_ledger",
        &["VerificationService"],
        "verifications can't run",
    ),
    (
        "update",
        "archd_counters",
        &["StatsService"],
        "the figures are not kept",
    ),
    // Everything is still there that the index of a new collection would be made for.
    (
        "createIndex",
        "archd_batches",
        &["BatchService"],
        "batches can't run",
    ),
    (
        "changeStream",
        "",
        &["EventService", "WatcherService"],
        "orders are not archived as they are delivered",
    ),
];

#[tokio::test]
async fn a_right_that_is_revoked_while_a_server_runs_shows_as_such_and_heals() {
    const USER: &str = "revoked";
    let guarded = Guarded::start().await;
    let all = privileges(&role_of(DATABASE).await);
    let documents = all.iter().map(Privilege::as_document).collect();
    let uri = guarded.user(USER, documents).await;
    let server = serve(&guarded.admin, &uri, DATABASE).await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Watching).await;
    for (action, collection, services, lost) in REVOKED {
        let resource = doc! { "db": DATABASE, "collection": *collection };
        let privilege = Privilege {
            resource,
            action: (*action).to_owned(),
        };
        let (what, on) = (privilege.as_document(), privilege.on());
        guarded
            .run(doc! { "revokePrivilegesFromRole": USER, "privileges": [&what] })
            .await;
        // The privileges are looked at every few seconds.
        let words = format!("not ok: the database user lacks {action} on ");
        let status = eventually(async || {
            let status = server.archctl("status").await;
            status.first().starts_with(&words).then_some(status)
        })
        .await;
        assert_eq!(status.code, Some(11), "{status:?}");
        assert!(status.first().contains(lost), "{status:?}");
        for service in *services {
            let service = format!("orderarchiver.v1.{service}");
            eventually(async || (!serves(&server, &service).await).then_some(())).await;
        }
        // Whatever can do its work goes on.
        assert!(serves(&server, "").await, "{action} on {on}");
        assert!(serves(&server, "orderarchiver.v1.InstanceService").await);
        let ready = get(server.http.unwrap(), "/readyz").await;
        assert!(ready.body.contains("\"missing_privileges\":"), "{ready:?}");
        assert!(
            !ready.body.contains("\"missing_privileges\":0"),
            "{ready:?}"
        );
        let metrics = get(server.http.unwrap(), "/metrics").await.body;
        assert!(!metrics.contains("order_archiver_missing_privileges 0"));
        if *action == "createIndex" {
            // An index that is lost has everything prepared anew.
            let archive = server.collection("Historique");
            archive.drop_index("numero_commande_1").await.unwrap();
            server.insert("Commande", [order("CMD-between")]).await;
            eventually(async || {
                let names = archive.list_index_names().await.unwrap();
                (names.len() == 2).then_some(())
            })
            .await;
            server.ready().await;
        }

        guarded
            .run(doc! { "grantPrivilegesToRole": USER, "privileges": [what] })
            .await;
        for service in *services {
            let service = format!("orderarchiver.v1.{service}");
            eventually(async || serves(&server, &service).await.then_some(())).await;
        }
        let healed = eventually(async || {
            let status = server.archctl("status").await;
            (status.code == Some(0)).then_some(status)
        });
        healed.await;
    }
    let numero = "CMD-at-last";
    server.insert("Commande", [order(numero)]).await;
    within(async { while !server.archived(1).await.contains(&numero.to_owned()) {} }).await;
    server.shut_down().await;
}
