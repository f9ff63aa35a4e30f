//! Orders are gathered with the same references whichever way they are read.

use std::env;

use archd::{
    bytes::raw::{self, Value},
    config::Config,
    domain::order::Bundle,
    store::Store,
};
use bson::{Binary, Bson, Document, doc, oid::ObjectId, spec::BinarySubtype};
use devkit::ReplicaSet;
use mongodb::Database;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

const ORDERS: usize = 400;
const REFERENCES: usize = 60;

const COLLECTIONS: [(&str, &str); 4] = [
    ("Client", "id_client"),
    ("Livreur", "id_livreur"),
    ("Restaurants", "id_restaurant"),
    ("Menu", "id_menu"),
];

/// Values that somebody might store as an id, many of them equal to another one or nearly so.
fn hostile_ids() -> Vec<Bson> {
    let decimals = [
        "1",
        "1.00",
        "0.1",
        "0.1000000000000000055511151231257827",
        "-0",
        "0E+6000",
        "NaN",
        "Infinity",
        "-Infinity",
        "1E+6144",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "9.223372036854775807E+18",
        "1E-6176",
        "1000000000000000030378602842700367E+7",
        "9.9999999999999991611392E+22",
        "1.7976931348623157E+308",
    ];
    let decimals = decimals.map(|text| Bson::Decimal128(text.parse().unwrap()));
    let doubles = [
        1.0,
        0.1,
        0.5,
        -0.0,
        f64::NAN,
        -f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        9_007_199_254_740_992.0,
        9_223_372_036_854_775_808.0,
        -9_223_372_036_854_775_808.0,
        1e40,
        1e23,
    ];
    let regex = |pattern: &str| {
        Bson::RegularExpression(bson::Regex {
            pattern: pattern.try_into().unwrap(),
            options: "".try_into().unwrap(),
        })
    };
    let others = [
        0.into(),
        1.into(),
        (-1).into(),
        1_i64.into(),
        i64::MAX.into(),
        i64::MIN.into(),
        9_007_199_254_740_993_i64.into(),
        "1".into(),
        "".into(),
        "a\u{0}b".into(),
        "é".into(),
        "e\u{301}".into(),
        "$id_client".into(),
        "$$ROOT".into(),
        Bson::Symbol("1".into()),
        Bson::JavaScriptCode("1".into()),
        ObjectId::from_bytes([7; 12]).into(),
        Binary {
            subtype: BinarySubtype::Uuid,
            bytes: vec![7; 16],
        }
        .into(),
        vec![1].into(),
        vec![1, 2].into(),
        Bson::Array(vec![]),
        Bson::Array(vec![Bson::Null]),
        Bson::Array(vec![vec![1].into()]),
        doc! {}.into(),
        doc! { "a": 1 }.into(),
        doc! { "$gt": 0 }.into(),
        doc! { "$numberLong": "1" }.into(),
        Bson::Null,
        Bson::Undefined,
        true.into(),
        false.into(),
        bson::DateTime::from_millis(1).into(),
        bson::Timestamp {
            time: 1,
            increment: 0,
        }
        .into(),
        regex(".*"),
        regex("^1$"),
        Bson::MinKey,
        Bson::MaxKey,
    ];
    let doubles = doubles.map(Bson::from);
    decimals.into_iter().chain(doubles).chain(others).collect()
}

/// A document with a random id under this name, or without the field.
fn with_id(dice: &mut impl Rng, ids: &[Bson], name: &str) -> Document {
    let mut document = doc! {};
    if dice.random_ratio(9, 10) {
        document.insert(name, ids.choose(dice).unwrap());
    }
    document
}

async fn fill(database: &Database, dice: &mut impl Rng) -> Vec<Value> {
    let ids = hostile_ids();
    for (collection, name) in COLLECTIONS {
        let references = (0..REFERENCES).map(|at| {
            let mut reference = with_id(dice, &ids, name);
            // Not by the order of the inserts, so that the first of several is a matter of `_id`.
            let id: i64 = dice.random();
            reference.extend(
                doc! { "_id": id, "Nom": format!("{collection} {at}"), "name": at as i64, "price": at as i64 },
            );
            reference
        });
        let references: Vec<Document> = references.collect();
        let documents = database.collection(collection);
        documents.insert_many(references).await.unwrap();
    }
    let orders = (0..ORDERS).map(|at| {
        let mut order =
            doc! { "_id": at as i64, "numero_commande": format!("CMD-{at}"), "status": "livrée" };
        for (_, name) in COLLECTIONS {
            order.extend(with_id(dice, &ids, name));
        }
        order
    });
    let orders: Vec<Document> = orders.collect();
    let id_of = |order: &Document| {
        let order = bson::RawDocumentBuf::try_from(order).unwrap();
        raw::find(&order, "_id").unwrap().to_owned()
    };
    let order_ids = orders.iter().map(id_of).collect();
    let archived = orders.iter().step_by(7);
    let archived = archived.map(|order| doc! { "_id": order.get("_id").unwrap(), "numero_commande": order.get("numero_commande").unwrap(), "missing_fields": ["nom_menu"] });
    let archive = database.collection("Historique");
    archive
        .insert_many(archived.collect::<Vec<_>>())
        .await
        .unwrap();
    database
        .collection("Commande")
        .insert_many(orders)
        .await
        .unwrap();
    order_ids
}

#[tokio::test]
async fn both_ways_of_gathering_find_the_same() {
    let seed = env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let mut dice = StdRng::seed_from_u64(seed);
    let set = ReplicaSet::shared().await.unwrap();
    for with_indexes in [false, true] {
        let database = set.fresh_database().await.unwrap();
        let ids = fill(&database, &mut dice).await;
        let config = Config::simulation(&set.uri(), database.name()).unwrap();
        let store = Store::new(&config).await.unwrap();
        if with_indexes {
            store.create_absent_indexes().await.unwrap();
        }
        let by_id = |bundle: &Bundle| bundle.order.id().bytes.to_vec();
        let mut by_find = store.gather_by_find("_id", &ids).await.unwrap().bundles;
        by_find.sort_by_key(by_id);
        assert_eq!(by_find.len(), ORDERS, "SEED={seed}");
        let mut undecided = 0;
        for expected in &by_find {
            let order = &expected.order;
            for name in ["_id", "numero_commande"] {
                let value = [order.get(name).unwrap().to_owned()];
                match store.gather_by_lookup(name, &value).await.unwrap() {
                    Some(bundles) => assert_eq!(
                        bundles,
                        std::slice::from_ref(expected),
                        "SEED={seed}, by {name}, with indexes: {with_indexes}"
                    ),
                    None => undecided += 1,
                }
                if name != "_id" {
                    let bundles = store.gather_by_find(name, &value).await.unwrap().bundles;
                    assert_eq!(bundles, std::slice::from_ref(expected), "SEED={seed}");
                }
            }
        }
        assert!(
            (1..2 * ORDERS).contains(&undecided),
            "SEED={seed}: {undecided} of {} lookups left the choice to the finds",
            2 * ORDERS
        );
        let joined = by_find
            .iter()
            .flat_map(|bundle| &bundle.references)
            .flatten();
        assert!(
            joined.count() > ORDERS / 4,
            "SEED={seed}: hardly anything was joined"
        );
        let archived = by_find.iter().filter(|bundle| bundle.archived.is_some());
        assert_eq!(archived.count(), ORDERS.div_ceil(7));
        store.close().await;
    }
}
