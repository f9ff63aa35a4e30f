//! archd is known to the database by what its URI says: a certificate, or a password under either
//! mechanism. Certificates that are replaced while it runs are taken without a restart.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use archd::config::Config;
use bson::doc;
use devkit::{
    Options, ReplicaSet,
    certificates::{Authority, Subject, file},
};
use mongodb::Client;
use order_archiver_api::v1 as pb;
use tempfile::TempDir;

use crate::{
    check::{Checked, check_with},
    support::{TestServer, order, within},
};

const DATABASE: &str = "livraison";
/// Who archd is by its certificate.
const SUBJECT: &str = "CN=archd";

/// A set that asks who comes, and speaks TLS with whoever asks for it.
struct Encrypted {
    set: ReplicaSet,
    admin: Client,
    /// The files of both sides, under the same names whatever is in them.
    folder: TempDir,
}

impl Encrypted {
    async fn start() -> Encrypted {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("the first").unwrap();
        certify(&folder, &authority);
        let key = file(folder.path(), "members.key", "c2FtZSBmb3IgZXZlcnkgbWVtYmVy").unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let options = [
            ("--keyFile", key.to_str().unwrap().to_owned()),
            // The tests themselves come without.
            ("--tlsMode", "preferTLS".to_owned()),
            ("--tlsCertificateKeyFile", path("mongod.pem")),
            ("--tlsCAFile", path("mongod-ca.pem")),
        ];
        let mut set = Options::new().arg("--tlsAllowConnectionsWithoutCertificates");
        for (name, value) in options {
            set = set.arg(name).arg(value);
        }
        let set = set.start().await.unwrap();
        let nobody = set.client().await.unwrap().database("admin");
        let root = doc! { "createUser": "root", "pwd": "root", "roles": ["root"] };
        nobody.run_command(root).await.unwrap();
        let address = set.nodes()[0].address();
        let uri = format!("mongodb://root:root@{address}/?directConnection=true&authSource=admin");
        let admin = Client::with_uri_str(uri).await.unwrap();
        let roles = doc! { "role": "readWrite", "db": DATABASE };
        for (mechanism, user) in [("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")] {
            let create = doc! { "createUser": user, "pwd": "p@ss", "roles": [&roles], "mechanisms": [mechanism] };
            admin.database("admin").run_command(create).await.unwrap();
        }
        let create = doc! { "createUser": SUBJECT, "roles": [&roles] };
        let external = admin.database("$external");
        external.run_command(create).await.unwrap();
        Encrypted { set, admin, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The URI of the set, by TLS, with these credentials and options.
    fn uri(&self, credentials: &str, options: &str) -> String {
        let address = self.set.nodes()[0].address();
        let ca = self.path("archd-ca.pem");
        format!(
            "mongodb://{credentials}{address}/?directConnection=true&tls=true&tlsCAFile={}{options}",
            ca.display()
        )
    }

    /// The URI for whoever shows the certificate in a file.
    fn uri_by(&self, certificate: &str) -> String {
        let certificate = self.path(certificate);
        let options = format!(
            "&authMechanism=MONGODB-X509&tlsCertificateKeyFile={}",
            certificate.display()
        );
        self.uri("", &options)
    }

    async fn check(&self, uri: &str) -> Checked {
        check_with(uri, DATABASE, &["--wait=5s"], &[]).await
    }

    /// Starts mongod again, with the files as they are now.
    async fn restart(&self) {
        let node = &self.set.nodes()[0];
        node.terminate().await.unwrap();
        node.restart().await.unwrap();
        within(self.set.primary()).await.unwrap();
    }
}

/// Writes the files that both sides need, all vouched for by this authority.
fn certify(folder: &TempDir, authority: &Authority) {
    certify_mongod(folder, authority);
    certify_archd(folder, authority);
}

fn certify_mongod(folder: &TempDir, authority: &Authority) {
    let mongod = Subject::server(&["localhost", "127.0.0.1"]).unwrap();
    // The members of a set are known by their organization.
    let mongod = authority.issue(mongod.organization("members")).unwrap();
    file(folder.path(), "mongod.pem", &mongod.combined()).unwrap();
    file(folder.path(), "mongod-ca.pem", &authority.pem()).unwrap();
}

fn certify_archd(folder: &TempDir, authority: &Authority) {
    let archd = authority.issue(Subject::client("archd")).unwrap();
    file(folder.path(), "archd.pem", &archd.combined()).unwrap();
    file(folder.path(), "archd-ca.pem", &authority.pem()).unwrap();
}

#[tokio::test]
async fn each_mechanism_lets_archd_in_and_each_fault_of_credentials_is_told() {
    let encrypted = Encrypted::start().await;
    let right = [
        encrypted.uri_by("archd.pem"),
        encrypted.uri(
            "sha1:p%40ss@",
            "&authMechanism=SCRAM-SHA-1&authSource=admin",
        ),
        encrypted.uri(
            "sha256:p%40ss@",
            "&authMechanism=SCRAM-SHA-256&authSource=admin",
        ),
        // The mechanism is agreed on.
        encrypted.uri("sha1:p%40ss@", "&authSource=admin"),
    ];
    for uri in &right {
        let checked = encrypted.check(uri).await;
        assert_eq!(
            checked.verdict("connection"),
            "ok",
            "{uri}: {}",
            checked.text
        );
        assert_eq!(
            checked.verdict("change stream"),
            "ok",
            "{uri}: {}",
            checked.text
        );
    }
    let database = encrypted.admin.database(DATABASE);
    let server = TestServer::launch(Config::simulation(&right[0], DATABASE).unwrap(), database);
    let server = server.await;
    server.ready().await;
    server.insert("Commande", [order("CMD-1")]).await;
    server.archive_order("CMD-1").await.unwrap();
    server.shut_down().await;
    // The role for a user that a certificate stands for is granted where that user is kept.
    let checked = encrypted.check(&right[0]).await;
    let fix = checked.fix("optional privileges");
    let kept = r#"db.getSiblingDB("$external").grantRolesToUser("CN=archd", "#;
    assert!(fix.contains(kept), "{fix}");

    let foreign = Authority::new("the first").unwrap();
    let stranger = foreign.issue(Subject::client("archd")).unwrap();
    let folder = encrypted.folder.path();
    file(folder, "foreign-ca.pem", &foreign.pem()).unwrap();
    file(folder, "no-key.pem", &stranger.certificate).unwrap();
    let untrusting = encrypted
        .uri_by("archd.pem")
        .replace("archd-ca.pem", "foreign-ca.pem");
    let wrong = [
        (
            encrypted.uri("sha256:c4n4ry@", "&authSource=admin"),
            "refused the user or the password",
        ),
        (untrusting, "certificate is not trusted"),
        (encrypted.uri_by("no-key.pem"), "TLS options"),
    ];
    for (uri, said) in &wrong {
        let checked = encrypted.check(uri).await;
        let found = checked.found("connection");
        assert!(found.contains(said), "{uri}: {}", checked.text);
        assert!(!checked.text.contains("c4n4ry"), "{}", checked.text);
    }
}

#[tokio::test]
async fn certificates_that_are_replaced_are_taken_without_a_restart() {
    let encrypted = Encrypted::start().await;
    let mut config = Config::simulation(&encrypted.uri_by("archd.pem"), DATABASE).unwrap();
    config.watch = true;
    let server = TestServer::launch(config, encrypted.admin.database(DATABASE)).await;
    server.ready().await;
    server.watcher_is(pb::WatcherState::Watching).await;

    // The database's side comes first, and archd is not let in any more.
    let authority = Authority::new("the second").unwrap();
    certify_mongod(&encrypted.folder, &authority);
    encrypted.restart().await;
    server.health(tonic_health::ServingStatus::NotServing).await;
    certify_archd(&encrypted.folder, &authority);
    server.ready().await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", [order("CMD-after")]).await;
    assert_eq!(server.archived(1).await, ["CMD-after"]);
    server.shut_down().await;
}
