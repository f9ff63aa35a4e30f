//! A batch pages through `_id`s of every type.

use bson::{Binary, Bson, doc, oid::ObjectId, spec::BinarySubtype};

use super::{all_get_their_due, complete, decimal, with};
use crate::support::TestServer;

#[tokio::test]
async fn a_batch_pages_through_ids_of_every_type() {
    for chunk_size in 1..=3 {
        for indexed in [false, true] {
            page_through_ids_of_every_type(chunk_size, indexed).await;
        }
    }
}

async fn page_through_ids_of_every_type(chunk_size: usize, indexed: bool) {
    let server = TestServer::start_with(|config| config.chunk_size = chunk_size)
        .await
        .with_references()
        .await;
    if indexed {
        server.index_status().await;
    }
    let ids: [Bson; 23] = [
        Bson::MinKey,
        Bson::Null,
        f64::NAN.into(),
        f64::NEG_INFINITY.into(),
        (-1).into(),
        0.5.into(),
        1.into(),
        2_i64.into(),
        decimal("3.5"),
        "".into(),
        "a".into(),
        Bson::Symbol("b".into()),
        doc! {}.into(),
        doc! { "a": 1 }.into(),
        doc! { "a": { "b": "c" } }.into(),
        Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![1],
        }
        .into(),
        bson::Uuid::new().into(),
        ObjectId::new().into(),
        false.into(),
        true.into(),
        bson::DateTime::from_millis(-1).into(),
        Bson::Timestamp(bson::Timestamp {
            time: 1,
            increment: 1,
        }),
        Bson::MaxKey,
    ];
    let order = |id: &Bson| (id.to_string(), with(doc! { "_id": id }), complete());
    all_get_their_due(&server, ids.iter().map(order).collect()).await;
}
