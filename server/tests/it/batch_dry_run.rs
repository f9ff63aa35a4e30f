//! A dry run predicts, order by order, what the next batch makes of the same data, however bad it
//! is, and writes nothing.

use archd::domain::enrich::LARGEST_DOCUMENT;
use bson::{Bson, Document, RawDocumentBuf, doc};
use order_archiver_api::v1 as pb;
use pb::{BatchOptions, BatchState, OrderCounts};

use crate::support::{TestServer, eventually, order};

const CHUNK: usize = 7;

fn with(numero: impl Into<Bson>, fields: Document) -> Document {
    let mut order = order(numero);
    order.extend(fields);
    order
}

fn without(numero: &str, field: &str) -> Document {
    let mut order = order(numero);
    order.remove(field);
    order
}

/// An order of so many bytes.
fn of_size(numero: &str, bytes: usize) -> Document {
    let size = |order: &Document| RawDocumentBuf::try_from(order).unwrap().as_bytes().len();
    let mut order = with(numero, doc! { "filler": "" });
    let filler = bytes - size(&order);
    order.insert("filler", "x".repeat(filler));
    order
}

/// Orders that a batch archives before any of the others is there.
fn archived_before() -> Vec<Document> {
    let ordinary = (0..40).map(|number| order(format!("OLD-{number}")));
    ordinary.collect()
}

/// Orders that are bad each in its own way, among good ones.
fn hostile() -> Vec<Document> {
    let mut orders = vec![
        // Numbers that the archive holds for another order.
        order("OLD-3"),
        order("OLD-30"),
        // Numbers that come more than once, near each other and far apart.
        order("TWICE"),
        order("TWICE"),
        without("NO-PRICE-TWICE", "coût_commande"),
        without("NO-PRICE-TWICE", "coût_commande"),
        order("FAR"),
        // What is no number.
        without("", "numero_commande"),
        order(""),
        order(12),
        order(Bson::Null),
        order(vec!["OLD-1"]),
        order(doc! { "numero": "OLD-1" }),
        order(Bson::Symbol("OLD-2".to_owned())),
        // What can't be joined.
        with("NOBODY", doc! { "id_client": 404, "id_menu": Bson::Null }),
        with("LISTS", doc! { "id_client": [1], "id_menu": {} }),
        without("NO-MENU", "id_menu"),
        without("NO-DATE", "date_commande"),
        // What is as large as an order may be, and what fits; one that is refused for its size does
        // not take its number.
        of_size("LARGE", LARGEST_DOCUMENT),
        order("LARGE"),
        of_size("LARGE TOO", LARGEST_DOCUMENT),
        of_size("FITS", LARGEST_DOCUMENT - 4_096),
        of_size("FITS", LARGEST_DOCUMENT - 4_096),
        // What somebody else has put into the archive.
        order("IN-A-LIST"),
        order("A-SYMBOL"),
        // What is not delivered.
        with("ELSEWHERE", doc! { "status": "en_cours" }),
        with("LOOKS", doc! { "status": "Livrée" }),
    ];
    orders.extend((0..60).map(|number| order(format!("NEW-{number}"))));
    orders.extend([order("FAR"), order("FAR")]);
    orders
}

/// Documents of others in the archive: to the unique index a list is each of its members, and a
/// symbol is its text.
fn foreign() -> [Document; 2] {
    [
        doc! { "_id": "foreign-1", "numero_commande": ["IN-A-LIST", "ANOTHER"] },
        doc! { "_id": "foreign-2", "numero_commande": Bson::Symbol("A-SYMBOL".to_owned()) },
    ]
}

fn counts(batch: &pb::Batch) -> OrderCounts {
    assert_eq!(batch.state(), BatchState::Succeeded, "{batch:?}");
    batch.counts.unwrap()
}

/// Everything that a batch may write to but the batch's own record.
async fn written(server: &TestServer) -> Vec<Vec<RawDocumentBuf>> {
    let mut all = Vec::new();
    for collection in [
        "Historique",
        "archd_quarantine",
        "archd_quarantine_bytes",
        "Commande",
        "archd_counters",
    ] {
        all.push(server.all_raw(collection).await);
    }
    all
}

async fn dry_then_real(server: &TestServer, options: BatchOptions) -> OrderCounts {
    let before = written(server).await;
    let dry = BatchOptions {
        validate_only: true,
        ..options
    };
    let predicted = counts(&server.run_batch_with(dry).await);
    assert!(
        written(server).await == before,
        "the dry run has written something"
    );
    let real = counts(&server.run_batch_with(options).await);
    assert_eq!(predicted, real);
    real
}

#[tokio::test]
async fn what_is_predicted_of_hostile_orders_comes_true_and_nothing_is_written() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK)
        .await
        .with_references()
        .await;
    let all = BatchOptions::default();
    server.insert("Commande", archived_before()).await;
    let first = dry_then_real(&server, all).await;
    assert_eq!((first.found, first.archived), (40, 40));

    server.insert("Historique", foreign()).await;
    for order in hostile() {
        server.insert("Commande", [order]).await;
    }
    // An archived order that has another number since.
    let orders = server.collection("Commande");
    let renumbered = doc! { "$set": { "numero_commande": "OLD-7-NEW" } };
    orders
        .update_one(doc! { "numero_commande": "OLD-7" }, renumbered)
        .await
        .unwrap();
    let few = BatchOptions { limit: 55, ..all };
    let part = dry_then_real(&server, few).await;
    assert_eq!(part.found, 55);
    let rest = dry_then_real(&server, all).await;
    println!("{part:?}, {rest:?}");
    assert!(
        rest.errors >= 10 && rest.incomplete > 0 && rest.archived > 0 && rest.duplicates >= 40,
        "{rest:?}"
    );
    let again = dry_then_real(&server, all).await;
    let expected = OrderCounts {
        found: rest.found,
        archived: 0,
        duplicates: rest.duplicates + rest.archived,
        incomplete: 0,
        errors: rest.errors,
        gone: 0,
    };
    assert_eq!(again, expected);
}

#[tokio::test]
async fn a_dry_run_keeps_to_the_limit_and_makes_no_index() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    server
        .insert(
            "Commande",
            (0..30).map(|number| order(format!("N-{number}"))),
        )
        .await;
    let indexes = async || {
        let names = server.collection("Commande").list_index_names().await;
        names.unwrap()
    };
    let before = indexes().await;
    let options = BatchOptions {
        limit: 10,
        validate_only: true,
        ..Default::default()
    };
    let predicted = counts(&server.run_batch_with(options).await);
    assert_eq!(
        (predicted.found, predicted.archived, predicted.incomplete),
        (10, 10, 10)
    );
    assert_eq!(indexes().await, before);
    let archive = eventually(async || Some(server.all("Historique").await)).await;
    assert_eq!(archive, [] as [Document; 0]);
}
