//! What somebody has to mend about the database is told from a database that is away, with its
//! mend, and no program asks again for it.

use std::path::{Path, PathBuf};

use bson::doc;
use devkit::{Options, ReplicaSet, Standalone};
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_types::StatusExt;

use crate::{
    process::run,
    support::{TestServer, eventually, faults},
};

/// That everybody is told these words of a database at this URI: callers, a batch and a check, each
/// in a way that says whether waiting helps.
async fn told(uri: &str, words: &str, passes: bool) {
    let server = TestServer::on(uri, "faulty").await;
    let status = eventually(async || {
        let status = server.archive_order("CMD-2025-000001").await.unwrap_err();
        status.message().contains(words).then_some(status)
    })
    .await;
    let (code, reason) = match passes {
        true => (Code::Unavailable, "DATABASE_UNAVAILABLE"),
        false => (Code::FailedPrecondition, "DATABASE_UNUSABLE"),
    };
    assert_eq!(
        (status.code(), faults(&status).0.as_str()),
        (code, reason),
        "{status:?}"
    );
    assert_eq!(
        status.get_details_retry_info().is_some(),
        passes,
        "{status:?}"
    );
    server.health(ServingStatus::NotServing).await;
    server.shut_down().await;

    let settings = [
        ("MONGODB_URI", uri),
        ("MONGODB_DATABASE", "faulty"),
        ("ARCHD_WATCH", "false"),
    ];
    let wait = if passes { "6s" } else { "40s" };
    let (code, stdout, stderr) = run(&["batch", "--wait", wait], &settings).await;
    assert_eq!(code, Some(if passes { 4 } else { 1 }), "{stdout}{stderr}");
    assert!(
        stderr.contains(&words.replace('"', "\\\"")) || stderr.contains(words),
        "{stderr}"
    );
    let (code, stdout, stderr) = run(&["check", "--wait", wait], &settings).await;
    // A member that answers and is no primary is something that a check can fail.
    assert!(
        code == Some(5) || passes && code == Some(4),
        "{code:?}: {stdout}{stderr}"
    );
}

/// A certificate for this machine, signed by itself: its own file, and one with its key.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (trusted, with_key) = (folder.join("ca.pem"), folder.join("mongod.pem"));
    let certificate = made.cert.pem();
    std::fs::write(&trusted, &certificate).unwrap();
    std::fs::write(&with_key, certificate + &made.signing_key.serialize_pem()).unwrap();
    (trusted, with_key)
}

async fn with_tls(with_key: &Path) -> Standalone {
    let options = Options::new()
        .arg("--tlsMode")
        .arg("requireTLS")
        .arg("--tlsCertificateKeyFile")
        .arg(with_key.to_str().unwrap())
        .arg("--tlsAllowConnectionsWithoutCertificates");
    options.start_standalone().await.unwrap()
}

#[tokio::test]
async fn the_name_of_another_set_is_told_with_the_right_one() {
    let set = ReplicaSet::shared().await.unwrap();
    let address = set.nodes()[0].address();
    let hello = set.nodes()[0].admin(doc! { "hello": 1 }).await.unwrap();
    let name = hello.get_str("setName").unwrap();
    let words = format!("asks for the replica set \"wrong\" and its servers belong to {name:?}");
    told(
        &format!("mongodb://{address}/?replicaSet=wrong"),
        &words,
        false,
    )
    .await;
    told(
        &format!("mongodb://{address}/?replicaSet=wrong&directConnection=true"),
        &words,
        false,
    )
    .await;
    let alone = Standalone::start().await.unwrap();
    let words = "asks for the replica set \"rs0\" and its server belongs to none";
    told(
        &format!("mongodb://{}/?replicaSet=rs0", alone.node().address()),
        words,
        false,
    )
    .await;
}

#[tokio::test]
async fn tls_against_a_plain_server_and_the_reverse_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (trusted, with_key) = certificate(folder.path());
    let encrypted = with_tls(&with_key).await;
    let address = encrypted.node().address();
    let plain = ReplicaSet::shared().await.unwrap().nodes()[0].address();
    told(
        &format!("mongodb://{plain}/?tls=true&directConnection=true"),
        "asks for TLS, and the server answers only without",
        false,
    )
    .await;
    told(
        &format!("mongodb://{address}/?directConnection=true"),
        "speaks nothing but TLS",
        false,
    )
    .await;
    told(
        &format!("mongodb://{address}/?directConnection=true&tls=true"),
        "certificate is not trusted",
        false,
    )
    .await;
    // And as it should be.
    let ca = trusted.display();
    let right = format!("mongodb://{address}/?directConnection=true&tls=true&tlsCAFile={ca}");
    let server = TestServer::on(&right, "encrypted").await;
    server.ready().await;
    server.shut_down().await;
}

#[tokio::test]
async fn refused_credentials_are_told() {
    let guarded = Options::new()
        .arg("--auth")
        .start_standalone()
        .await
        .unwrap();
    let address = guarded.node().address();
    let root = doc! { "createUser": "root", "pwd": "right", "roles": ["root"] };
    guarded.node().admin(root).await.unwrap();
    for credentials in ["root:wrong", "nobody:right"] {
        let uri = format!("mongodb://{credentials}@{address}/?directConnection=true");
        told(&uri, "refused the user or the password", false).await;
    }
    let elsewhere =
        format!("mongodb://root:right@{address}/?directConnection=true&authSource=elsewhere");
    told(&elsewhere, "refused the user or the password", false).await;
    let right = format!("mongodb://root:right@{address}/?directConnection=true");
    let server = TestServer::on(&right, "guarded").await;
    server.ready().await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_set_that_elects_nobody_is_told_from_one_that_is_down_and_from_one_that_was_never_begun()
{
    let set = ReplicaSet::start_nodes(3).await.unwrap();
    let uri = set.uri();
    // Nobody stands for election, so all members are up and none is primary.
    let primary = set.primary().await.unwrap();
    for node in set.nodes() {
        if node.address() != primary.address() {
            node.admin(doc! { "replSetFreeze": 600 }).await.unwrap();
        }
    }
    let step_down = doc! { "replSetStepDown": 600, "secondaryCatchUpPeriodSecs": 1, "force": true };
    primary.admin(step_down).await.unwrap();
    told(&uri, "has no primary, 3 of 3 members answer", true).await;
    let member = set.nodes()[0].uri();
    told(&member, "leave directConnection out there", true).await;
    drop(set);
    told(&uri, "nobody listens there", true).await;
    let unborn = Options::new()
        .arg("--replSet")
        .arg("rs0")
        .start_standalone()
        .await
        .unwrap();
    told(
        &format!("mongodb://{}/?replicaSet=rs0", unborn.node().address()),
        "run rs.initiate()",
        true,
    )
    .await;
    told(
        "mongodb://no-such-host.invalid/?replicaSet=rs0",
        "has no address yet",
        true,
    )
    .await;
}

#[tokio::test]
async fn messages_are_compressed_where_that_is_asked_for() {
    let set = ReplicaSet::shared().await.unwrap();
    for compressor in ["snappy", "zlib", "zstd"] {
        let bytes = async || {
            let status = set.nodes()[0]
                .admin(doc! { "serverStatus": 1, "network": 1 })
                .await
                .unwrap();
            let network = status.get_document("network").unwrap();
            let compression = network.get_document("compression").unwrap();
            let of = compression.get_document(compressor).unwrap();
            of.get_document("decompressor")
                .unwrap()
                .get_i64("bytesIn")
                .unwrap()
        };
        let before = bytes().await;
        let uri = format!("{}&compressors={compressor}", set.uri());
        let database = set.fresh_database_name();
        let server = TestServer::on(&uri, &database).await;
        server.ready().await;
        server.insert("Commande", crate::support::orders(50)).await;
        assert_eq!(
            crate::support::tally(server.run_batch().await.counts),
            [50, 50, 0, 0]
        );
        assert!(bytes().await > before, "{compressor}");
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_bad_uri_ends_every_command_at_once_with_all_that_is_wrong() {
    for command in ["serve", "batch", "watch", "check", "state"] {
        let uri = "mongodb://u:c4n4ry@@h:x/?replicSet=a&tls=maybe";
        let (code, stdout, stderr) = run(&[command], &[("MONGODB_URI", uri)]).await;
        assert_eq!(code, Some(2), "{command}: {stdout}{stderr}");
        for words in [
            "unescaped `@` in the password",
            "a port in host 1",
            "write `replicaSet`",
            "`tls`; give true or false",
        ] {
            assert!(
                stderr.contains(words),
                "{command}: {words} is not in\n{stderr}"
            );
        }
        assert!(!format!("{stdout}{stderr}").contains("c4n4ry"), "{stderr}");
    }
}
