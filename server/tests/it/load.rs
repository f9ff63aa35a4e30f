//! Orders that become delivered all the time, by chance in one way or the other, whatever happens
//! to the database.

use std::{env, time::Duration};

use bson::{Document, doc};
use mongodb::Database;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::support::{order, references};

/// How long one write may take before it is sent again.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a random test begins with: the environment's `SEED`, else any. It is printed, so that a
/// failure can be seen again.
pub(crate) fn seed() -> u64 {
    let seed = env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    seed
}

/// A number that the environment may set, to make a test longer or shorter.
pub(crate) fn how_many(name: &str, default: usize) -> usize {
    env::var(name).map_or(default, |number| number.parse().unwrap())
}

/// A platform that delivers orders until it is told to stop.
pub(crate) struct Load {
    stop: CancellationToken,
    delivering: JoinHandle<usize>,
}

impl Load {
    /// Puts the references there, then begins to deliver.
    pub(crate) async fn start(database: &Database, seed: u64) -> Load {
        for (collection, document) in references() {
            let collection = database.collection::<Document>(collection);
            collection.insert_one(document).await.unwrap();
        }
        let stop = CancellationToken::new();
        let delivering = tokio::spawn(deliver(database.clone(), seed, stop.clone()));
        Load { stop, delivering }
    }

    /// Ends it, and says how many orders were delivered.
    pub(crate) async fn stop(self) -> usize {
        self.stop.cancel();
        self.delivering.await.unwrap()
    }
}

async fn deliver(database: Database, seed: u64, stop: CancellationToken) -> usize {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut delivered = 0;
    while !stop.is_cancelled() {
        let count = dice.random_range(1..=20);
        let mut group: Vec<Document> = (1..=count)
            .map(|number| order(format!("CMD-{:07}", delivered + number)))
            .collect();
        for order in &mut group {
            // One restaurant in two does not exist.
            order.insert("id_restaurant", dice.random_range(1..=2));
        }
        if dice.random() {
            write(&database, put(&group)).await;
        } else {
            let mut under_way = group.clone();
            for order in &mut under_way {
                order.insert("status", "en_cours");
            }
            write(&database, put(&under_way)).await;
            write(&database, vec![hand_over(&group)]).await;
        }
        delivered += count;
        sleep(Duration::from_millis(dice.random_range(0..30))).await;
    }
    delivered
}

/// Inserts orders; one that is there already is put there again unchanged, which is no change at
/// all.
fn put(group: &[Document]) -> Vec<Document> {
    let put =
        |order: &Document| doc! { "q": { "_id": order.get("_id") }, "u": order, "upsert": true };
    group.iter().map(put).collect()
}

/// Says of orders that they are delivered.
fn hand_over(group: &[Document]) -> Document {
    let ids: Vec<_> = group.iter().map(|order| order.get("_id")).collect();
    doc! { "q": { "_id": { "$in": ids } }, "u": { "$set": { "status": "livrée" } }, "multi": true }
}

/// Makes changes that may be repeated, until a majority of the set has confirmed them.
async fn write(database: &Database, updates: Vec<Document>) {
    let majority = doc! { "w": "majority", "wtimeout": 2_000 };
    let update = doc! { "update": "Commande", "updates": updates, "writeConcern": majority };
    loop {
        if let Ok(Ok(reply)) = timeout(PATIENCE, database.run_command(update.clone())).await
            && !reply.contains_key("writeErrors")
            && !reply.contains_key("writeConcernError")
        {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}
