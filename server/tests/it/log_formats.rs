//! `ARCHD_LOG_FORMAT=ecs`: every member of a line is a field of the Elastic Common Schema, of its
//! type, or stands where no schema rules.

use std::collections::BTreeMap;

use chrono::DateTime;
use order_archiver_api::{REQUEST_ID, v1 as pb};
use pb::{archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient};
use serde_json::Value;
use tonic::{Request, transport::Channel};

use crate::{
    faults::fresh,
    process::signal,
    program::{Program, saying},
    support::{order, orders, within},
};

/// The types of the schema's fields, by their names.
fn schema() -> BTreeMap<&'static str, &'static str> {
    let fields = include_str!("ecs_fields.txt").lines();
    let fields = fields.filter(|line| !line.starts_with('#'));
    fields.map(|line| line.split_once(' ').unwrap()).collect()
}

/// What is wrong with a member of a line, if anything is.
fn fault(schema: &BTreeMap<&str, &str>, name: &str, value: &Value) -> Option<String> {
    let fits = match (name, schema.get(name).copied()) {
        // The proper name of this product, which the schema leaves to it.
        ("archd", None) => value
            .as_object()
            .is_some_and(|own| own.values().all(Value::is_number)),
        ("labels", Some("object")) => value
            .as_object()
            .is_some_and(|labels| labels.values().all(Value::is_string)),
        (_, Some("date")) => value
            .as_str()
            .is_some_and(|time| DateTime::parse_from_rfc3339(time).is_ok()),
        (_, Some("long")) => value.is_i64(),
        (_, Some("keyword" | "match_only_text" | "wildcard")) => {
            let texts = value.as_array();
            value.is_string() || texts.is_some_and(|texts| texts.iter().all(Value::is_string))
        }
        _ => false,
    };
    (!fits).then(|| format!("{name}: {value} ({:?})", schema.get(name)))
}

#[tokio::test]
async fn every_line_is_one_of_the_elastic_common_schema() {
    let set = devkit::ReplicaSet::shared().await.unwrap();
    let database = fresh(set).await;
    let commande = database.collection("Commande");
    let mut bad = order("BAD");
    bad.insert("_id", "x".repeat(1_100_000));
    let mut near = order("NEAR");
    near.insert("status", "Livrée");
    commande.insert_many(orders(20)).await.unwrap();
    commande.insert_many([bad, near]).await.unwrap();
    let arguments = [
        "serve",
        "--schedule=off",
        "--log-format=ecs",
        "--instance=one",
    ];
    let mut program = Program::start(&set.uri(), &database, &arguments);
    let line = program.says("listens").await;
    let address = line["labels"]["address"].as_str().unwrap().to_owned();
    program.says("batch ended").await;
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let channel = within(endpoint.connect()).await.unwrap();
    let mut archive = ArchiveServiceClient::new(channel.clone());
    let mut request = Request::new(pb::ArchiveOrderRequest {
        numero_commande: "CMD-2025-000001".to_owned(),
    });
    request
        .metadata_mut()
        .insert(REQUEST_ID, "call-1".parse().unwrap());
    archive.archive_order(request).await.unwrap();
    let mut batches = BatchServiceClient::new(channel);
    // The end of the batch before is told before it is saved: until then this would be that one.
    within(async {
        loop {
            let mut request = Request::new(pb::StartBatchRequest::default());
            request
                .metadata_mut()
                .insert(REQUEST_ID, "call-2".parse().unwrap());
            let started = batches.start_batch(request).await.unwrap();
            if !started.into_inner().already_running {
                return;
            }
        }
    })
    .await;
    program.says("batch ended").await;
    signal(&program.child, "TERM");
    let (_, lines) = program.end().await;

    let schema = schema();
    assert!(lines.len() > 10, "{lines:#?}");
    for line in &lines {
        let line = line.as_object().unwrap();
        let faults = line
            .iter()
            .filter_map(|(name, value)| fault(&schema, name, value));
        let faults: Vec<String> = faults.collect();
        assert!(faults.is_empty(), "{faults:#?} in {line:#?}");
        let first: Vec<&str> = line.keys().take(4).map(String::as_str).collect();
        assert_eq!(first, ["@timestamp", "log.level", "message", "ecs.version"]);
        assert_eq!(line["service.node.name"], "one");
    }
    let asked = saying(&lines, "a batch was asked for");
    let asked = asked.last().expect("the last of them is the one");
    assert_eq!(asked["http.request.id"], "call-2", "{asked}");
    let peer = asked["client.address"].as_str().unwrap();
    assert!(peer.starts_with("127.0.0.1:"), "{asked}");
    assert_eq!(asked["log.level"], "info", "{asked}");
    // What every line has that a search begins with.
    let ended = saying(&lines, "batch ended");
    assert!(
        ended.iter().any(|line| line["archd"]["archived"] == 20),
        "{ended:#?}"
    );
}
