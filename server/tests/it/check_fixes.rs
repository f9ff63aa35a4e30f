//! What `archd check` advises mends what it is for: each command that it can print is run in the shell, and the check is ok then.

use std::{collections::BTreeMap, fs, path::Path};

use bson::{Bson, Document, doc};
use devkit::ReplicaSet;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream};
use mongodb::Database;
use order_archiver_api::v1::{BatchOptions, BatchState};

use crate::{
    check::{check, check_with, furnish},
    mongosh::{commands, mongosh},
    support::TestServer,
};

/// A database in order that somebody has put out of order.
struct Case {
    name: &'static str,
    /// The finding that complains.
    finding: &'static str,
    spoil: fn(Database) -> BoxFuture<'static, ()>,
}

/// Every condition that is mended by running commands. To add one: say how to bring it about, and name it in [`SITES`].
const CASES: &[Case] = &[
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
                    // The first has the collection's collation where it should not, the second has none where it should.
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

/// What becomes of the fixes that a place in the code can print.
enum How {
    /// These cases run them.
    Run(&'static [&'static str]),
    /// Another test runs them.
    By(&'static str),
    /// Nothing can: this is why.
    Never(&'static str),
}

use How::{By, Never, Run};

/// Every place that prints fixes: its file and function, how many there are, and how each is shown, in their order.
const SITES: &[(&str, &[How])] = &[
    (
        "archive.rs shape",
        &[
            Run(&[
                "capped",
                "time series",
                "view",
                "expiring",
                "expiring by its unique index",
                "clustered and expiring",
                // The one for a sharded archive: there is no sharded cluster here.
            ]),
            Run(&["validator"]),
        ],
    ),
    (
        "archive.rs unique_index",
        &[
            Run(&["unique index hidden"]),
            Run(&["its name taken by a collated one"]),
            Never("a build ends by itself"),
            Run(&[
                "unique index missing",
                "its name taken by one that is not unique",
                "its name taken by a sparse one",
                "its name taken by a partial one",
            ]),
            Run(&[
                "a text twice",
                "a number twice",
                "lists that share a member",
                "documents twice",
                "no number",
                "lists without a number",
                "no number beside a text twice",
            ]),
            Never(
                "the command of the missing index, where a call is too short to look for doubles",
            ),
        ],
    ),
    (
        "archive.rs other_unique_indexes",
        &[Run(&["further unique indexes"])],
    ),
    (
        "collation.rs of_archive",
        &[Never("archd has to be stopped while the archive is copied")],
    ),
    (
        "data.rs collections",
        &[Never("only the operator knows what a collection is called")],
    ),
    (
        "data.rs state",
        &[Never(
            "a command of archd's own, which the tests of its documents run",
        )],
    ),
    (
        "data.rs indexes",
        &[Run(&[
            "no index for joins and pages",
            "indexes hidden",
            "indexes that leave orders out",
            "collated collections",
        ])],
    ),
    (
        "data.rs archived_ids",
        &[Never(
            "only the operator knows which of two orders is right",
        )],
    ),
    (
        "deployment.rs connection",
        &[
            Never("the version of MongoDB"),
            Never("the distance to the database"),
        ],
    ),
    (
        "deployment.rs no_connection",
        &[Never("the database is away, or MONGODB_URI is wrong")],
    ),
    (
        "deployment.rs replica_set",
        &[
            Never("members of the set are down"),
            Never("mongod is to be started otherwise"),
            Never("mongod is to be started otherwise"),
            Never("a sharded cluster"),
        ],
    ),
    (
        "deployment.rs majority",
        &[Never("members of the set are down")],
    ),
    (
        "deployment.rs history",
        &[Never("the reach of the oplog takes hours to grow")],
    ),
    (
        "deployment.rs clocks",
        &[Never("the clocks of two machines")],
    ),
    (
        "finding.rs note",
        &[
            Never("the database went away"),
            Never("a code that archd does not know"),
        ],
    ),
    (
        "ids.rs ids",
        &[Never("only the operator knows what the ids are to become")],
    ),
    (
        "privileges.rs needed",
        &[
            Never("only the operator knows the password"),
            By("check_privileges"),
        ],
    ),
    ("privileges.rs optional", &[By("check_privileges")]),
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

/// Spoils a database, follows the advice to the letter, and sees that nothing is left to complain of and no order is lost.
async fn is_mended(set: &ReplicaSet, case: &Case) {
    let name = case.name;
    let server = furnish(set).await;
    let database = server.database.clone();
    server.shut_down().await;
    (case.spoil)(database.clone()).await;
    let archive = database.collection::<Document>("Historique");
    let before = archive.count_documents(doc! {}).await.unwrap();

    let spoilt = check(&set.uri(), database.name()).await;
    let verdict = spoilt.verdict(case.finding);
    assert!(
        ["warning", "failed"].contains(&verdict),
        "{name}: {}",
        spoilt.text
    );
    let advice = spoilt.fixes();
    for word in ["delete", "remove(", "drop("] {
        assert!(!advice.contains(word), "{name}: {advice}");
    }
    mongosh(&set.uri(), &commands(&advice)).await;

    let setting = "ARCHD_COLLECTION_ARCHIVE";
    let other = advice.split_once(&format!("{setting}="));
    let other = other.map(|(_, rest)| rest.split([',', '\n']).next().unwrap());
    let settings: Vec<(&str, &str)> = other.iter().map(|other| (setting, *other)).collect();
    let mut mended = check_with(&set.uri(), database.name(), &[], &settings).await;
    if other.is_some() {
        // There is a unique index to be made on the other one.
        mongosh(&set.uri(), &commands(&mended.fixes())).await;
        mended = check_with(&set.uri(), database.name(), &[], &settings).await;
    }
    assert_eq!(
        mended.complaints(),
        [""; 0],
        "{name}: {advice}\n{}",
        mended.text
    );
    let archive = database.collection::<Document>(other.unwrap_or("Historique"));
    let after = archive.count_documents(doc! {}).await.unwrap();
    assert_eq!(after, before, "{name}: {advice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_check_advises_mends_what_it_is_for() {
    // Of its own, because only a young history is whole.
    let set = ReplicaSet::start().await.unwrap();
    let mending = stream::iter(CASES).map(|case| is_mended(&set, case));
    let () = mending.buffer_unordered(3).collect().await;
}

#[tokio::test]
async fn a_server_gives_the_same_advice_and_follows_it_up() {
    let set = ReplicaSet::shared().await.unwrap();
    for (name, words) in [
        (
            "no number",
            "holds 5 documents that have no numero_commande",
        ),
        (
            "a text twice",
            "more than once, for example \"A-1\", \"A-2\"",
        ),
        ("a number twice", "more than once, for example 7, "),
        (
            "lists that share a member",
            "for example \"A-1\", \"A-2\", \"A-3\"",
        ),
        (
            "lists without a number",
            "holds 5 documents that have no numero_commande",
        ),
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let server = furnish(set).await;
        let database = server.database.clone();
        server.shut_down().await;
        (case.spoil)(database.clone()).await;
        let server = TestServer::on(&set.uri(), database.name()).await;
        crate::support::eventually(async || {
            let status = server.archive_order("CMD-2025-000001").await.unwrap_err();
            status.message().contains(words).then_some(())
        })
        .await;
        // Callers hear as much of it as the headers of an answer can carry, the log all of it.
        let store = archd::store::Store::new(&server.config).await.unwrap();
        let said = crate::support::eventually(async || {
            let said = store.prepare_archive().await.unwrap_err().to_string();
            said.contains("; mend: ").then_some(said)
        })
        .await;
        store.close().await;
        assert!(said.contains(words), "{name}: {said}");
        assert!(!said.contains("delete"), "{name}: {said}");
        let (_, mends) = said.split_once("; mend: ").unwrap();
        let mends: Vec<String> = mends.split("; ").map(str::to_owned).collect();
        mongosh(&set.uri(), &mends).await;
        server.ready().await;
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_batch_that_is_to_make_indexes_is_not_stopped_by_those_that_are_there() {
    let set = ReplicaSet::shared().await.unwrap();
    for (name, left) in [
        ("no index for joins and pages", None),
        ("indexes that leave orders out", None),
        ("collated collections", None),
        ("indexes hidden", Some("unhideIndex(")),
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let server = furnish(set).await;
        (case.spoil)(server.database.clone()).await;
        let options = BatchOptions {
            create_indexes: true,
            ..BatchOptions::default()
        };
        let batch = server.run_batch_with(options).await;
        assert_eq!(batch.state(), BatchState::Succeeded, "{name}: {batch:?}");
        assert_eq!(batch.warnings.is_empty(), left.is_none(), "{batch:?}");
        for warning in &batch.warnings {
            assert!(warning.contains(left.unwrap()), "{name}: {warning}");
        }
        server.shut_down().await;
    }
}

/// The places in the code of the check that print a fix: each file and function, and how many there are in it.
fn sites() -> BTreeMap<String, usize> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/check");
    let mut sites = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap().to_str().unwrap();
        let mut function = "";
        for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
            if let Some((_, rest)) = line.split_once("fn ") {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                function = &rest[..end.unwrap_or(rest.len())];
            }
            let prints = ["Finding::warning(", "Finding::failed("];
            let count: usize = prints.iter().map(|word| line.matches(word).count()).sum();
            if count > 0 {
                *sites.entry(format!("{file} {function}")).or_default() += count;
            }
        }
    }
    sites
}

#[test]
fn every_fix_is_either_run_or_in_the_list_of_those_that_cannot_be() {
    let listed: BTreeMap<String, usize> = SITES
        .iter()
        .map(|(site, how)| ((*site).to_owned(), how.len()))
        .collect();
    assert_eq!(
        sites(),
        listed,
        "a place that prints a fix is not in SITES, or not so often"
    );
    let mut run: Vec<&str> = Vec::new();
    for how in SITES.iter().flat_map(|(_, how)| how.iter()) {
        match how {
            Run(cases) => run.extend(*cases),
            By(module) => {
                let file = format!("{}/tests/it/{module}.rs", env!("CARGO_MANIFEST_DIR"));
                let text = fs::read_to_string(file).unwrap();
                assert!(text.contains("mongosh("), "{module} runs no shell");
            }
            Never(why) => assert!(!why.is_empty()),
        }
    }
    run.sort_unstable();
    let mut cases: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    cases.sort_unstable();
    assert_eq!(
        run, cases,
        "the cases that are run, and those that SITES names"
    );
}
