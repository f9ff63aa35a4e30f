//! `archctl verify` against archd itself: it names what somebody did to the archive, repairs it, says
//! VERIFIED, and finds a ledger that was changed.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use bson::doc;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{TestServer, order, within};

/// What `archctl` said and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    code: Option<i32>,
    stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The first line: the verdict.
    fn first(&self) -> &str {
        self.stdout.lines().next().unwrap_or_default()
    }
}

/// The command line stands beside the server: `cargo test --workspace` builds both.
fn program() -> PathBuf {
    let name = format!("archctl{}", env::consts::EXE_SUFFIX);
    Path::new(env!("CARGO_BIN_EXE_archd")).with_file_name(name)
}

/// Runs a line as somebody types it after `archctl verify`; its words hold no blanks.
async fn verify(server: &TestServer, line: &str) -> Ended {
    archctl(server, &format!("verify {line}")).await
}

pub(crate) async fn archctl(server: &TestServer, line: &str) -> Ended {
    let mut archctl = Command::new(program());
    archctl
        .args(line.split_whitespace())
        .env("ARCHCTL_ENDPOINT", &server.address)
        .env("ARCHCTL_TIME_ZONE", "UTC")
        .env(
            "XDG_CONFIG_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/no-config"),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = within(archctl.output()).await.unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Five archived orders; one that was deleted from the archive since, and one that was edited there.
async fn tampered() -> TestServer {
    let server = TestServer::start().await;
    let orders = (1..=5).map(|number| order(format!("CMD-{number}").as_str()));
    server.insert("Commande", orders.collect::<Vec<_>>()).await;
    server.run_batch().await;
    let archive = server.collection("Historique");
    let gone = archive.delete_one(doc! { "numero_commande": "CMD-1" });
    assert_eq!(gone.await.unwrap().deleted_count, 1);
    let edit = doc! { "$set": { "coût_commande": 999 } };
    let edited = archive.update_one(doc! { "numero_commande": "CMD-2" }, edit);
    assert_eq!(edited.await.unwrap().modified_count, 1);
    server
}

#[tokio::test]
async fn what_was_done_to_the_archive_is_named_repaired_and_verified() {
    let server = tampered().await;
    let alarm = verify(&server, "--settle 0s").await;
    assert_eq!(alarm.code, Some(9), "{alarm:?}");
    let verdict = "NOT VERIFIED: 1 missing, 1 altered";
    assert!(alarm.first().starts_with(verdict), "{alarm:?}");

    let listed = verify(&server, "differences -o ndjson").await;
    let mut listed: Vec<(String, String)> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|one| (one["class"].to_string(), one["numero_commande"].to_string()))
        .collect();
    listed.sort();
    let wanted = [("ALTERED", "CMD-2"), ("MISSING", "CMD-1")].map(|(class, number)| {
        let class = format!("\"DIFFERENCE_CLASS_{class}\"");
        (class, format!("\"{number}\""))
    });
    assert_eq!(listed, wanted);

    // Nothing is replaced that nobody has said yes to.
    let asked = verify(&server, "repair --class missing --class altered").await;
    assert_eq!(asked.code, Some(6), "{asked:?}");
    assert!(asked.stderr.contains("Nothing was done."), "{asked:?}");
    assert_eq!(server.all("Historique").await.len(), 4);
    let missing = verify(&server, "repair --class missing").await;
    assert_eq!(missing.code, Some(0), "{missing:?}");
    assert_eq!(missing.stdout, "CMD-1  missing  archived\n");
    let altered = verify(&server, "repair CMD-2 --yes --reason edited --by marie").await;
    assert_eq!(altered.code, Some(0), "{altered:?}");
    assert!(
        altered.stdout.starts_with("CMD-2  altered  replaced"),
        "{altered:?}"
    );

    let verified = verify(&server, "--settle 0s").await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let verdict = "VERIFIED 5 of 5 delivered orders, as of ";
    assert!(verified.first().starts_with(verdict), "{verified:?}");
    let stats = archctl(&server, "stats").await;
    let line = "│  Verdict:     VERIFIED 5 of 5 delivered orders ";
    assert!(stats.stdout.contains(line), "{stats:?}");
    let told = "tail --since 2m --kind verification-finished --limit 2";
    let told = archctl(&server, told).await;
    let mut told = told.stdout.lines();
    assert!(
        told.next()
            .unwrap()
            .contains("  NOT VERIFIED: 1 missing, 1 altered")
    );
    assert!(told.next().unwrap().contains("  VERIFIED 5 of 5"));
}

#[tokio::test]
async fn what_was_acknowledged_alarms_nobody_until_it_is_another_difference() {
    let server = tampered().await;
    verify(&server, "--settle 0s").await;
    for number in ["CMD-1", "CMD-2"] {
        let line = format!("acknowledge {number} --reason known --by marie");
        let noted = verify(&server, &line).await;
        assert_eq!(noted.code, Some(0), "{noted:?}");
    }
    let nothing = verify(&server, "acknowledge CMD-3 --reason known").await;
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
    let quiet = verify(&server, "--settle 0s").await;
    assert_eq!(quiet.code, Some(0), "{quiet:?}");
    assert!(
        quiet.stdout.contains("\nacknowledged      2  "),
        "{quiet:?}"
    );
    let listed = verify(&server, "acknowledgements").await;
    assert!(
        listed.stdout.contains("CMD-2   altered  marie"),
        "{listed:?}"
    );

    let edit = doc! { "$set": { "coût_commande": 1_000 } };
    let archive = server.collection("Historique");
    let edited = archive.update_one(doc! { "numero_commande": "CMD-2" }, edit);
    assert_eq!(edited.await.unwrap().modified_count, 1);
    let alarm = verify(&server, "--settle 0s").await;
    assert_eq!(alarm.code, Some(9), "{alarm:?}");
    assert!(
        alarm.first().starts_with("NOT VERIFIED: 1 altered"),
        "{alarm:?}"
    );
}

#[tokio::test]
async fn a_ledger_that_somebody_has_changed_is_found() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        let verified = verify(&server, "--settle 0s").await;
        assert_eq!(verified.code, Some(0), "{verified:?}");
    }
    let newest = verify(&server, "show latest -o json").await.json();
    let newest = newest["ledger_hash"].as_str().unwrap().to_owned();
    let expected = format!("ledger --expect {newest}");
    let intact = verify(&server, &expected).await;
    assert_eq!(intact.code, Some(0), "{intact:?}");
    let verdict = format!("The ledger is intact: 3 entries, newest {newest}, as expected");
    assert_eq!(intact.first(), verdict);

    let ledger = server.collection("archd_ledger");
    let second = ledger.find_one(doc! { "_id": 2_i64 }).await.unwrap();
    let record = second.unwrap().get_str("record").unwrap().to_owned();
    let edited = record.replace("\"VERIFIED\"", "\"NOT_VERIFIED\"");
    let edit = doc! { "$set": { "record": edited } };
    let edit = ledger.update_one(doc! { "_id": 2_i64 }, edit);
    assert_eq!(edit.await.unwrap().modified_count, 1);
    let changed = verify(&server, "ledger").await;
    assert_eq!(changed.code, Some(10), "{changed:?}");
    let fault = "error: the ledger is not intact: entry 2 has the hash ";
    assert!(changed.stderr.starts_with(fault), "{changed:?}");

    // What is cut off leaves a chain that agrees with itself, but not with what was noted.
    let cut = ledger.delete_many(doc! { "_id": { "$gte": 2_i64 } });
    assert_eq!(cut.await.unwrap().deleted_count, 2);
    assert_eq!(verify(&server, "ledger").await.code, Some(0));
    let cut = verify(&server, &expected).await;
    assert_eq!(cut.code, Some(10), "{cut:?}");
}
