//! A batch may be killed at any moment, again and again: it counts every order once, and one that
//! kills whoever runs it is given up.

use std::{process::Stdio, time::Duration};

use bson::{Document, doc};
use devkit::ReplicaSet;
use mongodb::{Collection, Database};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{process::Child, time::sleep};

use crate::{
    faults::{assert_clean, fresh},
    load::{how_many, seed},
    process::{archd, run},
    support::{eventually, order},
};

const ORDERS: usize = 5_000;
const CHUNK: &str = "10";
/// Orders that the archive holds before the batch begins.
const EARLIER: usize = 200;
/// One order in so many has no number, and goes to quarantine.
const NUMBERLESS: usize = 50;
/// As many runs without progress as a batch may have.
const MOST_RUNS_WITHOUT_PROGRESS: i64 = 5;

/// What every run of the program is told.
struct Runs {
    set: ReplicaSet,
    database: Database,
    uri: String,
}

impl Runs {
    async fn new() -> Runs {
        let set = ReplicaSet::start().await.unwrap();
        let (database, uri) = (fresh(&set).await, set.uri());
        Runs { set, database, uri }
    }

    fn settings(&self) -> [(&str, &str); 5] {
        [
            ("MONGODB_URI", &self.uri),
            ("MONGODB_DATABASE", self.database.name()),
            ("ARCHD_CHUNK_SIZE", CHUNK),
            ("ARCHD_LEASE", "1s"),
            ("ARCHD_MAX_WRITE_LATENCY", "5m"),
        ]
    }

    /// Another process that begins the batch, or takes it up.
    fn another(&self) -> Child {
        let mut command = archd(&["batch"], &self.settings());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// A process that runs the batch to its end: its code and what it says of the batch.
    async fn last(&self) -> (Option<i32>, serde_json::Value) {
        let (code, figures, log) = run(&["batch", "--output", "json"], &self.settings()).await;
        let figures = serde_json::from_str(&figures);
        (
            code,
            figures.unwrap_or_else(|error| panic!("{error}\n{log}")),
        )
    }

    /// Every insert of the program takes this much longer.
    async fn delay_inserts(&self, delay: Duration) {
        let millis = i64::try_from(delay.as_millis()).unwrap();
        self.inserts(doc! { "blockConnection": true, "blockTimeMS": millis })
            .await;
    }

    /// No insert of the program comes to anything, however often it is sent; not in a later run
    /// either.
    async fn refuse_inserts(&self) {
        const MAX_TIME_EXPIRED: i32 = 50;
        self.inserts(doc! { "errorCode": MAX_TIME_EXPIRED }).await;
    }

    async fn inserts(&self, how: Document) {
        let mut data = doc! { "failCommands": ["insert"], "appName": "archd" };
        data.extend(how);
        let fail = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
        self.set.configure_fail_point(fail).await.unwrap();
    }

    async fn hurry_again(&self) {
        self.set.clear_fail_point("failCommand").await.unwrap();
    }

    async fn deliver_a_hundred(&self) {
        let orders = (0..100).map(|number| order(format!("CMD-{number}")));
        let commande = self.collection("Commande");
        commande.insert_many(orders).await.unwrap();
    }

    fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// The only batch there is, as soon as it is like this.
    async fn batch(&self, is: impl Fn(&Document) -> bool) -> Document {
        eventually(async || {
            let batch = self.collection("archd_batches").find_one(doc! {}).await;
            batch.unwrap().filter(|batch| is(batch))
        })
        .await
    }

    async fn how_many(&self, collection: &str, filter: Document) -> i64 {
        let documents = self.collection(collection).count_documents(filter).await;
        i64::try_from(documents.unwrap()).unwrap()
    }
}

fn found(batch: &Document) -> i64 {
    let counts = batch.get_document("counts").unwrap();
    counts.get_i64("found").unwrap()
}

/// Orders of every fate: whole ones, incomplete ones, ones without a number.
fn orders(dice: &mut StdRng) -> Vec<Document> {
    let one = |number: usize| {
        let mut order = order(format!("CMD-{number:07}"));
        order.insert("id_restaurant", dice.random_range(1..=2));
        if number.is_multiple_of(NUMBERLESS) {
            order.remove("numero_commande");
        }
        order
    };
    (1..=ORDERS).map(one).collect()
}

#[tokio::test]
async fn killed_at_random_moments_a_batch_counts_every_order_once() {
    let (seed, crashes) = (seed(), how_many("BATCH_CRASHES", 30) as i64);
    let mut dice = StdRng::seed_from_u64(seed);
    let runs = Runs::new().await;
    let commande = runs.collection("Commande");
    let orders = orders(&mut dice);
    commande.insert_many(&orders[..EARLIER]).await.unwrap();
    assert_eq!(runs.last().await.0, Some(0));
    let batches = runs.collection("archd_batches");
    batches.delete_many(doc! {}).await.unwrap();
    commande.insert_many(&orders[EARLIER..]).await.unwrap();
    let earlier = runs.how_many("Historique", doc! {}).await;
    let earlier_incomplete = runs
        .how_many("Historique", doc! { "incomplete": true })
        .await;

    runs.delay_inserts(Duration::from_millis(40)).await;
    let mut before = 0;
    for crash in 1..=crashes {
        let mut process = runs.another();
        runs.batch(|batch| batch.get_i64("epoch").ok() == Some(crash) && found(batch) > before)
            .await;
        sleep(Duration::from_millis(dice.random_range(0..120))).await;
        process.kill().await.unwrap();
        let batch = runs.batch(|_| true).await;
        assert!(
            batch.get_bool("active").is_ok(),
            "it ended before crash {crash}: {batch}"
        );
        before = found(&batch);
    }
    runs.hurry_again().await;

    let (code, figures) = runs.last().await;
    assert_eq!(
        (code, &figures["state"]),
        (Some(0), &"BATCH_STATE_SUCCEEDED".into()),
        "{figures}"
    );
    assert_eq!(runs.how_many("archd_batches", doc! {}).await, 1);
    let count = |name: &str| figures[name].as_i64().unwrap();
    let archived = runs.how_many("Historique", doc! {}).await - earlier;
    let incomplete = runs
        .how_many("Historique", doc! { "incomplete": true })
        .await
        - earlier_incomplete;
    let errors = runs.how_many("archd_quarantine", doc! {}).await;
    assert_eq!(errors, (ORDERS / NUMBERLESS) as i64);
    let expected = [
        ("found", ORDERS as i64),
        ("archived", archived),
        ("duplicates", earlier),
        ("incomplete", incomplete),
        ("errors", errors),
        ("resumes", crashes),
    ];
    for (name, expected) in expected {
        assert_eq!(count(name), expected, "{name} of {figures}");
    }
    assert_eq!(archived + earlier + errors, ORDERS as i64);
    assert_clean(&runs.database).await;
}

#[tokio::test]
async fn a_batch_that_kills_whoever_takes_it_up_is_given_up_and_the_next_one_archives_all() {
    let runs = Runs::new().await;
    runs.deliver_a_hundred().await;
    runs.refuse_inserts().await;
    for epoch in 1..=MOST_RUNS_WITHOUT_PROGRESS {
        let mut process = runs.another();
        // It has begun, and saved that it is where it was.
        let begun = |batch: &Document| {
            batch.get_i64("epoch").ok() == Some(epoch)
                && batch.get_str("state").ok() == Some("running")
                && batch.contains_key("moments")
        };
        let batch = runs.batch(begun).await;
        runs.batch(|now| now.get("moments") != batch.get("moments"))
            .await;
        process.kill().await.unwrap();
    }
    runs.hurry_again().await;
    let (code, figures) = runs.last().await;
    assert_ne!(code, Some(0), "{figures}");
    assert_eq!(
        figures["stop_reason"], "BATCH_STOP_REASON_INTERRUPTED",
        "{figures}"
    );

    let (code, figures) = runs.last().await;
    assert_eq!(
        (code, &figures["found"]),
        (Some(0), &100.into()),
        "{figures}"
    );
    assert_clean(&runs.database).await;
}

#[tokio::test]
async fn what_lands_after_its_process_was_killed_is_counted_once() {
    let runs = Runs::new().await;
    runs.deliver_a_hundred().await;
    // Longer than the lease: the next run looks into the archive before, and inserts after.
    runs.delay_inserts(Duration::from_secs(4)).await;
    let mut process = runs.another();
    let entered =
        doc! { "waitForFailPoint": "failCommand", "timesEntered": 1, "maxTimeMS": 30_000 };
    let admin = runs.database.client().database("admin");
    admin.run_command(entered).await.unwrap();
    process.kill().await.unwrap();
    let (code, figures) = runs.last().await;
    let count = |name: &str| figures[name].as_i64().unwrap();
    assert_eq!(
        (code, count("found"), count("archived"), count("duplicates")),
        (Some(0), 100, 100, 0),
        "{figures}"
    );
    assert_eq!(count("resumes"), 1);
    assert_clean(&runs.database).await;
}
