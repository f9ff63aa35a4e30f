//! A batch meets every order that was delivered before it began, whatever happens around its position; the next one meets the rest.

use std::collections::{BTreeMap, BTreeSet};

use bson::{Bson, Document, doc, oid::ObjectId};
use devkit::audit::audit;
use mongodb::Collection;
use order_archiver_api::v1 as pb;
use pb::{BatchOptions, BatchState, BatchStopReason};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
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
    let seed = seed();
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK)
        .await
        .with_references()
        .await;
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
    let audit = audit(&server.database).await.unwrap();
    assert!(audit.is_clean(), "{:#?}", audit.differences);
}

#[tokio::test]
async fn an_old_order_that_is_delivered_late_is_found_among_archived_ones() {
    let server = TestServer::start_with(|config| config.chunk_size = CHUNK).await;
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
    server
        .database
        .run_command(doc! { "profile": 2 })
        .await
        .unwrap();
    assert_eq!(
        succeeded(&server.run_batch().await),
        [count, 5, count - 5, 0]
    );
    server
        .database
        .run_command(doc! { "profile": 0 })
        .await
        .unwrap();
    let read = |projection: Bson| doc! { "command.find": "Commande", "command.sort": { "_id": 1 }, "command.projection": projection };
    let profile = server.collection("system.profile");
    let [ids, whole] = [doc! { "_id": 1 }.into(), Bson::Null].map(read);
    let ids = profile.count_documents(ids).await.unwrap();
    let whole = profile.count_documents(whole).await.unwrap();
    assert!(
        ids > 0 && whole > 0,
        "pages of ids: {ids}, of whole orders: {whole}"
    );
    let audit = audit(&server.database).await.unwrap();
    assert!(audit.is_clean(), "{:#?}", audit.differences);
}
