//! Databases in order that somebody has put out of order, each in a way that is mended by running
//! commands.

use bson::{Bson, Document, doc};
use futures::{FutureExt, future::BoxFuture};
use mongodb::Database;

/// A database in order that somebody has put out of order.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The finding that complains.
    pub(super) finding: &'static str,
    pub(super) spoil: fn(Database) -> BoxFuture<'static, ()>,
}

/// Every condition that is mended by running commands. To add one: say how to bring it about, and
/// name it in [`super::SITES`].
pub(super) const CASES: &[Case] = &[
    case("capped", "archive", |db| {
        made_anew(db, doc! { "capped": true, "size": 1 << 20, "max": 50 }).boxed()
    }),
    case("time series", "archive", |db| {
        let series = doc! { "timeseries": { "timeField": "date_archivage" } };
        made_anew(db, series).boxed()
    }),
    case("view", "archive", |db| {
        async move {
            let keep = doc! { "renameCollection": format!("{}.Historique", db.name()), "to": format!("{}.base", db.name()) };
            let admin = db.client().database("admin");
            admin.run_command(keep).await.unwrap();
            run(&db, doc! { "create": "Historique", "viewOn": "base" }).await;
        }
        .boxed()
    }),
    case("expiring", "archive", |db| {
        let expiring =
            doc! { "key": { "date_archivage": 1 }, "name": "old", "expireAfterSeconds": 3_600 };
        index(db, "Historique", expiring).boxed()
    }),
    case("expiring by its unique index", "archive", |db| {
        async move {
            drop_unique(&db).await;
            let expiring = doc! { "key": { "numero_commande": 1 }, "name": "numero_commande_1", "unique": true, "expireAfterSeconds": 3_600 };
            index(db, "Historique", expiring).await;
        }
        .boxed()
    }),
    case("clustered and expiring", "archive", |db| {
        let clustered = doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true }, "expireAfterSeconds": 10 * 365 * 24 * 60 * 60 };
        made_anew(db, clustered).boxed()
    }),
    case("validator", "archive", |db| {
        let rule = doc! { "collMod": "Historique", "validator": { "numero_commande": { "$type": "string" } } };
        async move { run(&db, rule).await }.boxed()
    }),
    case("unique index missing", "unique index", |db| {
        async move { drop_unique(&db).await }.boxed()
    }),
    case(
        "its name taken by one that is not unique",
        "unique index",
        |db| other_unique(db, doc! {}).boxed(),
    ),
    case("its name taken by a sparse one", "unique index", |db| {
        other_unique(db, doc! { "unique": true, "sparse": true }).boxed()
    }),
    case("its name taken by a partial one", "unique index", |db| {
        let partial = doc! { "unique": true, "partialFilterExpression": { "incomplete": true } };
        other_unique(db, partial).boxed()
    }),
    case("its name taken by a collated one", "unique index", |db| {
        let collated = doc! { "unique": true, "collation": { "locale": "fr", "strength": 1 } };
        other_unique(db, collated).boxed()
    }),
    case("unique index hidden", "unique index", |db| {
        let hide = doc! { "collMod": "Historique", "index": { "name": "numero_commande_1", "hidden": true } };
        async move { run(&db, hide).await }.boxed()
    }),
    case("further unique indexes", "other unique indexes", |db| {
        async move {
            let further = [
                doc! { "key": { "slot": 1 }, "name": "by slot", "unique": true, "sparse": true },
                doc! { "key": { "day": -1, "tour": 1 }, "name": "odd", "unique": 1.0, "sparse": true },
                doc! { "key": { "numero_commande": 1, "a": 1 }, "name": "collated", "unique": true, "collation": { "locale": "fr", "strength": 1 } },
            ];
            for further in further {
                index(db.clone(), "Historique", further).await;
            }
        }
        .boxed()
    }),
    case("a text twice", "unique index", |db| {
        numbers(db, ["A-1", "A-1", "A-1", "A-2", "A-2"].map(Bson::from)).boxed()
    }),
    case("a number twice", "unique index", |db| {
        let alike = [
            Bson::Int32(7),
            Bson::Double(7.0),
            Bson::Int64(1 << 60),
            Bson::Int64(1 << 60),
        ];
        numbers(db, alike).boxed()
    }),
    case("lists that share a member", "unique index", |db| {
        let lists = [vec!["A-1", "A-2"], vec!["A-2", "A-3"], vec!["A-3", "A-3"]];
        numbers(db, lists.map(Bson::from).into_iter().chain(["A-1".into()])).boxed()
    }),
    case("documents twice", "unique index", |db| {
        let documents = [(); 2].map(|()| Bson::from(doc! { "year": 2020, "number": 1 }));
        numbers(db, documents).boxed()
    }),
    case("no number", "unique index", |db| {
        async move {
            numbers(db.clone(), [Bson::Null, Bson::Null]).await;
            let archive = db.collection::<Document>("Historique");
            let none = [
                doc! {},
                doc! { "_id": Bson::Int64(1 << 60) },
                doc! { "_id": { "a": 1 } },
            ];
            archive.insert_many(none).await.unwrap();
        }
        .boxed()
    }),
    case("lists without a number", "unique index", |db| {
        let none = || Bson::Array(Vec::new());
        let null = || Bson::Array(vec![Bson::Null, "A-1".into()]);
        numbers(db, [none(), none(), null(), null(), Bson::Null]).boxed()
    }),
    case("no number beside a text twice", "unique index", |db| {
        numbers(db, [Bson::Null, Bson::Null, "A-1".into(), "A-1".into()]).boxed()
    }),
    case("no index for joins and pages", "indexes", |db| {
        async move {
            for name in ["Client", "Livreur", "Restaurants", "Menu", "Commande"] {
                run(&db, doc! { "dropIndexes": name, "index": "*" }).await;
            }
        }
        .boxed()
    }),
    case("indexes hidden", "indexes", |db| {
        async move {
            for (name, index) in [("Menu", "id_menu_1"), ("Commande", "status_1__id_1")] {
                let hide = doc! { "collMod": name, "index": { "name": index, "hidden": true } };
                run(&db, hide).await;
            }
        }
        .boxed()
    }),
    case("indexes that leave orders out", "indexes", |db| {
        async move {
            let filter = doc! { "partialFilterExpression": { "status": "livrée" } };
            let partial = |key: Document, name: &str| {
                let mut index = doc! { "key": key, "name": name };
                index.extend(filter.clone());
                index
            };
            for name in ["status_1__id_1", "numero_commande_1"] {
                run(&db, doc! { "dropIndexes": "Commande", "index": name }).await;
            }
            index(
                db.clone(),
                "Commande",
                partial(doc! { "status": 1, "_id": 1 }, "status_1__id_1"),
            )
            .await;
            index(
                db,
                "Commande",
                partial(doc! { "numero_commande": 1 }, "numero_commande_1"),
            )
            .await;
        }
        .boxed()
    }),
    case("collated collections", "indexes", |db| {
        async move {
            for (name, keys) in [
                ("Menu", [doc! { "id_menu": 1 }, doc! { "a": 1 }]),
                (
                    "Commande",
                    [
                        doc! { "numero_commande": 1 },
                        doc! { "status": 1, "_id": 1 },
                    ],
                ),
            ] {
                let collated =
                    doc! { "create": name, "collation": { "locale": "fr", "strength": 1 } };
                run(&db, doc! { "drop": name }).await;
                run(&db, collated).await;
                for key in keys {
                    // The first has the collection's collation where it should not, the second has
                    // none where it should.
                    let fields: Vec<String> = key.keys().map(|key| format!("{key}_1")).collect();
                    let mut own = doc! { "name": fields.join("_"), "key": &key };
                    if key.len() == 1 {
                        own.insert("collation", doc! { "locale": "simple" });
                    }
                    index(db.clone(), name, own).await;
                }
            }
        }
        .boxed()
    }),
];

const fn case(
    name: &'static str,
    finding: &'static str,
    spoil: fn(Database) -> BoxFuture<'static, ()>,
) -> Case {
    Case {
        name,
        finding,
        spoil,
    }
}

async fn run(database: &Database, command: Document) {
    database.run_command(command).await.unwrap();
}

async fn index(database: Database, collection: &str, index: Document) {
    let create = doc! { "createIndexes": collection, "indexes": [index] };
    run(&database, create).await;
}

/// Puts another archive in place of the one that is there, with the orders of before.
async fn made_anew(database: Database, options: Document) {
    run(&database, doc! { "drop": "Historique" }).await;
    let mut create = doc! { "create": "Historique" };
    create.extend(options);
    run(&database, create).await;
    let archive = database.collection::<Document>("Historique");
    let now = bson::DateTime::from_millis(1_760_624_625_000);
    let archived =
        ["OLD-1", "OLD-2"].map(|numero| doc! { "numero_commande": numero, "date_archivage": now });
    archive.insert_many(archived).await.unwrap();
}

async fn drop_unique(database: &Database) {
    run(
        database,
        doc! { "dropIndexes": "Historique", "index": "numero_commande_1" },
    )
    .await;
}

/// An index of the unique one's name that does something else.
async fn other_unique(database: Database, options: Document) {
    drop_unique(&database).await;
    let mut other = doc! { "key": { "numero_commande": 1 }, "name": "numero_commande_1" };
    other.extend(options);
    index(database, "Historique", other).await;
}

/// An archive without its index that holds these numbers too.
async fn numbers(database: Database, numbers: impl IntoIterator<Item = Bson>) {
    drop_unique(&database).await;
    let numbered = numbers
        .into_iter()
        .map(|numero| doc! { "numero_commande": numero });
    let archive = database.collection::<Document>("Historique");
    archive.insert_many(numbered).await.unwrap();
}
