//! Each change is read by exactly one partition, whatever the `_id` of its order.

use std::collections::{BTreeMap, BTreeSet};

use archd::{
    bytes::raw::Value,
    config::Config,
    domain::partition::Partition,
    store::{
        Store,
        orders::deliveries::{delivers, order_of, stages},
        wire::changes::{Scope, Start},
    },
};
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, Timestamp, doc,
    oid::ObjectId, spec::BinarySubtype,
};
use devkit::ReplicaSet;

use crate::support::{order, within};

/// `_id`s of every type that one may have, and of the values in which types differ least.
fn hostile_ids() -> Vec<Bson> {
    let binary = |subtype| {
        Bson::Binary(Binary {
            subtype,
            bytes: vec![0, 255, 7],
        })
    };
    let mut ids = vec![
        Bson::Null,
        Bson::MinKey,
        Bson::MaxKey,
        true.into(),
        false.into(),
        String::new().into(),
        "livrée\u{0}\u{202e}".into(),
        "x".repeat(100_000).into(),
        Bson::Symbol("livrée".to_owned()),
        i32::MIN.into(),
        (-1).into(),
        0.into(),
        1_i64.into(),
        i64::MIN.into(),
        i64::MAX.into(),
        f64::NAN.into(),
        f64::NEG_INFINITY.into(),
        f64::INFINITY.into(),
        1.5.into(),
        (-1e300).into(),
        Bson::Decimal128("1.25E+6000".parse::<Decimal128>().unwrap()),
        Bson::Decimal128("-0.1".parse::<Decimal128>().unwrap()),
        DateTime::from_millis(i64::MIN).into(),
        DateTime::from_millis(0).into(),
        DateTime::from_millis(i64::MAX).into(),
        Timestamp {
            time: u32::MAX,
            increment: 0,
        }
        .into(),
        ObjectId::from_bytes([0; 12]).into(),
        ObjectId::from_bytes([255; 12]).into(),
        binary(BinarySubtype::Generic),
        binary(BinarySubtype::Uuid),
        binary(BinarySubtype::UserDefined(0x80)),
        Bson::JavaScriptCode("1".to_owned()),
        Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
            code: "1".to_owned(),
            scope: doc! { "a": 1 },
        }),
        Document::new().into(),
        doc! { "a": { "b": [1, Bson::Null, { "c": "d" }] } }.into(),
        doc! { "numero": "CMD-1", "jour": DateTime::from_millis(1) }.into(),
    ];
    ids.extend((0..100).map(|number| Bson::from(format!("CMD-{number}"))));
    ids.extend((0..100).map(|number| Bson::from(number + 100)));
    ids.extend((0..100).map(|_| Bson::from(ObjectId::new())));
    ids
}

/// The orders of whose deliveries a partition tells, from a moment on until the collection is
/// dropped, of which every partition tells.
async fn told_of(store: &Store, partition: Partition, from: Timestamp) -> Vec<Value> {
    let orders = Scope::Collection(&store.names().orders);
    let stages = stages(store.delivered(), partition);
    let changes = store.changes(orders, &Start::At(from), stages).await;
    let mut changes = changes.unwrap();
    let mut told = Vec::new();
    loop {
        let reply = within(changes.next()).await.unwrap();
        for change in &reply.changes {
            match delivers(change) {
                Some(true) => told.push(order_of(change).unwrap().to_owned()),
                _ => return told,
            }
        }
    }
}

#[tokio::test]
async fn each_change_is_read_by_exactly_one_partition_whatever_the_id_of_its_order() {
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let config = Config::simulation(&set.uri(), database.name()).unwrap();
    let store = Store::new(&config).await.unwrap();
    let orders = database.collection::<Document>("Commande");
    orders
        .insert_one(doc! { "status": "before" })
        .await
        .unwrap();
    let from = store.hello().await.unwrap().latest.unwrap();
    let ids = hostile_ids();
    for (number, id) in ids.iter().enumerate() {
        let mut order = order(format!("CMD-{number}"));
        order.insert("_id", id.clone());
        // In each of the ways in which one is delivered.
        match number % 3 {
            0 => drop(orders.insert_one(order).await.unwrap()),
            _ => {
                order.insert("status", "en_cours");
                orders.insert_one(order).await.unwrap();
                let delivered = doc! { "$set": { "status": "livrée" } };
                let numero = doc! { "numero_commande": format!("CMD-{number}") };
                let updated = match number % 3 {
                    1 => orders.update_one(numero, delivered).await,
                    _ => orders.update_one(numero, vec![delivered]).await,
                };
                assert_eq!(updated.unwrap().modified_count, 1, "{id:?}");
            }
        }
    }
    orders.drop().await.unwrap();
    for of in [1, 2, 3, 7, 64] {
        let mut readers: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        let (mut all, mut used) = (0, BTreeSet::new());
        for index in 0..of {
            for id in told_of(&store, Partition { index, of }, from).await {
                let id = id.as_ref();
                let key = [&[id.kind], id.bytes].concat();
                readers.entry(key).or_default().push(index);
                all += 1;
                used.insert(index);
            }
        }
        let twice: Vec<_> = readers.values().filter(|by| by.len() > 1).collect();
        assert!(twice.is_empty(), "{of}: {twice:?}");
        assert_eq!((all, readers.len()), (ids.len(), ids.len()), "{of}");
        // A hash that puts all of them into a few is none.
        assert!(used.len() > of as usize * 3 / 4, "{of}: {used:?}");
    }
}
