//! Every RPC, by everybody.

use std::collections::BTreeMap;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use prost::Message;
use tonic::Code;
use tonic_types::StatusExt;

use super::{Identities, call, line, token};
use crate::support::{TestServer, faults};

/// The right that each method needs, as `docs/security.md` says it; empty where it needs none.
const RIGHTS: &[(&str, &[&str])] = &[
    (
        "read",
        &[
            "/orderarchiver.v1.ArchiveService/GetArchivedOrder",
            "/orderarchiver.v1.ArchiveService/ListArchivedOrders",
            "/orderarchiver.v1.BatchService/GetBatch",
            "/orderarchiver.v1.BatchService/ListBatches",
            "/orderarchiver.v1.BatchService/WatchBatch",
            "/orderarchiver.v1.EventService/TailEvents",
            "/orderarchiver.v1.InstanceService/GetInstance",
            "/orderarchiver.v1.InstanceService/ListInstances",
            "/orderarchiver.v1.QuarantineService/ListQuarantined",
            "/orderarchiver.v1.StatsService/GetStats",
            "/orderarchiver.v1.VerificationService/ExplainOrder",
            "/orderarchiver.v1.VerificationService/GetVerification",
            "/orderarchiver.v1.VerificationService/ListAcknowledgements",
            "/orderarchiver.v1.VerificationService/ListDifferences",
            "/orderarchiver.v1.VerificationService/ListLedger",
            "/orderarchiver.v1.VerificationService/ListVerifications",
            "/orderarchiver.v1.VerificationService/WatchVerification",
            "/orderarchiver.v1.WatcherService/GetWatcher",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ],
    ),
    (
        "archive",
        &[
            "/orderarchiver.v1.ArchiveService/ArchiveOrder",
            "/orderarchiver.v1.ArchiveService/ArchiveOrders",
        ],
    ),
    (
        "operate",
        &[
            "/orderarchiver.v1.BatchService/CancelBatch",
            "/orderarchiver.v1.BatchService/StartBatch",
            "/orderarchiver.v1.BatchService/TuneBatch",
            "/orderarchiver.v1.QuarantineService/RetryQuarantined",
            "/orderarchiver.v1.VerificationService/AcknowledgeDifference",
            "/orderarchiver.v1.VerificationService/CancelVerification",
            "/orderarchiver.v1.VerificationService/StartVerification",
            "/orderarchiver.v1.WatcherService/PauseWatcher",
            "/orderarchiver.v1.WatcherService/ResumeWatcher",
        ],
    ),
    (
        "destroy",
        &[
            "/orderarchiver.v1.QuarantineService/DropQuarantined",
            "/orderarchiver.v1.SeedService/SeedData",
            "/orderarchiver.v1.VerificationService/RepairOrders",
            // There is no such method: what nobody has given a right to needs the highest.
            "/orderarchiver.v1.ArchiveService/PurgeOrders",
            "/orderarchiver.v2.ArchiveService/GetArchivedOrder",
        ],
    ),
    (
        "",
        &[
            "/grpc.health.v1.Health/Check",
            "/grpc.health.v1.Health/Watch",
        ],
    ),
];

/// Those who call, and the rights that each has.
pub(super) const CALLERS: &[(&str, &[&str])] = &[
    ("n-reads", &["read"]),
    ("n-archives", &["archive"]),
    ("n-both", &["read", "archive"]),
    ("n-operates", &["read", "archive", "operate"]),
    ("n-destroys", &["read", "archive", "operate", "destroy"]),
];

pub(super) fn methods() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of = |(right, methods): &(&'static str, &'static [&'static str])| {
        let right = *right;
        methods.iter().map(move |method| (right, *method))
    };
    RIGHTS.iter().flat_map(of)
}

#[test]
fn the_table_has_every_method_of_the_contract_and_of_the_services_beside_it() {
    let sets = [
        order_archiver_api::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let sets = sets.map(|set| prost_types::FileDescriptorSet::decode(set).unwrap());
    let files = sets.iter().flat_map(|set| &set.file);
    let mut served: Vec<String> = files
        .flat_map(|file| {
            file.service.iter().flat_map(move |service| {
                let service_name = format!("{}.{}", file.package(), service.name());
                let methods = service.method.iter();
                methods.map(move |method| format!("/{service_name}/{}", method.name()))
            })
        })
        .collect();
    served.sort();
    let no_such = ["PurgeOrders", "orderarchiver.v2"];
    let mut listed: Vec<&str> = methods().map(|(_, method)| method).collect();
    listed.retain(|method| !no_such.iter().any(|name| method.contains(name)));
    listed.sort_unstable();
    assert_eq!(listed, served);
}

/// All that the database holds, but for the heartbeats of the instance.
pub(super) async fn contents(database: &Database) -> BTreeMap<String, Vec<Document>> {
    let mut contents = BTreeMap::new();
    for name in database.list_collection_names().await.unwrap() {
        if name != "archd_instances" {
            let collection = database.collection(&name);
            let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
            let found = found.await.unwrap();
            contents.insert(name, found.try_collect().await.unwrap());
        }
    }
    contents
}

#[tokio::test]
async fn each_method_is_open_to_those_with_its_right_and_to_nobody_else() {
    let lines: Vec<String> = [
        ("n-reads", "read"),
        ("n-archives", "archive"),
        ("n-both", "archive,read"),
        ("n-operates", "operate"),
        ("n-destroys", "destroy"),
    ]
    .map(|(name, right)| line(name, right))
    .to_vec();
    let revoked = line("revoked", "destroy");
    let identities = Identities::new(&[&lines[..], &[revoked]].concat());
    let server = identities.server().await;
    let channel = &server.channel;
    // Known once, and not any more.
    let stats = "/orderarchiver.v1.StatsService/GetStats";
    call(channel, stats, Some(&token("revoked"))).await.unwrap();
    identities.rewrite(&lines);
    crate::support::eventually(async || {
        let again = call(channel, stats, Some(&token("revoked"))).await;
        again.is_err().then_some(())
    })
    .await;

    let before = contents(&server.database).await;
    let strangers = [
        None,
        Some(token("revoked")),
        Some(token("nobody")),
        Some("short".to_owned()),
    ];
    for (right, method) in methods().filter(|(right, _)| !right.is_empty()) {
        for stranger in &strangers {
            let status = call(channel, method, stranger.as_deref())
                .await
                .unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{method}: {status:?}");
            assert_eq!(faults(&status).0, "UNAUTHENTICATED", "{method}");
            assert!(
                status.message().contains("authorization: Bearer"),
                "{status:?}"
            );
        }
        for (name, _) in CALLERS
            .iter()
            .filter(|(_, rights)| !rights.contains(&right))
        {
            let status = call(channel, method, Some(&token(name))).await.unwrap_err();
            let told = format!("{name} calls {method}: {status:?}");
            assert_eq!(status.code(), Code::PermissionDenied, "{told}");
            assert_eq!(faults(&status).0, "PERMISSION_DENIED", "{told}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["right"], right, "{told}");
            assert!(status.message().contains(&format!("`{right}`")), "{told}");
            let said = format!("{status:?}").to_lowercase();
            let names = CALLERS.iter().map(|(name, _)| *name).chain(["revoked"]);
            for other in names {
                assert!(!said.contains(other), "{told} tells of {other}");
            }
        }
    }
    assert_eq!(
        contents(&server.database).await,
        before,
        "a refused call changes nothing"
    );

    for (right, method) in methods() {
        if right.is_empty() {
            let answer = call(channel, method, None).await;
            assert!(answer.is_ok(), "{method}: {answer:?}");
            continue;
        }
        for (name, _) in CALLERS.iter().filter(|(_, rights)| rights.contains(&right)) {
            let answer = call(channel, method, Some(&token(name))).await;
            let code = answer.map_or_else(|status| status.code(), |()| Code::Ok);
            let refusals = [Code::PermissionDenied, Code::Unauthenticated];
            assert!(!refusals.contains(&code), "{name} calls {method}: {code:?}");
        }
    }
    assert_ne!(
        contents(&server.database).await,
        before,
        "calls that are allowed do something"
    );
}

#[tokio::test]
async fn without_a_file_nobody_is_asked() {
    let server = TestServer::start().await;
    for (_, method) in methods() {
        let answer = call(&server.channel, method, None).await;
        let code = answer.map_or_else(|status| status.code(), |()| Code::Ok);
        let refusals = [Code::PermissionDenied, Code::Unauthenticated];
        assert!(!refusals.contains(&code), "{method}: {code:?}");
    }
}
