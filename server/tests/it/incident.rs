//! An incident from its first sign to its end, four times over: the alert fires in a real
//! Prometheus, `archctl status` and the page's figures say what is wrong, one line of the log says
//! why, and the alert clears once it is mended.

use std::{fs, time::Duration};

use archd::config::Config;
use bson::{Document, doc};
use devkit::ReplicaSet;
use mongodb::Database;
use order_archiver_api::v1 as pb;
use serde_json::Value;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    page::Listener,
    program::{Program, text},
    prometheus::{self, Prometheus},
    support::{TestServer, eventually, order, orders, within},
};

const RULES: &str = include_str!("../../../ops/prometheus/alerts.yml");
/// Longest until an alert fires or clears: those of the database wait for the deadline of a call,
/// several times over.
const PATIENCE: Duration = Duration::from_secs(90);

/// The rules, with a sixtieth of the time for which something has to be so.
fn hurried(rules: &str) -> String {
    let lines = rules.lines().map(|line| {
        let Some((name, time)) = line.split_once("for: ") else {
            return line.to_owned();
        };
        let (number, unit) = time.split_at(time.len() - 1);
        let seconds = match unit {
            "s" => "1s".to_owned(),
            "m" => format!("{number}s"),
            _ => panic!("{line}"),
        };
        format!("{name}for: {seconds}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Everything that looks at one `archd`, and what it looks after.
struct Scene {
    set: ReplicaSet,
    server: TestServer,
    program: Program,
    prometheus: Prometheus,
    load: JoinHandle<()>,
    loaded: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn begin() -> Scene {
        let set = ReplicaSet::start().await.unwrap();
        let database = set.fresh_database().await.unwrap();
        let arguments = [
            "serve",
            "--http=127.0.0.1:0",
            "--schedule=off",
            "--operation-timeout=2s",
            "--retry-attempts=1",
        ];
        let mut program = Program::start(&set.uri(), &database, &arguments);
        let address = text(&program.says("listens").await, "address").to_owned();
        let http = text(&program.says("HTTP is answered").await, "address").to_owned();
        program.says("the database is ready").await;
        let config = Config::simulation(&set.uri(), database.name()).unwrap();
        let address = format!("http://{address}");
        let channel = tonic::transport::Channel::from_shared(address.clone()).unwrap();
        let http = http.parse().unwrap();
        let server = TestServer {
            config,
            address,
            http: Some(http),
            channel: within(channel.connect()).await.unwrap(),
            database: database.clone(),
            stop: CancellationToken::new(),
            running: tokio::spawn(async { Ok(()) }),
        }
        .with_references()
        .await;
        server.watcher_is(pb::WatcherState::Watching).await;
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.yml");
        fs::write(&rules, hurried(RULES)).unwrap();
        let prometheus = Prometheus::of(http, &rules).await;
        let loaded = CancellationToken::new();
        Scene {
            load: tokio::spawn(deliver(database, loaded.clone())),
            set,
            server,
            program,
            prometheus,
            loaded,
            _folder: folder,
        }
    }

    async fn fires(&self, alert: &str) {
        self.comes_to(alert, true).await;
    }

    async fn clears(&self, alert: &str) {
        self.comes_to(alert, false).await;
    }

    async fn comes_to(&self, alert: &str, wanted: bool) {
        let query = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}");
        let waiting = async {
            while self.prometheus.answers(&query).await != wanted {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let waited = timeout(PATIENCE, waiting).await;
        waited.unwrap_or_else(|_| panic!("{alert} does not come to be {wanted}"));
    }

    /// What `archctl status` says is wrong.
    async fn is_said(&self, words: &str) {
        eventually(async || {
            let status = self.server.archctl("status").await;
            let said = status.first().contains(words) && status.code == Some(11);
            said.then_some(())
        })
        .await;
    }

    /// Waits until a page is told this under that name.
    async fn is_shown(&self, name: &str, of: impl Fn(&Value) -> bool) {
        let mut page = Listener::to(self.server.http.unwrap()).await;
        let heard = timeout(PATIENCE, page.hear(name, of)).await;
        assert!(heard.is_ok(), "no {name} show it");
    }
}

/// Whether figures have these words anywhere.
fn says(shown: &Value, words: &str) -> bool {
    shown.to_string().replace('"', "").contains(words)
}

/// Delivers an order now and then, until it is told to stop.
async fn deliver(database: Database, stop: CancellationToken) {
    let commande = database.collection::<Document>("Commande");
    for number in 0.. {
        let insert = commande.insert_one(order(format!("LOAD-{number:06}")));
        // While nothing answers, neither does this.
        insert.await.unwrap();
        if stop.is_cancelled() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_fires_is_explained_and_clears() {
    if !prometheus::can_be_had() {
        return;
    }
    let mut scene = Scene::begin().await;
    let orders_of = |database: &Database, name: &str| database.collection::<Document>(name);
    let database = scene.server.database.clone();
    orders_of(&database, "Commande")
        .insert_many(orders(20))
        .await
        .unwrap();

    // Somebody pauses the watcher.
    scene.server.pause_watcher().await;
    scene.fires("OrderArchiverWatcherPaused").await;
    scene.is_said("the watcher is paused").await;
    scene
        .is_shown("figures", |shown| says(shown, "WATCHER_STATE_PAUSED"))
        .await;
    scene.program.says("the watcher was told to pause").await;
    scene.server.resume_watcher().await;
    scene.clears("OrderArchiverWatcherPaused").await;

    // Somebody edits the archive.
    eventually(async || {
        let name = doc! { "numero_commande": "CMD-2025-000001" };
        let edit = doc! { "$set": { "coût_commande": 0.5 } };
        let archive = orders_of(&database, "Historique");
        let edited = archive.update_one(name, edit).await.unwrap();
        (edited.modified_count == 1).then_some(())
    })
    .await;
    scene.server.run_batch().await;
    let verify = pb::VerificationOptions::default;
    let verification = scene.server.verify_with(verify()).await;
    assert_eq!(verification.counts.unwrap().altered, 1);
    scene.fires("OrderArchiverVerificationFailed").await;
    scene.is_said("altered").await;
    scene
        .is_shown("figures", |shown| says(shown, "altered:1"))
        .await;
    let told = scene.program.says("NOT VERIFIED").await;
    assert!(text(&told, "message").contains("1 altered"), "{told}");
    let repair = "verify repair --class altered --yes --reason ticket-4711";
    let repaired = scene.server.archctl(repair).await;
    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    scene.server.verify_with(verify()).await;
    scene.clears("OrderArchiverVerificationFailed").await;

    // The database hangs.
    let node = &scene.set.nodes()[0];
    node.freeze().unwrap();
    scene.fires("OrderArchiverDatabaseUnavailable").await;
    scene
        .is_shown("trouble", |shown| shown["text"].is_string())
        .await;
    scene.program.says("the database is away").await;
    node.thaw().unwrap();
    scene.clears("OrderArchiverDatabaseUnavailable").await;

    // An order comes that can't be archived. How many there were in the last hour is told for an
    // hour, so this alert clears after it: that is left to the tests of the rules.
    let mut nameless = order("");
    nameless.remove("numero_commande");
    let commande = orders_of(&database, "Commande");
    commande.insert_one(nameless).await.unwrap();
    scene.fires("OrderArchiverErrors").await;
    scene.is_said("1 order is in quarantine").await;
    let told = scene.program.says("an order went to quarantine").await;
    assert!(!text(&told, "reason").is_empty(), "{told}");

    // Nothing of it has harmed what was delivered.
    scene.loaded.cancel();
    scene.load.await.unwrap();
    scene.server.run_batch().await;
    let delivered = commande.count_documents(doc! {}).await.unwrap();
    let archive = orders_of(&database, "Historique");
    let archived = archive.count_documents(doc! {}).await.unwrap();
    assert_eq!(archived, delivered - 1);
}
