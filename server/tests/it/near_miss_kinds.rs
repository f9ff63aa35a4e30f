//! A status that only looks delivered is told by its kind and its difference; the command that
//! comes with it mends exactly the orders that have it, and they are archived then.

use bson::{Bson, Document, doc};
use devkit::ReplicaSet;
use order_archiver_api::v1 as pb;
use pb::NearMissKind as Kind;
use serde_json::Value;
use tonic::Code;
use tonic_types::StatusExt;

use crate::{
    mongosh::mongosh,
    process::run,
    support::{TestServer, order, tally},
};

/// A name that a shell has to be told with care.
const ORDERS: &str = "Commandes d'été \"2025\"\\x\u{301} \u{1f355}";

/// Near misses of every kind, and the words for what sets them apart.
fn near() -> Vec<(Bson, Kind, &'static str)> {
    let symbol = |text: &str| Bson::Symbol(text.to_owned());
    let code = Bson::JavaScriptCode("livrée".to_owned());
    vec![
        ("Livrée".into(), Kind::Case, "other case"),
        ("livrée \n".into(), Kind::Blanks, "U+0020, U+000A"),
        ("livrée\u{2028}".into(), Kind::Blanks, "U+2028"),
        ("livre\u{301}e".into(), Kind::AccentForm, "e + U+0301"),
        ("livree".into(), Kind::Accents, "accents missing"),
        ("livrée\u{200b}".into(), Kind::Invisible, "U+200B"),
        ("livrée\u{0}".into(), Kind::Invisible, "U+0000"),
        ("\"livrée\"$".into(), Kind::Punctuation, "U+0022, U+0024"),
        ("'livrée\\'".into(), Kind::Punctuation, "U+0027, U+005C"),
        ("ｌivrée".into(), Kind::LetterForms, "U+FF4C"),
        (" LIVREE".into(), Kind::Several, "accents missing; blanks"),
        (vec!["livrée"].into(), Kind::List, "a list"),
        (vec![vec!["livrée"]].into(), Kind::List, "a list"),
        (
            vec![Bson::from("Livrée"), Bson::Int64(7), Bson::Null].into(),
            Kind::List,
            "a list",
        ),
        (
            doc! { "v": "livrée", "n": { "at": bson::DateTime::from_millis(7) } }.into(),
            Kind::Document,
            "a document",
        ),
        (symbol("livrée"), Kind::Symbol, "a symbol, not a text"),
        (
            symbol("Livrée"),
            Kind::Symbol,
            "a symbol, not a text; other case",
        ),
        (code, Kind::Code, "code"),
    ]
}

fn numero(at: usize) -> String {
    format!("NEAR-{at}")
}

async fn statuses(server: &TestServer) -> Vec<Bson> {
    let mut orders = server.all(ORDERS).await;
    orders.sort_by_key(|order| order.get_i32("at").unwrap());
    orders
        .into_iter()
        .map(|mut order| order.remove("status").unwrap())
        .collect()
}

/// A server whose orders lie in a collection that compares as nobody expects.
async fn server() -> TestServer {
    let server = TestServer::start_with(|config| config.collections.orders = ORDERS.to_owned())
        .await
        .with_references()
        .await;
    let collated = doc! { "create": ORDERS, "collation": { "locale": "fr", "strength": 1 } };
    server.database.run_command(collated).await.unwrap();
    let orders = near().into_iter().enumerate().map(|(at, (status, ..))| {
        let mut order = order(numero(at));
        order.insert("status", status);
        order.insert("at", i32::try_from(at).unwrap());
        order
    });
    server.insert(ORDERS, orders).await;
    server
}

#[tokio::test]
async fn each_kind_of_near_miss_is_mended_by_its_command_and_archived() {
    let server = server().await;
    let near = near();
    let batch = server.run_batch().await;
    assert_eq!(tally(batch.counts), [0, 0, 0, 0], "{batch:?}");
    let figures = pb::GetStatsRequest {
        include_near_misses: true,
        ..Default::default()
    };
    let figures = server.stats().get_stats(figures).await.unwrap();
    let mut mends = Vec::new();
    for told in [&batch.near_misses, &figures.into_inner().near_misses] {
        assert_eq!(told.len(), near.len(), "{told:#?}");
        mends.clear();
        for (at, (status, kind, difference)) in near.iter().enumerate() {
            let miss = told.iter().find(|miss| miss.examples == [numero(at)]);
            let miss = miss.unwrap_or_else(|| panic!("{status:?} is not among {told:#?}"));
            assert_eq!(miss.kind(), *kind, "{miss:?}");
            assert!(miss.difference.contains(difference), "{miss:?}");
            let visible = |it: char| it == 'é' || it == ' ' || it.is_ascii_graphic();
            assert!(miss.status_escaped.chars().all(visible), "{miss:?}");
            let meant: Value = serde_json::from_str(&miss.status_escaped).unwrap();
            assert_eq!(
                meant,
                serde_json::from_str::<Value>(&miss.status_json).unwrap()
            );
            mends.push(miss.mend.clone());
        }
    }

    for (at, (status, kind, _)) in near.iter().enumerate() {
        let refused = server.archive_order(&numero(at)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(info.reason, "NOT_DELIVERED");
        let kind = kind.as_str_name().trim_start_matches("NEAR_MISS_KIND_");
        assert_eq!(info.metadata["near_miss"], kind, "{status:?}");
        let message = refused.message();
        assert!(!message.contains("will be archived once"), "{message}");
        assert!(
            message.ends_with(&format!("; mend: {}", mends[at])),
            "{message}"
        );
    }

    // One by one each changes its own orders and no others.
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let before = statuses(&server).await;
    for at in [0, 11, 15] {
        mongosh(&uri, &mends[at..=at]).await;
        let after = statuses(&server).await;
        for (other, (before, after)) in before.iter().zip(&after).enumerate() {
            let is_mended = [0, 11, 15].contains(&other) && other <= at;
            match is_mended {
                true => assert_eq!(after, &Bson::from("livrée"), "{}", mends[at]),
                false => assert_eq!(after, before, "{} changed {other}", mends[at]),
            }
        }
    }
    mongosh(&uri, &mends).await;
    assert_eq!(
        statuses(&server).await,
        vec![Bson::from("livrée"); near.len()]
    );
    for at in 0..near.len() {
        let archived = server.archive_order(&numero(at)).await.unwrap();
        assert_eq!(archived.outcome(), pb::ArchiveOutcome::Archived);
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_status_too_long_to_be_quoted_has_no_command_and_an_ordinary_one_is_no_near_miss() {
    let server = TestServer::start().await.with_references().await;
    let with = |numero: &str, status: Bson| -> Document {
        let mut order = order(numero);
        order.insert("status", status);
        order
    };
    let long = format!("livrée{}", " ".repeat(300));
    let orders = [with("LONG", long.into()), with("FAR", "en_cours".into())];
    server.insert("Commande", orders).await;
    let long = server.archive_order("LONG").await.unwrap_err();
    assert!(!long.message().contains("mend: "), "{long:?}");
    assert!(long.message().contains("include_near_misses"), "{long:?}");
    let far = server.archive_order("FAR").await.unwrap_err();
    assert!(
        far.message().ends_with("it will be archived once it is"),
        "{far:?}"
    );
    let info = far.get_details_error_info().unwrap();
    assert!(!info.metadata.contains_key("near_miss"), "{info:?}");
    let batch = server.run_batch().await;
    assert_eq!(batch.near_misses[0].mend, "");
    assert_eq!(batch.near_misses[0].kind(), Kind::Blanks);
    server.shut_down().await;
}

#[tokio::test]
async fn archd_batch_shows_each_near_miss_with_its_difference_and_its_mend() {
    let server = TestServer::start().await.with_references().await;
    let mut near = order("NEAR-1");
    near.insert("status", "livre\u{301}e");
    server.insert("Commande", [near]).await;
    let (uri, database) = (
        ReplicaSet::shared().await.unwrap().uri(),
        server.database.name().to_owned(),
    );
    server.shut_down().await;
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", &database),
    ];
    let (code, text, log) = run(&["batch"], &settings).await;
    assert_eq!(code, Some(0), "{log}");
    let said = r#"near miss: "livre\u0301e" (decomposed accent: e + U+0301), orders: 1, for example NEAR-1"#;
    assert!(text.contains(said), "{text}");
    let mend = r#"updateMany({ status: { $eq: "livre\u0301e" }, $expr:"#;
    assert!(text.contains(mend), "{text}");
    let (_, json, _) = run(&["batch", "--output=json"], &settings).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    let miss = &json["near_misses"][0];
    assert_eq!(miss["kind"], "NEAR_MISS_KIND_ACCENT_FORM");
    assert!(miss["mend"].as_str().unwrap().contains(mend), "{miss}");
}
