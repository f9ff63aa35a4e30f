//! What is nobody's fault puts no order into quarantine, also where the database says it of a
//! single document.

use bson::{Document, doc};
use devkit::{ReplicaSet, relay::Relay};
use order_archiver_api::v1 as pb;
use tonic::Code;

use crate::{
    faults::fresh,
    support::{TestServer, eventually, order, tally},
};

/// DocumentValidationFailure, which the relay replaces by the code that is tried.
const REFUSED: i32 = 121;

/// A server behind a relay, and an archive that refuses what a validator does not like.
struct Refusing {
    server: TestServer,
    relay: Relay,
}

impl Refusing {
    async fn new() -> Refusing {
        let set = ReplicaSet::shared().await.unwrap();
        let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
        let database = fresh(set).await;
        let change = |config: &mut archd::config::Config| config.retry_attempts = 1;
        let server = TestServer::on_with(&relay.uri(), database.name(), change).await;
        server.ready().await;
        // The test itself reaches the database without the relay.
        let server = TestServer { database, ..server };
        Refusing { server, relay }
    }

    /// The archive takes only what matches this.
    async fn takes(&self, validator: Document) {
        let change = doc! { "collMod": "Historique", "validator": validator };
        self.server.database.run_command(change).await.unwrap();
    }

    /// From now on refusals bear this code, as the single documents' errors.
    fn with_code(&self, code: i32) {
        let error = |code: i32| [&b"\x10code\0"[..], &code.to_le_bytes()].concat();
        self.relay.rewrite(&error(REFUSED), &error(code));
    }

    async fn deliver(&self, name: &str, count: usize) -> Vec<String> {
        let numeros: Vec<String> = (0..count).map(|at| format!("{name}-{at}")).collect();
        let orders = numeros.iter().map(order);
        self.server.insert("Commande", orders).await;
        numeros
    }
}

#[tokio::test]
async fn a_transient_code_of_single_documents_is_waited_out_and_quarantines_none() {
    let refusing = Refusing::new().await;
    let server = &refusing.server;
    // TemporarilyUnavailable, LockTimeout, TransactionExceededLifetimeLimitSeconds,
    // ClientMarkedKilled, UserWritesBlocked, OutOfDiskSpace, SnapshotUnavailable, and two that were
    // known before.
    let codes = [365, 24, 290, 46841, 371, 14031, 246, 112, 11602];
    for (round, code) in codes.into_iter().enumerate() {
        refusing.with_code(code);
        refusing.takes(doc! { "$expr": false }).await;
        let numeros = refusing.deliver(&format!("CODE-{code}"), 12).await;
        let status = server.archive_order(&numeros[0]).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable, "{code}: {status:?}");

        let met = refusing.relay.rewritten();
        let (batch, _) = server
            .start_batch(pb::BatchOptions::default(), "")
            .await
            .unwrap();
        eventually(async || (refusing.relay.rewritten() > met).then_some(())).await;
        refusing.takes(doc! {}).await;
        let batch = server.batch_end(&batch.id).await;
        assert_eq!(
            batch.state(),
            pb::BatchState::Succeeded,
            "{code}: {batch:?}"
        );
        let before = 12 * i64::try_from(round).unwrap();
        assert_eq!(tally(batch.counts), [before + 12, 12, before, 0], "{code}");
        assert_eq!(server.all("archd_quarantine").await, [], "{code}");
    }
}

#[tokio::test]
async fn an_unknown_code_of_every_document_stops_the_archiving_and_quarantines_a_handful_at_most() {
    let refusing = Refusing::new().await;
    let server = &refusing.server;
    for code in [192, 1, 123_456] {
        let name = format!("CODE-{code}");
        refusing.with_code(code);
        refusing.takes(doc! { "$expr": false }).await;
        let numeros = refusing.deliver(&name, 60).await;
        let met = refusing.relay.rewritten();
        let (batch, _) = server
            .start_batch(pb::BatchOptions::default(), "")
            .await
            .unwrap();
        eventually(async || (refusing.relay.rewritten() > met + 120).then_some(())).await;
        // Callers one by one are told, and do not fill the quarantine either.
        for numero in &numeros[..20] {
            let answer = server.archive_order(numero).await;
            if let Err(status) = answer {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert!(status.message().contains(&code.to_string()), "{status:?}");
            }
        }
        let quarantined = server.all("archd_quarantine").await.len();
        assert!(quarantined <= 10, "{quarantined} orders with code {code}");

        refusing.takes(doc! {}).await;
        let batch = server.batch_end(&batch.id).await;
        assert_eq!(
            batch.state(),
            pb::BatchState::Succeeded,
            "{code}: {batch:?}"
        );
        assert_eq!(tally(batch.counts)[3], 0, "{code}: {batch:?}");
        assert_eq!(server.all("archd_quarantine").await, [], "{code}");
    }
}

#[tokio::test]
async fn an_unknown_code_of_one_document_among_others_is_that_orders_own() {
    let refusing = Refusing::new().await;
    let server = &refusing.server;
    refusing.takes(doc! { "odd": { "$exists": false } }).await;
    // DocumentValidationFailure itself, CannotIndexParallelArrays, and one that nobody knows.
    for (round, code) in [REFUSED, 171, 123_456].into_iter().enumerate() {
        refusing.with_code(code);
        let mut odd = order(format!("ODD-{code}"));
        odd.insert("odd", true);
        server.insert("Commande", [odd]).await;
        refusing.deliver(&format!("CODE-{code}"), 5).await;
        let batch = server.run_batch().await;
        let (round, errors) = (round as i64, round as i64 + 1);
        assert_eq!(
            tally(batch.counts),
            [6 * round + 6, 5, 5 * round, errors],
            "{code}"
        );
        let entry = server.collection("archd_quarantine");
        let entry = entry.find_one(doc! { "numero_commande": format!("ODD-{code}") });
        let entry = entry.await.unwrap().unwrap();
        assert_eq!(entry.get_str("reason").unwrap(), "refused");
        let detail = entry.get_str("detail").unwrap();
        assert!(detail.contains(&format!("({code})")), "{detail}");
    }
}
