//! A verification finds every difference between orders and archive, puts each into its class, and
//! finds none where there is none.

mod amended;
mod bounds;
mod changes;
mod naive;
mod planted;
mod property;
mod resuming;
mod shapes;

use std::{sync::Arc, time::Duration};

use archd::{
    config::Config,
    domain::verify::{
        days::Days,
        plan::{Depth, Plan},
        progress::Progress,
    },
    store::{
        Store,
        differences::record::Difference,
        verify::progress::{of_document, to_document},
    },
    verifier::{conclude::Conclusion, pace::Unlimited, pass::Bounds, pass::Pass},
};
use bson::{Bson, Document, Timestamp, doc};
use devkit::ReplicaSet;
use futures::TryStreamExt;
use mongodb::{Collection, Database, options::WriteConcern};
use rand::{RngExt, rngs::StdRng};

/// How many times a verification is gone on with after a fault that may pass.
const FAULTS: usize = 5;

/// A database with a store of its own, to plant differences in.
pub(crate) struct Ground {
    pub(crate) database: Database,
    pub(crate) store: Store,
}

/// What a verification is to do.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) depth: Depth,
    pub(crate) since: Option<Timestamp>,
    pub(crate) settle: Duration,
    pub(crate) chunk: usize,
    pub(crate) bounds: Bounds,
    pub(crate) trusted: Days,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked {
            depth: Depth::Content,
            since: None,
            settle: Duration::ZERO,
            chunk: 1_000,
            bounds: Bounds::default(),
            trusted: Days::default(),
        }
    }
}

/// What it came to.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) conclusion: Conclusion,
    pub(crate) differences: Vec<Difference>,
    pub(crate) steps: usize,
}

impl Ground {
    /// A fresh database, with all indexes that archd makes or wishes for.
    pub(crate) async fn new() -> Ground {
        Ground::on(ReplicaSet::shared().await.unwrap()).await
    }

    pub(crate) async fn on(set: &ReplicaSet) -> Ground {
        let database = set.fresh_database().await.unwrap();
        Ground::of(set, database).await
    }

    /// The same, in a database that has collections already.
    pub(crate) async fn of(set: &ReplicaSet, database: Database) -> Ground {
        Ground::through(&set.uri(), database, |_| {}).await
    }

    /// The same, reached at this URI and with such settings.
    pub(crate) async fn through(
        uri: &str,
        database: Database,
        change: impl FnOnce(&mut Config),
    ) -> Ground {
        let mut config = Config::simulation(uri, database.name()).unwrap();
        change(&mut config);
        let store = Store::new(&config).await.unwrap();
        store.prepare_collections().await.unwrap();
        store.create_absent_indexes().await.unwrap();
        Ground { database, store }
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        let majority = WriteConcern::majority();
        let options = mongodb::options::CollectionOptions::builder();
        let options = options.write_concern(majority).build();
        self.database.collection_with_options(name, options)
    }

    pub(crate) fn orders(&self) -> Collection<Document> {
        self.collection("Commande")
    }

    pub(crate) fn archive(&self) -> Collection<Document> {
        self.collection("Historique")
    }

    /// All that a collection holds, by `_id`.
    pub(crate) async fn all(&self, name: &str) -> Vec<Document> {
        let collection = self.collection(name);
        let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
        found.await.unwrap().try_collect().await.unwrap()
    }

    /// The cluster time now.
    pub(crate) async fn time(&self) -> Timestamp {
        self.store
            .comparison_reader()
            .now()
            .await
            .unwrap()
            .1
            .unwrap()
    }

    /// Runs a verification to its end.
    pub(crate) async fn verify(&self, asked: &Asked) -> Report {
        self.verify_with(asked, &mut |_| false).await
    }

    /// Runs a verification to its end; before each step whoever is asked may let it die.
    pub(crate) async fn verify_with(
        &self,
        asked: &Asked,
        dies: &mut dyn FnMut(&Progress) -> bool,
    ) -> Report {
        let verification = bson::oid::ObjectId::new().to_hex();
        let begun = self.time().await;
        let mut progress = Progress::default();
        let (mut steps, mut faults) = (0, 0);
        let conclusion = loop {
            let mut pass = self.pass(&verification, asked, begun, progress.clone());
            let died = loop {
                if pass.is_done() {
                    break false;
                }
                if dies(pass.progress()) {
                    break true;
                }
                match pass.advance().await {
                    Ok(()) => steps += 1,
                    // A database that is slow beside other tests: gone on from the progress, as
                    // whoever runs verifications does.
                    Err(error) if error.is_transient() && faults < FAULTS => faults += 1,
                    Err(error) => panic!("{error}"),
                }
            };
            // What it comes back with was in the database meanwhile.
            progress = of_document(&to_document(pass.progress()));
            assert_eq!(progress, *pass.progress());
            if !died {
                break pass.conclude(&asked.trusted).await.unwrap();
            }
        };
        Report {
            differences: self.differences(&verification).await,
            conclusion,
            steps,
        }
    }

    pub(crate) fn pass(
        &self,
        verification: &str,
        asked: &Asked,
        begun: Timestamp,
        progress: Progress,
    ) -> Pass<Unlimited> {
        let plan = Plan {
            verification: verification.to_owned(),
            depth: asked.depth,
            settle: asked.settle,
            since: asked.since,
            sound: false,
            begun,
        };
        let differences = self.store.differences_of(verification);
        let reader = self.store.comparison_reader();
        let pass = Pass::new(
            reader,
            differences,
            plan,
            progress,
            Arc::new(Unlimited),
            asked.chunk,
        );
        pass.within(asked.bounds)
    }

    /// The differences that a verification has stored, page by page.
    pub(crate) async fn differences(&self, verification: &str) -> Vec<Difference> {
        let stored = self.store.differences_of(verification);
        let mut all: Vec<Difference> = Vec::new();
        loop {
            let behind = all.last().map(|it| (it.finding.class, it.id.as_str()));
            let page = stored.page(&[], behind, 7).await.unwrap();
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }
}

impl Report {
    /// The differences, each by its class and the numbers or `_id`s of its two sides.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut told: Vec<String> = self
            .differences
            .iter()
            .map(|difference| {
                let finding = &difference.finding;
                let id = |id: &Option<archd::bytes::raw::Value>| {
                    id.as_ref().map_or(Bson::Null, naive::bson_of).to_string()
                };
                let (class, order) = (finding.class.name(), id(&finding.order_id));
                format!("{class} {order} {}", id(&finding.archive_id))
            })
            .collect();
        told.sort();
        told
    }

    /// Class and number of each difference.
    pub(crate) fn numbers(&self) -> Vec<(&'static str, String)> {
        let mut told: Vec<_> = self
            .differences
            .iter()
            .map(|it| (it.finding.class.name(), it.finding.numero.clone()))
            .collect();
        told.sort();
        told
    }
}

/// One of these, by chance.
pub(crate) fn one_of<'v, T>(dice: &mut StdRng, values: &'v [T]) -> &'v T {
    &values[dice.random_range(0..values.len())]
}

/// A document with more fields, or other values of them.
pub(crate) fn with(mut document: Document, more: Document) -> Document {
    document.extend(more);
    document
}

/// An order as archd archives it, with the names of nobody.
pub(crate) fn archived(order: &Document) -> Document {
    planted::archived(order, &doc! {})
}
