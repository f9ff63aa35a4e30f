//! What the database comes to refuse and grants again it grants to a server that is running, too:
//! nobody has to restart it.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bson::{Document, doc};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, event_service_client::EventServiceClient,
    watcher_service_client::WatcherServiceClient,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};
use tonic::{Status, transport::Channel};

use crate::{
    check_privileges::Guarded,
    process::archd,
    support::{PATIENCE, eventually, order, within},
};

const DATABASE: &str = "livraison";
/// Longest until a server serves again once nothing is refused any more.
const SERVES_AGAIN: Duration = Duration::from_secs(15);

/// What is told of connections that are not let in, or not any more.
const NO_SUCH_USER: &str = "refused the user or the password in MONGODB_URI";

/// A program that watches the database of a guarded set, and all that it says.
struct Program {
    guarded: Guarded,
    database: Database,
    channel: Channel,
    uri_file: PathBuf,
    log: Arc<Mutex<String>>,
    numbers: u32,
    _program: Child,
    _folder: TempDir,
}

impl Program {
    async fn start() -> Program {
        let guarded = Guarded::start().await;
        guarded
            .admin(doc! { "grantRolesToUser": "archd", "roles": [role()] })
            .await;
        let folder = tempfile::tempdir().unwrap();
        let uri_file = folder.path().join("uri");
        fs::write(&uri_file, &guarded.uri).unwrap();
        let settings = [
            ("MONGODB_URI_FILE", uri_file.to_str().unwrap()),
            ("MONGODB_DATABASE", DATABASE),
            ("ARCHD_LOG", "trace,h2=info,hyper=info"),
        ];
        let arguments = ["--listen=127.0.0.1:0", "--log-format=json"];
        let mut program = archd(&arguments, &settings).spawn().unwrap();
        let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let kept = log.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut kept = kept.lock().unwrap();
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let address = eventually(async || {
            let log = log.lock().unwrap();
            let lines = log.lines().map(serde_json::from_str::<serde_json::Value>);
            let mut addresses =
                lines.filter_map(|line| Some(line.ok()?["address"].as_str()?.to_owned()));
            addresses.next()
        })
        .await;
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let mut program = Program {
            database: guarded.admin.database(DATABASE),
            guarded,
            channel: endpoint.connect().await.unwrap(),
            uri_file,
            log,
            numbers: 0,
            _program: program,
            _folder: folder,
        };
        program.serves_again("it has started").await;
        program
    }

    async fn archive_order(&self, numero: &str) -> Result<(), Status> {
        let request = pb::ArchiveOrderRequest {
            numero_commande: numero.to_owned(),
        };
        let mut client = ArchiveServiceClient::new(self.channel.clone());
        client.archive_order(request).await.map(drop)
    }

    /// Waits until a caller hears what the database refuses, and why.
    async fn is_refused(&self, why: &str) {
        eventually(async || {
            let refused = self.archive_order("CMD-0").await.err()?;
            refused.message().contains(why).then_some(())
        })
        .await;
    }

    /// Waits until all parts of the server work, and holds it to the time that this may take.
    async fn serves_again(&mut self, after: &str) {
        let since = Instant::now();
        self.numbers += 1;
        let (asked, delivered) = (
            format!("CMD-{}-asked", self.numbers),
            format!("CMD-{}-delivered", self.numbers),
        );
        let orders = self.database.collection::<Document>("Commande");
        orders.insert_one(order(asked.as_str())).await.unwrap();
        eventually(async || self.archive_order(&asked).await.ok()).await;
        let mut watcher = WatcherServiceClient::new(self.channel.clone());
        eventually(async || {
            let answer = watcher.get_watcher(pb::GetWatcherRequest {}).await.ok()?;
            let state = answer.into_inner().watcher?.state();
            (state == pb::WatcherState::Watching).then_some(())
        })
        .await;
        orders.insert_one(order(delivered.as_str())).await.unwrap();
        let archive = self.database.collection::<Document>("Historique");
        eventually(async || {
            archive
                .find_one(doc! { "numero_commande": &delivered })
                .await
                .unwrap()
        })
        .await;
        let mut events = EventServiceClient::new(self.channel.clone());
        eventually(async || {
            let tail = events.tail_events(pb::TailEventsRequest::default()).await;
            let first = timeout(PATIENCE, tail.ok()?.into_inner().message()).await;
            first.ok()?.ok()?
        })
        .await;
        println!("after {after} it served again within {:?}", since.elapsed());
        assert!(
            since.elapsed() < SERVES_AGAIN,
            "after {after}: {:?}",
            since.elapsed()
        );
    }

    fn assert_discreet(&self, passwords: &[&str]) {
        let log = self.log.lock().unwrap();
        assert!(!log.is_empty());
        for password in passwords {
            assert!(!log.contains(password), "the log shows {password}:\n{log}");
        }
    }
}

impl Guarded {
    async fn admin(&self, command: Document) {
        self.admin
            .database("admin")
            .run_command(command)
            .await
            .unwrap();
    }

    /// The same URI with another password.
    fn uri_with(&self, password: &str) -> String {
        self.uri
            .replace("archd:archd@", &format!("archd:{password}@"))
    }
}

fn role() -> Document {
    doc! { "role": "readWrite", "db": DATABASE }
}

#[tokio::test]
async fn a_user_who_is_dropped_and_made_anew() {
    let mut program = Program::start().await;
    for (password, pause) in [("archd", true), ("archd", false), ("c4n4ry", true)] {
        program.guarded.admin(doc! { "dropUser": "archd" }).await;
        if pause {
            program.is_refused(NO_SUCH_USER).await;
        }
        fs::write(&program.uri_file, program.guarded.uri_with(password)).unwrap();
        let again = doc! { "createUser": "archd", "pwd": password, "roles": [role()] };
        program.guarded.admin(again).await;
        program.serves_again("the user was made anew").await;
    }
    program.assert_discreet(&["archd:archd", "c4n4ry"]);
}

#[tokio::test]
async fn a_role_that_is_revoked_and_granted_again() {
    let mut program = Program::start().await;
    program
        .guarded
        .admin(doc! { "revokeRolesFromUser": "archd", "roles": [role()] })
        .await;
    program.is_refused("may not run").await;
    program
        .guarded
        .admin(doc! { "grantRolesToUser": "archd", "roles": [role()] })
        .await;
    program.serves_again("the role was granted again").await;
    program.assert_discreet(&["archd:archd"]);
}

#[tokio::test]
async fn a_password_that_is_changed() {
    let mut program = Program::start().await;
    // The file comes before the database, or after it.
    for (password, file_first) in [("c4n4ry", true), ("p4rr0t", false)] {
        let rotate = doc! { "updateUser": "archd", "pwd": password };
        let uri = program.guarded.uri_with(password);
        if file_first {
            fs::write(&program.uri_file, &uri).unwrap();
        }
        program.guarded.admin(rotate).await;
        // Open connections go on; those that are opened now do not.
        let node = &program.guarded.set.nodes()[0];
        node.terminate().await.unwrap();
        node.restart().await.unwrap();
        if !file_first {
            program.is_refused(NO_SUCH_USER).await;
            fs::write(&program.uri_file, &uri).unwrap();
        }
        within(program.guarded.set.primary()).await.unwrap();
        program.serves_again("the password was changed").await;
    }
    program.assert_discreet(&["archd:archd", "c4n4ry", "p4rr0t"]);
}

#[tokio::test]
async fn a_host_that_cannot_be_resolved_yet() {
    let settings = [("MONGODB_URI", "mongodb+srv://archd:c4n4ry@nowhere.invalid/")];
    let arguments = ["--listen=127.0.0.1:0", "--log-format=json"];
    let mut program = archd(&arguments, &settings).spawn().unwrap();
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    let mut log = String::new();
    let address = within(async {
        loop {
            let line = lines
                .next_line()
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("it has left:\n{log}"));
            log.push_str(&line);
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            if let Some(address) = line["address"].as_str() {
                return address.to_owned();
            }
        }
    })
    .await;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut client = ArchiveServiceClient::new(channel.connect().await.unwrap());
    let status = eventually(async || {
        let request = pb::ArchiveOrderRequest {
            numero_commande: "CMD-0".to_owned(),
        };
        let status = client.archive_order(request).await.unwrap_err();
        status.message().contains("resolved").then_some(status)
    })
    .await;
    crate::support::assert_unavailable(&status, "DATABASE_UNAVAILABLE");
    assert!(!log.contains("c4n4ry"), "{log}");
    assert!(program.try_wait().unwrap().is_none(), "it has left");
}
