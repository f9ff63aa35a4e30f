//! A batch as a process: it archives what was asked of it, whoever else is at work, and its code
//! says how it went.

use bson::{DateTime, Document, doc};
use devkit::{ReplicaSet, relay};
use mongodb::Database;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::{
    process::{archd, signal},
    support::{TestServer, eventually, orders, within},
};

/// Longer than any test.
const AN_HOUR: i64 = 3_600_000;

/// A batch that an instance elsewhere runs, and will for a long time.
pub(crate) async fn runs_elsewhere(database: &Database, options: Document) {
    let now = DateTime::now();
    let batch = doc! {
        "_id": "b-1", "state": "running", "active": true, "instance": "elsewhere", "options": options, "request_id": "nightly",
        "created": now, "started": now, "updated": now, "throttle": "a secondary is 12s behind", "epoch": 3_i64, "lives": 3_i64,
        "alive_until": DateTime::from_millis(now.timestamp_millis() + AN_HOUR), "lease": AN_HOUR,
    };
    let batches = database.collection("archd_batches");
    batches.insert_one(batch).await.unwrap();
}

pub(crate) fn options_elsewhere() -> Document {
    doc! { "limit": 0_i64, "create_indexes": false, "limits": { "max_orders_per_second": 10_i64, "max_write_latency": 500_i64 } }
}

async fn end_it(database: &Database, reason: &str) {
    let state = if reason == "unbalanced" {
        "failed"
    } else {
        "succeeded"
    };
    let end = doc! {
        "$set": { "state": state, "stop_reason": reason, "ended": DateTime::now() },
        "$unset": { "active": 1, "alive_until": 1 },
    };
    let batches = database.collection::<Document>("archd_batches");
    let updated = batches.update_one(doc! { "_id": "b-1", "active": true }, end);
    assert_eq!(updated.await.unwrap().modified_count, 1);
}

/// The batch of [`runs_elsewhere`] as it is now.
async fn b_1(database: &Database) -> Document {
    let batches = database.collection::<Document>("archd_batches");
    let batch = batches.find_one(doc! { "_id": "b-1" }).await.unwrap();
    batch.unwrap()
}

/// A database that no server is on, with so many orders.
async fn with_orders(count: usize) -> Database {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let commande = database.collection("Commande");
    commande.insert_many(orders(count)).await.unwrap();
    database
}

#[tokio::test]
async fn a_process_waits_for_a_batch_that_does_something_else_and_then_archives() {
    let now = DateTime::now();
    let others = [
        ("batch --output=json", doc! { "validate_only": true }, 3),
        ("batch --output=json", doc! { "limit": 1_i64 }, 3),
        ("batch --output=json", doc! { "before": now }, 3),
        (
            "batch --output=json",
            doc! { "max_runtime": 3_600_000_i64 },
            3,
        ),
        ("batch --output=json --limit=2", doc! {}, 2),
        ("batch --output=json --create-indexes", doc! {}, 3),
    ];
    for (asked, running, archived) in others {
        let database = with_orders(3).await;
        runs_elsewhere(&database, running.clone()).await;
        let mut batch = Process::start(&database, asked).await;
        batch
            .says("a batch that does something else is running")
            .await;
        end_it(&database, "exhausted").await;
        let (code, figures, log) = batch.end().await;
        assert_eq!(
            (code, &figures["archived"]),
            (Some(0), &archived.into()),
            "{asked} beside {running}: {log}"
        );
        assert_eq!(figures["validate_only"], false);
    }
}

#[tokio::test]
async fn a_process_whose_batch_does_not_balance_leaves_with_a_code_of_its_own() {
    let server = TestServer::start().await;
    runs_elsewhere(&server.database, options_elsewhere()).await;
    let mut batch = Process::start(&server.database, "batch --output=json").await;
    batch.says("is running already").await;
    end_it(&server.database, "unbalanced").await;
    let (code, figures, log) = batch.end().await;
    assert_eq!(code, Some(8), "{log}");
    assert_eq!(
        (&figures["state"], &figures["resumes"]),
        (&"BATCH_STATE_FAILED".into(), &2.into())
    );
}

#[tokio::test]
async fn a_process_that_is_stopped_leaves_the_batch_of_another_instance_alone() {
    let database = with_orders(3).await;
    runs_elsewhere(&database, options_elsewhere()).await;
    let before = b_1(&database).await;
    let mut batch = Process::start(&database, "batch --output=json").await;
    batch.says("is running already").await;
    signal(&batch.child, "TERM");
    let (code, figures, log) = batch.end().await;
    assert_eq!(
        (code, &figures["state"]),
        (Some(130), &"BATCH_STATE_RUNNING".into()),
        "{log}"
    );
    assert!(log.contains("leaving the batch to its instance"), "{log}");
    assert_eq!(b_1(&database).await, before);
}

/// Somebody else asked for it and may still wait for it, so it is not this process's to cancel.
#[tokio::test]
async fn a_process_that_is_stopped_lets_go_of_the_batch_that_it_took_up() {
    let database = with_orders(500).await;
    runs_elsewhere(&database, options_elsewhere()).await;
    let batches = database.collection::<Document>("archd_batches");
    let died = doc! { "$set": { "alive_until": DateTime::from_millis(DateTime::now().timestamp_millis() - 1) } };
    batches.update_one(doc! {}, died).await.unwrap();
    let process = Process::start(&database, "batch --output=json").await;
    eventually(async || {
        let batch = b_1(&database).await;
        let moves = batch
            .get_document("counts")
            .is_ok_and(|counts| counts.get_i64("found").unwrap() > 0);
        moves.then_some(())
    })
    .await;
    signal(&process.child, "TERM");
    let (code, _, log) = process.end().await;
    assert_eq!(code, Some(130), "{log}");
    assert!(log.contains("letting go of the batch"), "{log}");
    assert!(!log.contains("to its instance"), "{log}");
    let batch = b_1(&database).await;
    assert_eq!(batch.get_str("state").unwrap(), "running", "{batch}");
    assert!(batch.get_bool("active").unwrap(), "{batch}");
    assert!(
        *batch.get_datetime("alive_until").unwrap() <= DateTime::now(),
        "{batch}"
    );
}

/// Not of another one, that it would begin once it had given this one up.
#[tokio::test]
async fn a_process_tells_of_the_batch_that_it_found_and_gave_up() {
    let database = with_orders(3).await;
    runs_elsewhere(&database, options_elsewhere()).await;
    let batches = database.collection::<Document>("archd_batches");
    let killed_all =
        doc! { "$set": { "alive_until": DateTime::from_millis(0), "barren_lives": 5_i64 } };
    batches.update_one(doc! {}, killed_all).await.unwrap();
    let process = Process::start(&database, "batch --output=json").await;
    let (code, figures, log) = process.end().await;
    assert_eq!(
        (code, &figures["id"], &figures["stop_reason"]),
        (
            Some(3),
            &"b-1".into(),
            &"BATCH_STOP_REASON_INTERRUPTED".into()
        ),
        "{log}"
    );
}

#[tokio::test]
async fn a_process_that_is_stopped_cancels_the_batch_that_it_asked_for() {
    let database = with_orders(500).await;
    let process = Process::start(&database, "batch --output=json --max-rate=10").await;
    let batches = database.collection::<Document>("archd_batches");
    let begun = doc! { "counts.found": { "$gt": 0 } };
    eventually(async || batches.find_one(begun.clone()).await.unwrap()).await;
    signal(&process.child, "TERM");
    let (code, figures, log) = process.end().await;
    assert_eq!(
        (code, &figures["state"]),
        (Some(130), &"BATCH_STATE_CANCELLED".into()),
        "{log}"
    );
}

#[tokio::test]
async fn a_process_that_can_not_hear_of_its_batch_asks_again() {
    let database = with_orders(3).await;
    let node = &ReplicaSet::shared().await.unwrap().nodes()[0];
    let relay = relay::Relay::to_mongod(&node.address()).await.unwrap();
    runs_elsewhere(&database, options_elsewhere()).await;
    let settings = [
        ("MONGODB_URI", relay.uri()),
        ("ARCHD_RETRY_ATTEMPTS", "0".to_owned()),
    ];
    let mut batch = Process::start_with(&database, "batch --output=json", settings).await;
    batch.says("is running already").await;
    relay.on("find", relay::Plan::First(2), relay::Deed::Cut);
    batch.says("the batch waits for the database").await;
    end_it(&database, "exhausted").await;
    let (code, figures, log) = batch.end().await;
    assert_eq!((code, &figures["id"]), (Some(0), &"b-1".into()), "{log}");
}

/// `archd` as a process, on the database of a test.
pub(crate) struct Process {
    child: tokio::process::Child,
    log: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Process {
    /// On the shared mongod.
    pub(crate) async fn start(database: &Database, arguments: &str) -> Process {
        let uri = ReplicaSet::shared().await.unwrap().uri();
        Process::start_with(database, arguments, [("MONGODB_URI", uri)]).await
    }

    /// With settings of its own.
    async fn start_with<const N: usize>(
        database: &Database,
        arguments: &str,
        settings: [(&str, String); N],
    ) -> Process {
        let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
        let settings: Vec<_> = settings
            .chain([("MONGODB_DATABASE", database.name())])
            .collect();
        let arguments: Vec<_> = arguments.split(' ').collect();
        let mut child = archd(&arguments, &settings).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Process { child, log }
    }

    /// Waits for a line of the log.
    async fn says(&mut self, words: &str) {
        within(async {
            loop {
                let line = self.log.next_line().await.unwrap().expect(words);
                if line.contains(words) {
                    return;
                }
            }
        })
        .await;
    }

    /// The code, the figures, and the rest of the log.
    pub(crate) async fn end(mut self) -> (Option<i32>, serde_json::Value, String) {
        within(async {
            let (mut log, mut figures) = (String::new(), String::new());
            while let Some(line) = self.log.next_line().await.unwrap() {
                log = format!("{log}{line}\n");
            }
            let mut stdout = self.child.stdout.take().unwrap();
            stdout.read_to_string(&mut figures).await.unwrap();
            let code = self.child.wait().await.unwrap().code();
            let figures = serde_json::from_str(&figures)
                .unwrap_or_else(|error| panic!("{error}: {figures}\n{log}"));
            (code, figures, log)
        })
        .await
    }
}
