//! A batch meets every order that was delivered before it began, whatever happens around its
//! position; the next one meets the rest.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use archd::{
    bytes::raw::Value,
    config::Config,
    domain::order::Order,
    store::{
        Store,
        orders::pages::{PageRequest, View},
    },
};
use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use devkit::ReplicaSet;
use mongodb::Collection;
use order_archiver_api::v1 as pb;
use pb::{BatchOptions, BatchState, BatchStopReason};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    faults::assert_clean,
    load::seed,
    support::{TestServer, order, orders, tally},
};

const CHUNK: usize = 10;
/// Orders that are there before the batch begins; one in three is under way.
const ORDERS: usize = 1_500;
/// So slow that much happens meanwhile.
const ORDERS_PER_SECOND: i32 = 300;

/// An `_id` of any type and any place among the others.
fn any_id(dice: &mut StdRng) -> Bson {
    let number: i64 = dice.random_range(-1_000_000_000_000..1_000_000_000_000);
    match dice.random_range(0..5) {
        0 => number.into(),
        1 => (number as f64 + 0.5).into(),
        2 => format!("id-{number}").into(),
        3 => doc! { "n": number }.into(),
        _ => {
            let mut bytes: [u8; 12] = dice.random();
            bytes[0] = dice.random_range(0..3) * 127;
            ObjectId::from_bytes(bytes).into()
        }
    }
}

/// A platform that goes on with its work while a batch pages through the orders.
struct Platform {
    orders: Collection<Document>,
    dice: StdRng,
    /// Those that can become delivered, by their numbers.
    under_way: Vec<Bson>,
    /// Delivered orders, and the notes that they have had.
    delivered: Vec<(Bson, Vec<Option<i32>>)>,
    /// Those that were deleted, or are delivered no more.
    gone: Vec<Bson>,
    made: usize,
    note: i32,
}

impl Platform {
    /// A new order, delivered or not.
    fn make(&mut self, delivered: bool) -> Document {
        self.made += 1;
        let mut order = order(format!("CMD-{:07}", self.made));
        let id = any_id(&mut self.dice);
        order.insert("_id", id.clone());
        order.insert("id_restaurant", self.dice.random_range(1..=2));
        if delivered {
            self.delivered.push((id, vec![None]));
        } else {
            order.insert("status", "en_cours");
            self.under_way.push(id);
        }
        order
    }

    async fn set(&self, id: &Bson, change: Document) {
        let updated = self
            .orders
            .update_one(doc! { "_id": id }, doc! { "$set": change });
        assert_eq!(updated.await.unwrap().matched_count, 1);
    }

    /// One thing that happens.
    async fn happen(&mut self) {
        match self.dice.random_range(0..10) {
            0..2 => {
                let order = self.make(true);
                self.orders.insert_one(order).await.unwrap();
            }
            2 => {
                let order = self.make(false);
                self.orders.insert_one(order).await.unwrap();
            }
            3..6 if !self.under_way.is_empty() => {
                let id = self.dice.random_range(0..self.under_way.len());
                let id = self.under_way.swap_remove(id);
                self.set(&id, doc! { "status": "livrée" }).await;
                self.delivered.push((id, vec![None]));
            }
            6..8 => {
                let at = self.dice.random_range(0..self.delivered.len());
                self.note += 1;
                self.delivered[at].1.push(Some(self.note));
                let id = self.delivered[at].0.clone();
                self.set(&id, doc! { "note": self.note }).await;
            }
            8 => {
                let id = self.forget();
                self.orders.delete_one(doc! { "_id": id }).await.unwrap();
            }
            _ => {
                let id = self.forget();
                self.set(&id, doc! { "status": "remboursée" }).await;
            }
        }
    }

    fn forget(&mut self) -> Bson {
        let at = self.dice.random_range(0..self.delivered.len());
        let (id, _) = self.delivered.swap_remove(at);
        self.gone.push(id.clone());
        id
    }

    /// Goes on until it is told to stop.
    fn go_on(mut self, stop: CancellationToken) -> JoinHandle<Platform> {
        tokio::spawn(async move {
            while !stop.is_cancelled() {
                self.happen().await;
                sleep(std::time::Duration::from_millis(1)).await;
            }
            self
        })
    }
}

fn key(id: &Bson) -> String {
    format!("{id:?}")
}

fn succeeded(batch: &pb::Batch) -> [i64; 4] {
    assert_eq!(
        (batch.state(), batch.stop_reason()),
        (BatchState::Succeeded, BatchStopReason::Exhausted),
        "{batch:?}"
    );
    tally(batch.counts)
}

#[tokio::test]
async fn whatever_happens_around_it_a_batch_meets_all_that_was_delivered_before() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    meets_all_that_was_delivered_before(server).await;
}

#[tokio::test]
async fn the_same_along_the_index_on_status() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    server.index_status().await;
    meets_all_that_was_delivered_before(server).await;
}

async fn meets_all_that_was_delivered_before(server: TestServer) {
    let seed = seed();
    let server = server.with_references().await;
    let mut platform = Platform {
        orders: server.collection("Commande"),
        dice: StdRng::seed_from_u64(seed),
        under_way: Vec::new(),
        delivered: Vec::new(),
        gone: Vec::new(),
        made: 0,
        note: 0,
    };
    let first: Vec<Document> = (0..ORDERS)
        .map(|number| platform.make(number % 3 > 0))
        .collect();
    server.insert("Commande", first).await;
    let before: Vec<Bson> = platform
        .delivered
        .iter()
        .map(|(id, _)| id.clone())
        .collect();

    let slowly = BatchOptions {
        max_orders_per_second: Some(ORDERS_PER_SECOND),
        ..Default::default()
    };
    let (batch, _) = server.start_batch(slowly, "").await.unwrap();
    let stop = CancellationToken::new();
    let going_on = platform.go_on(stop.clone());
    let batch = server.batch_end(&batch.id).await;
    stop.cancel();
    let platform = going_on.await.unwrap();

    let [found, archived, duplicates, errors] = succeeded(&batch);
    let archive: BTreeMap<String, Document> = server
        .all("Historique")
        .await
        .into_iter()
        .map(|archived| (key(&archived["_id"]), archived))
        .collect();
    println!(
        "found {found}, made {}, notes {}, gone {}",
        platform.made,
        platform.note,
        platform.gone.len()
    );
    assert_eq!((archived, duplicates, errors), (archive.len() as i64, 0, 0));
    let gone: BTreeSet<String> = platform.gone.iter().map(key).collect();
    for id in before.iter().map(key).filter(|id| !gone.contains(id)) {
        assert!(
            archive.contains_key(&id),
            "{id} was delivered before and is not archived"
        );
    }

    // An order is archived as it was at one moment; the audit wants to see it as it was then.
    for (id, notes) in &platform.delivered {
        let Some(archived) = archive.get(&key(id)) else {
            continue;
        };
        let note = archived.get_i32("note").ok();
        assert!(notes.contains(&note), "{id} never had the note {note:?}");
        let note = match note {
            Some(note) => doc! { "$set": { "note": note } },
            None => doc! { "$unset": { "note": 1 } },
        };
        let orders = &platform.orders;
        orders.update_one(doc! { "_id": id }, note).await.unwrap();
    }
    let delivered = i64::try_from(platform.delivered.len()).unwrap();
    let gone_since = archive.keys().filter(|id| gone.contains(*id)).count() as i64;
    let next = succeeded(&server.run_batch().await);
    let known = archived - gone_since;
    assert_eq!(next, [delivered, delivered - known, known, 0]);
    let of_gone_orders = doc! { "_id": { "$in": &platform.gone } };
    let history = server.collection("Historique");
    let removed = history.delete_many(of_gone_orders).await.unwrap();
    assert_eq!(removed.deleted_count as i64, gone_since);
    assert_clean(&server.database).await;
}

#[tokio::test]
async fn an_old_order_that_is_delivered_late_is_found_among_archived_ones() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    found_among_archived_ones(server).await;
}

#[tokio::test]
async fn an_old_order_that_is_delivered_late_is_found_along_the_index_on_status() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
    server.index_status().await;
    let server = found_among_archived_ones(server).await;
    // Nothing that was archived already has been looked into, nor has any order for its status.
    let profile = server.collection("system.profile");
    for looks in [
        doc! { "command.find": "Commande", "command.projection": { "_id": 1 }, "docsExamined": { "$gt": 0 } },
        doc! { "command.aggregate": "Commande", "planSummary": "COLLSCAN" },
    ] {
        assert_eq!(profile.count_documents(looks).await.unwrap(), 0);
    }
    // From the one status that there is, and on to where none is left.
    let walk = doc! { "command.find": "Commande", "command.returnKey": true, "keysExamined": { "$lte": 2 } };
    assert_eq!(profile.count_documents(walk).await.unwrap(), 2);
}

#[tokio::test]
async fn in_strides_every_delivered_order_is_on_one_page() {
    let server = TestServer::start().await;
    let mut dice = StdRng::seed_from_u64(seed());
    let orders = orders(60).map(|mut order| {
        order.insert("_id", any_id(&mut dice));
        if dice.random_ratio(2, 3) {
            order.insert("status", "annulée");
        }
        order
    });
    let orders: Vec<Document> = orders.collect();
    let delivered = orders
        .iter()
        .filter(|order| order["status"] == "livrée".into());
    let delivered: HashSet<Value> = delivered
        .map(|order| {
            let order = RawDocumentBuf::try_from(order).unwrap();
            Order::new(order).id().to_owned()
        })
        .collect();
    server.insert("Commande", orders.clone()).await;
    server.index_status().await;
    let set = ReplicaSet::shared().await.unwrap();
    let config = Config::simulation(&set.uri(), server.database.name()).unwrap();
    let store = Store::new(&config).await.unwrap();
    let index = store.paging_index().await.unwrap();
    assert!(index.is_some());
    for index in [None, index] {
        for stride in [1, 7, 1_000] {
            let mut request = PageRequest {
                from: None,
                limit: 3,
                before: None,
                view: View::Ids,
                index: index.clone(),
                stride: Some(stride),
            };
            let mut met = Vec::new();
            loop {
                let page = store.order_page(&request).await.unwrap();
                assert!(page.orders.len() <= 3.min(stride as usize));
                met.extend(page.orders.iter().map(|order| order.id().to_owned()));
                request.from = page.next;
                if request.from.is_none() {
                    break;
                }
            }
            assert_eq!(met.len(), delivered.len());
            assert_eq!(met.into_iter().collect::<HashSet<_>>(), delivered);
        }
    }
}

#[tokio::test]
async fn where_few_orders_are_delivered_the_batch_goes_on_in_strides() {
    let set = ReplicaSet::start().await.unwrap();
    for indexed in [false, true] {
        let server = TestServer::start_on(&set, |config| config.chunk_size = CHUNK).await;
        if indexed {
            server.index_status().await;
        }
        let orders = orders(95).enumerate().map(|(place, mut order)| {
            if place % 7 > 0 {
                order.insert("status", "annulée");
            }
            order
        });
        server.insert("Commande", orders).await;
        // What the database answers when a full page can't be had in time.
        set.configure_fail_point(doc! {
            "configureFailPoint": "failCommand", "mode": { "times": 1 },
            "data": {
                "failCommands": ["find"], "appName": "archd", "errorCode": 50,
                "namespace": format!("{}.Commande", server.database.name()),
            },
        })
        .await
        .unwrap();
        profile(&server, 2).await;
        // One with a limit looks for near misses without a `find`, so that none but a page can meet
        // the fail point.
        let limited = BatchOptions {
            limit: 1_000,
            ..Default::default()
        };
        let batch = server.run_batch_with(limited).await;
        assert_eq!(succeeded(&batch), [14, 14, 0, 0]);
        profile(&server, 0).await;
        let strides = doc! { "command.find": "Commande", "command.skip": { "$gt": 0 } };
        let profiled = server.collection("system.profile");
        let strides = profiled.count_documents(strides).await.unwrap();
        assert!(strides > 0, "no page was read in strides");
    }
}

async fn profile(server: &TestServer, level: i32) {
    let profile = server.database.run_command(doc! { "profile": level });
    profile.await.unwrap();
}

async fn found_among_archived_ones(server: TestServer) -> TestServer {
    let old: Vec<Document> = orders(603).collect();
    let late = [0, 301, 302, 350, 602];
    let mut under_way = old.clone();
    for late in late {
        under_way[late].insert("status", "en_cours");
    }
    server.insert("Commande", under_way).await;
    let count = old.len() as i64;
    assert_eq!(
        succeeded(&server.run_batch().await),
        [count - 5, count - 5, 0, 0]
    );
    for late in late {
        let id = doc! { "_id": &old[late]["_id"] };
        let delivered = doc! { "$set": { "status": "livrée" } };
        server
            .collection("Commande")
            .update_one(id, delivered)
            .await
            .unwrap();
    }
    profile(&server, 2).await;
    assert_eq!(
        succeeded(&server.run_batch().await),
        [count, 5, count - 5, 0]
    );
    profile(&server, 0).await;
    let read = |projection: Bson| doc! { "command.find": "Commande", "command.sort": { "_id": 1 }, "command.projection": projection };
    let profiled = server.collection("system.profile");
    let [ids, whole] = [doc! { "_id": 1 }.into(), Bson::Null].map(read);
    let ids = profiled.count_documents(ids).await.unwrap();
    let whole = profiled.count_documents(whole).await.unwrap();
    assert!(
        ids > 0 && whole > 0,
        "pages of ids: {ids}, of whole orders: {whole}"
    );
    assert_clean(&server.database).await;
    server
}
