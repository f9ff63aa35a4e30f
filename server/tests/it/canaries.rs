//! What must not be seen is seen nowhere: names, e-mails and addresses of people, and the password
//! of the database, whatever becomes of an order; neither in the log nor in metrics, the page and
//! its figures, spans, statuses and their details.

use bson::{Document, doc, oid::ObjectId};
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    stats_service_client::StatsServiceClient,
    verification_service_client::VerificationServiceClient,
};
use tonic::{Status, transport::Channel};

use crate::{
    check_privileges::Guarded,
    otlp::Collector,
    page::Listener,
    process::signal,
    program::{Program, text},
    support::{eventually, http::get, last, order, references, within},
};

/// A part of all that must not be seen.
const CANARY: &str = "c4n4ry";
const DATABASE: &str = "livraison";

/// A document with something of a person in every text but its own id.
fn personal(mut document: Document) -> Document {
    let texts: Vec<String> = document
        .iter()
        .filter(|(name, value)| {
            value.as_str().is_some() && *name != "numero_commande" && *name != "status"
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in texts {
        document.insert(name.clone(), format!("{CANARY} of {name}"));
    }
    document.insert("adresse", format!("3 rue {CANARY}"));
    document.insert("commentaire", format!("{CANARY}@example.fr"));
    document
}

/// Orders that fare in every way.
fn all_kinds() -> Vec<Document> {
    let mut nameless = order("");
    nameless.remove("numero_commande");
    let mut long = order("LONG");
    long.insert("_id", "x".repeat(1_100_000));
    let mut near = order("NEAR");
    near.insert("status", "Livrée");
    let mut nobodys = order("NOBODYS");
    nobodys.insert("id_client", 99);
    let mut odd = order("ODD");
    odd.insert("id_menu", doc! { "not": CANARY });
    let orders = [
        order("GOOD"),
        order("TAMPERED"),
        order("TWICE"),
        order("TWICE"),
        nameless,
        long,
        near,
        nobodys,
        odd,
    ];
    orders.into_iter().map(personal).collect()
}

/// What a status tells whoever called.
fn told(status: &Status) -> String {
    let details = String::from_utf8_lossy(status.details()).into_owned();
    format!("{status:?} {details}")
}

/// Everything that a server tells, by where it does.
#[derive(Default)]
struct Told(Vec<(&'static str, String)>);

impl Told {
    fn hear(&mut self, place: &'static str, text: impl Into<String>) {
        self.0.push((place, text.into()));
    }
}

async fn call_everything(channel: &Channel, told_by: &mut Told) {
    let mut archive = ArchiveServiceClient::new(channel.clone());
    for numero in [
        "GOOD", "TWICE", "LONG", "NEAR", "NOBODYS", "ODD", "ABSENT", "",
    ] {
        let request = pb::ArchiveOrderRequest {
            numero_commande: numero.to_owned(),
        };
        match archive.archive_order(request).await {
            Ok(answer) => told_by.hear("an answer", format!("{answer:?}")),
            Err(status) => told_by.hear("a status", told(&status)),
        }
    }
    let mut batches = BatchServiceClient::new(channel.clone());
    let started = batches.start_batch(pb::StartBatchRequest::default()).await;
    let id = started.unwrap().into_inner().batch.unwrap().id;
    let states = batches.watch_batch(pb::WatchBatchRequest { id }).await;
    let ended = last(states.unwrap().into_inner()).await;
    told_by.hear("a batch", format!("{ended:?}"));
}

async fn verify(channel: &Channel, told_by: &mut Told) {
    let mut verifications = VerificationServiceClient::new(channel.clone());
    // Differences are read again at once.
    let options = pb::VerificationOptions {
        settle: Some(Default::default()),
        ..Default::default()
    };
    let request = pb::StartVerificationRequest {
        options: Some(options),
        request_id: String::new(),
    };
    let started = verifications.start_verification(request).await.unwrap();
    let id = started.into_inner().verification.unwrap().id;
    let request = pb::WatchVerificationRequest { id: id.clone() };
    let states = verifications.watch_verification(request).await.unwrap();
    let ended = last(states.into_inner()).await;
    told_by.hear("a verification", format!("{ended:?}"));
    let request = pb::ListDifferencesRequest {
        verification_id: id,
        ..Default::default()
    };
    let differences = verifications.list_differences(request).await.unwrap();
    let differences = differences.into_inner();
    assert!(!differences.differences.is_empty());
    told_by.hear("differences", format!("{differences:?}"));
    for numero in ["GOOD", "TAMPERED", "TWICE", "NEAR"] {
        let request = pb::ExplainOrderRequest {
            numero_commande: numero.to_owned(),
            ..Default::default()
        };
        match verifications.explain_order(request).await {
            Ok(answer) => told_by.hear("an explanation", format!("{answer:?}")),
            Err(status) => told_by.hear("a status", told(&status)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_person_and_no_password_is_told_anywhere() {
    let collector = Collector::start().await;
    let guarded = Guarded::start().await;
    let password = format!("{CANARY}-password");
    let user = doc! { "createUser": "watcher", "pwd": &password, "roles": ["root"] };
    let admin = guarded.admin.database("admin");
    admin.run_command(user).await.unwrap();
    let uri = guarded
        .uri
        .replace("archd:archd@", &format!("watcher:{password}@"));
    assert!(uri.contains(CANARY), "{uri}");
    let database = guarded.admin.database(DATABASE);
    for (collection, document) in references() {
        let collection = database.collection::<Document>(collection);
        collection.insert_one(personal(document)).await.unwrap();
    }

    let to = format!("--otlp-endpoint={}", collector.address);
    let arguments = ["serve", "--http=127.0.0.1:0", "--schedule=off", &to];
    let mut program = Program::start(&uri, &database, &arguments);
    let address = text(&program.says("listens").await, "address").to_owned();
    let page = text(&program.says("HTTP is answered").await, "address").to_owned();
    let page = page.parse().unwrap();
    program.says("the database is ready").await;
    let channel = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = within(channel.connect()).await.unwrap();
    let commande = database.collection::<Document>("Commande");
    commande.insert_many(all_kinds()).await.unwrap();

    let mut told_by = Told::default();
    let mut listener = Listener::to(page).await;
    call_everything(&channel, &mut told_by).await;
    let edit = doc! { "$set": { "adresse": format!("{CANARY} road"), "_canary": CANARY } };
    let archive = database.collection::<Document>("Historique");
    let tampered = doc! { "numero_commande": "TAMPERED" };
    archive.update_one(tampered, edit).await.unwrap();
    let planted = doc! { "_id": ObjectId::new(), "numero_commande": "GHOST", "nom_client": CANARY };
    archive.insert_one(planted).await.unwrap();
    verify(&channel, &mut told_by).await;

    let mut stats = StatsServiceClient::new(channel.clone());
    let figures = stats.get_stats(pb::GetStatsRequest::default()).await;
    let figures = figures.unwrap().into_inner();
    assert!(figures.quarantine_size > 0, "{figures:?}");
    told_by.hear("the statistics", format!("{figures:?}"));
    for name in ["events", "figures"] {
        let told = listener.hear(name, |told| !told.is_null()).await;
        told_by.hear("the page's figures", told.to_string());
    }
    let paths = [
        "/",
        "/metrics",
        "/readyz",
        "/orders/GOOD",
        "/orders/TAMPERED",
        "/orders/TWICE",
        "/orders/NOBODYS",
    ];
    for path in paths {
        let answer = get(page, path).await;
        told_by.hear("HTTP", answer.body);
    }
    drop(channel);
    signal(&program.child, "TERM");
    let (code, lines) = program.end().await;
    assert_eq!(code, Some(0), "{lines:#?}");
    told_by.hear("the log", format!("{lines:?}"));
    let printed = eventually(async || {
        let printed = collector.printed();
        printed.contains("ArchiveOrder").then_some(printed)
    });
    told_by.hear("spans", printed.await);

    for (place, text) in &told_by.0 {
        assert!(text.len() > 1, "{place} tells nothing at all");
        assert!(!text.contains(CANARY), "{place} sings: {text}");
    }
}
