//! The ledger: each verification is in it once, whoever appends at the same moment and however often
//! it is asked to; and whatever is done to it is found, by the server's own check and by a program of
//! another language.

use std::{collections::HashSet, path::Path, time::Duration};

use archd::{
    domain::{
        ledger::{Broken, Entry, Record, check},
        verify::{
            counts::Counts,
            days::{Day, Days, digest},
            plan::{Depth, Scope},
            verdict::Verdict,
        },
    },
    store::Store,
};
use bson::{DateTime, Document, Timestamp, doc};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::verification_service_client::VerificationServiceClient;
use tonic::{Code, Status};

use crate::{
    faults::FailPoints,
    independent_clients::{FOLDER, clients},
    support::{TestServer, faults, order, within},
};

async fn append(store: &Store, verification: &str, days: &Days) -> Record {
    let entry = Entry {
        verification,
        instance: "archd-1",
        scope: Scope::Full,
        depth: Depth::Content,
        begun: DateTime::from_millis(1_767_225_600_000),
        cluster_time: Some(Timestamp {
            time: 7,
            increment: 1,
        }),
        verdict: Verdict::Verified,
        counts: &Counts {
            delivered: 3,
            verified: 3,
            ..Counts::default()
        },
        days,
    };
    store.append_to_ledger(&entry).await.unwrap()
}

async fn page(
    server: &TestServer,
    request: pb::ListLedgerRequest,
) -> Result<pb::ListLedgerResponse, Status> {
    let mut client = VerificationServiceClient::new(server.channel.clone());
    client
        .list_ledger(request)
        .await
        .map(tonic::Response::into_inner)
}

/// The whole ledger, by pages of so many entries.
async fn ledger(server: &TestServer, page_size: i32) -> Vec<Record> {
    let mut request = pb::ListLedgerRequest {
        page_size,
        page_token: String::new(),
    };
    let mut records = Vec::new();
    loop {
        let page = page(server, request.clone()).await.unwrap();
        assert_eq!(page.unreadable, []);
        records.extend(page.entries.into_iter().map(|entry| Record {
            sequence: entry.sequence,
            text: entry.record,
            hash: entry.hash,
        }));
        if page.next_page_token.is_empty() {
            return records;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn each_verification_is_in_the_ledger_once_however_often_it_is_appended() {
    let server = TestServer::start().await;
    let store = Store::new(&server.config).await.unwrap();
    let mut sealed = Vec::new();
    for at in 1..=5 {
        sealed.push(append(&store, &format!("v-{at}"), &Days::default()).await);
    }
    assert_eq!(append(&store, "v-2", &Days::default()).await, sealed[1]);
    let records = ledger(&server, 2).await;
    assert_eq!(check(&records), Ok(()));
    assert_eq!(records, sealed);
    assert!(
        records[1]
            .text
            .contains("\"verification\":\"v-2\",\"instance\":\"archd-1\",\"database\":")
    );
    let database = format!(
        "\"database\":\"{}\",\"orders\":\"Commande\"",
        server.database.name()
    );
    assert!(records[1].text.contains(&database), "{}", records[1].text);

    let wrong = pb::ListLedgerRequest {
        page_size: -1,
        page_token: "made up".to_owned(),
    };
    let refused = page(&server, wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(faults(&refused).1, ["page_size", "page_token"]);
    // One that can't be read is named in its place, and hides no other.
    let torn = doc! { "$set": { "record": 7 } };
    server
        .collection("archd_ledger")
        .update_one(doc! { "_id": 2_i64 }, torn)
        .await
        .unwrap();
    let page = page(&server, pb::ListLedgerRequest::default())
        .await
        .unwrap();
    assert_eq!((page.entries.len(), page.unreadable.len()), (4, 1));
    assert_eq!(page.unreadable[0].name, "archd_ledger/2");
    store.close().await;
    server.shut_down().await;
}

#[tokio::test]
async fn those_who_append_at_once_make_one_chain() {
    const APPENDERS: usize = 4;
    const EACH: usize = 8;
    let server = TestServer::start().await;
    let appenders = (0..APPENDERS).map(|appender| {
        let config = server.config.clone();
        tokio::spawn(async move {
            let store = Store::new(&config).await.unwrap();
            for at in 0..EACH {
                // Two appenders each append the same verification.
                append(
                    &store,
                    &format!("v-{}-{at}", appender / 2),
                    &Days::default(),
                )
                .await;
            }
            store.close().await;
        })
    });
    for appender in appenders.collect::<Vec<_>>() {
        within(appender).await.unwrap();
    }
    let records = ledger(&server, 0).await;
    assert_eq!(check(&records), Ok(()));
    let verifications: HashSet<String> = server
        .all("archd_ledger")
        .await
        .iter()
        .map(|entry| entry.get_str("verification").unwrap().to_owned())
        .collect();
    assert_eq!(
        (records.len(), verifications.len()),
        (APPENDERS / 2 * EACH, APPENDERS / 2 * EACH)
    );
    server.shut_down().await;
}

#[tokio::test]
async fn an_entry_whose_answer_is_lost_is_not_appended_twice() {
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |_| {}).await;
    let store = Store::new(&server.config).await.unwrap();
    append(&store, "v-1", &Days::default()).await;
    // The insert is done, and its answer says that this is not certain.
    let uncertain = doc! {
        "writeConcernError": { "code": 91, "codeName": "ShutdownInProgress", "errmsg": "x", "errorLabels": [] },
    };
    points
        .fail(&["insert"], doc! { "times": 1 }, uncertain)
        .await;
    let sealed = append(&store, "v-2", &Days::default()).await;
    points.mend().await;
    assert_eq!(sealed.sequence, 2);
    let records = ledger(&server, 0).await;
    assert_eq!((records.len(), check(&records)), (2, Ok(())));
    assert_eq!(records[1].hash, sealed.hash);
    store.close().await;
    server.shut_down().await;
}

/// What the program in Python says, and whether it found the ledger whole.
async fn checked(server: &TestServer, more: &[&str]) -> (bool, String) {
    let clients = tokio::task::spawn_blocking(clients).await.unwrap().unwrap();
    let mut program = tokio::process::Command::new(clients.join("venv/bin/python"));
    program.arg("-B").arg(Path::new(FOLDER).join("ledger.py"));
    let mongodb = ReplicaSet::shared().await.unwrap().uri();
    program
        .args(["--mongodb", &mongodb, "--database", server.database.name()])
        .args(more);
    let output = tokio::time::timeout(
        Duration::from_secs(300),
        program.kill_on_drop(true).output(),
    );
    let output = output.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.stderr.is_empty(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.success(), said)
}

async fn set(server: &TestServer, sequence: i64, field: &str, value: &str) -> Document {
    let entries = server.collection("archd_ledger");
    let before =
        entries.find_one_and_update(doc! { "_id": sequence }, doc! { "$set": { field: value } });
    before.await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_another_language_finds_the_ledger_whole_and_whatever_is_done_to_it() {
    let server = TestServer::start().await.with_references().await;
    let numeros: Vec<String> = (0..30).map(|at| format!("CMD-{at}")).collect();
    server
        .insert(
            "Commande",
            numeros.iter().map(|numero| order(numero.as_str())),
        )
        .await;
    server.run_batch().await;
    // On several days, one of them long ago, and some on none.
    let archive = server.collection("Historique");
    let day = 24 * 60 * 60 * 1_000;
    for (at, numero) in numeros.iter().enumerate() {
        let date = match at % 4 {
            0 => doc! { "$unset": { "date_archivage": 1 } },
            1 => doc! { "$set": { "date_archivage": "yesterday" } },
            2 => doc! { "$set": { "date_archivage": DateTime::from_millis(-1) } },
            _ => {
                doc! { "$set": { "date_archivage": DateTime::from_millis(20_000 * day + at as i64) } }
            }
        };
        archive
            .update_one(doc! { "numero_commande": numero }, date)
            .await
            .unwrap();
    }
    let mut days = Days::default();
    for document in server.all_raw("Historique").await {
        let date = document.get_datetime("date_archivage").ok();
        days.add(Day::of(date), digest(document.as_bytes()));
    }
    assert_eq!(days.len(), 3);
    let store = Store::new(&server.config).await.unwrap();
    append(&store, "v-1", &Days::default()).await;
    append(&store, "v-2", &days).await;
    let newest = append(&store, "v-3", &Days::default()).await;
    store.close().await;

    let (whole, said) = checked(&server, &["--expect", &newest.hash]).await;
    assert!(whole && said.starts_with("3 entries, newest "), "{said}");
    let (whole, said) = checked(&server, &["--expect", &"0".repeat(64)]).await;
    assert!(!whole && said.contains("no entry has the hash"), "{said}");

    // A record that was changed, by itself and with its hash; one that was taken out.
    let text = ledger(&server, 0).await[0]
        .text
        .replace("\"verified\":3", "\"verified\":4");
    let before = set(&server, 1, "record", &text).await;
    assert_eq!(
        check(&ledger(&server, 0).await),
        Err(Broken::Altered { sequence: 1 })
    );
    let (whole, said) = checked(&server, &[]).await;
    assert!(
        !whole && said.contains("entry 1 is not what was sealed"),
        "{said}"
    );
    set(&server, 1, "hash", &archd::domain::ledger::hash(&text)).await;
    assert_eq!(
        check(&ledger(&server, 0).await),
        Err(Broken::Unchained { sequence: 2 })
    );
    let (whole, said) = checked(&server, &[]).await;
    assert!(
        !whole && said.contains("entry 2 was not made after the one before it"),
        "{said}"
    );
    set(&server, 1, "record", before.get_str("record").unwrap()).await;
    set(&server, 1, "hash", before.get_str("hash").unwrap()).await;
    let entries = server.collection("archd_ledger");
    let taken = entries
        .find_one_and_delete(doc! { "_id": 2_i64 })
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        check(&ledger(&server, 0).await),
        Err(Broken::Missing { sequence: 2 })
    );
    let (whole, said) = checked(&server, &[]).await;
    assert!(!whole && said.contains("entry 2 is missing"), "{said}");
    entries.insert_one(taken).await.unwrap();

    // A byte of an archived order, and one that was taken out.
    archive
        .update_one(
            doc! { "numero_commande": "CMD-3" },
            doc! { "$set": { "id_menu": 1.0 } },
        )
        .await
        .unwrap();
    archive
        .delete_one(doc! { "numero_commande": "CMD-2" })
        .await
        .unwrap();
    let (whole, said) = checked(&server, &[]).await;
    assert!(
        !whole && said.contains("the archive of 2024-10-04 is not what entry 2 says"),
        "{said}"
    );
    assert!(
        said.contains("the archive of 1969-12-31") && said.ends_with("2 faults\n"),
        "{said}"
    );
    server.shut_down().await;
}
