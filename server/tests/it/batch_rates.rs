//! A batch's rate is kept over any ten seconds, however its pages come, and its pauses are for its
//! own inserts alone.

use std::time::Duration;

use bson::{DateTime, Document, doc};
use devkit::{ReplicaSet, relay::Relay};
use mongodb::Database;
use order_archiver_api::v1 as pb;
use pb::BatchOptions;
use tokio::time::{interval, sleep};

use crate::{
    faults::FailPoints,
    support::{TestServer, eventually, order, orders, within},
};

/// The stretch that a rate is kept over, in seconds.
const STRETCH: f64 = 10.0;
/// By how much a stretch may be above the rate.
const SLACK: f64 = 1.05;

/// How many orders a batch had met by which second, by the database's clock, each time it was
/// saved.
#[derive(Default)]
struct Record(Vec<(f64, i64)>);

impl Record {
    /// Notes each state of the batch for so long, or until it ends.
    async fn of(database: &Database, id: &str, length: Duration) -> Record {
        let mut record = Record::default();
        let batches = database.collection::<Document>("archd_batches");
        let mut look = interval(Duration::from_millis(25));
        let reading = async {
            loop {
                look.tick().await;
                let batch = batches.find_one(doc! { "_id": id }).await;
                // A database that is frozen answers later.
                let Ok(Some(batch)) = batch else { continue };
                let met = batch.get_document("counts").unwrap();
                let at = batch.get_datetime("updated").unwrap();
                let at = at.timestamp_millis() as f64 / 1e3;
                record.0.push((at, met.get_i64("found").unwrap()));
                if batch.contains_key("ended") {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(length, reading).await;
        record
    }

    /// The most that was met in any stretch, as a share of the rate.
    fn most(&self, rate: f64) -> f64 {
        let mut most: f64 = 0.0;
        for (index, (from, before)) in self.0.iter().enumerate() {
            for (to, after) in &self.0[index..] {
                if to - from <= STRETCH {
                    most = most.max((after - before) as f64);
                }
            }
        }
        most / (rate * STRETCH)
    }

    /// The least that was met in any stretch that lies within the record, as a share of the rate:
    /// for the eye.
    fn least(&self, rate: f64) -> f64 {
        let mut least = f64::MAX;
        for (from, before) in &self.0 {
            if let Some((_, after)) = self.0.iter().find(|(to, _)| to - from >= STRETCH) {
                least = least.min((after - before) as f64);
            }
        }
        least / (rate * STRETCH)
    }

    fn span(&self) -> f64 {
        self.0.last().unwrap().0 - self.0[0].0
    }

    /// That no stretch was above the rate, in a record long enough to tell.
    fn keeps_to(&self, rate: f64) {
        assert!(self.span() > STRETCH, "only {} s", self.span());
        let most = self.most(rate);
        let least = self.least(rate);
        println!("{least:.3} to {most:.3} of {rate} a second over any {STRETCH} s");
        assert!(most <= SLACK, "{most} of {rate} orders a second");
    }
}

fn at_most(orders: i32) -> BatchOptions {
    BatchOptions {
        max_orders_per_second: Some(orders),
        ..Default::default()
    }
}

async fn fill(server: &TestServer, count: usize) {
    let mut left = orders(count).peekable();
    while left.peek().is_some() {
        let handful: Vec<Document> = left.by_ref().take(5_000).collect();
        server.insert("Commande", handful).await;
    }
}

async fn cancel(server: &TestServer, id: &str) {
    let request = pb::CancelBatchRequest { id: id.to_owned() };
    // It may have ended by itself.
    let _ = server.batches().cancel_batch(request).await;
    server.batch_end(id).await;
}

async fn rate_is_kept(rate: i32) {
    let server = TestServer::start().await;
    server.index_status().await;
    fill(&server, rate as usize * 14).await;
    let (batch, _) = server.start_batch(at_most(rate), "").await.unwrap();
    let record = Record::of(&server.database, &batch.id, Duration::from_secs(13)).await;
    cancel(&server, &batch.id).await;
    record.keeps_to(rate.into());
}

#[tokio::test]
async fn five_hundred_a_second_are_kept_over_any_ten_seconds() {
    rate_is_kept(500).await;
}

#[tokio::test]
async fn three_thousand_a_second_are_kept_over_any_ten_seconds() {
    rate_is_kept(3_000).await;
}

#[tokio::test]
async fn pages_of_bare_ids_keep_the_rate() {
    const RATE: i32 = 1_000;
    let server = TestServer::start().await;
    server.index_status().await;
    fill(&server, RATE as usize * 14).await;
    server.run_batch().await;
    let (batch, _) = server.start_batch(at_most(RATE), "").await.unwrap();
    let record = Record::of(&server.database, &batch.id, Duration::from_secs(13)).await;
    cancel(&server, &batch.id).await;
    record.keeps_to(RATE.into());
}

#[tokio::test]
async fn what_a_pause_of_the_database_has_cost_is_not_made_up_for() {
    const RATE: i32 = 400;
    let set = ReplicaSet::start().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let server = TestServer::on(&relay.uri(), database.name()).await;
    server.ready().await;
    let direct = TestServer {
        database: database.clone(),
        ..server
    };
    fill(&direct, RATE as usize * 14).await;
    let (batch, _) = direct.start_batch(at_most(RATE), "").await.unwrap();
    let pauses = async {
        sleep(Duration::from_secs(4)).await;
        relay.pause();
        sleep(Duration::from_secs(3)).await;
        relay.resume();
    };
    let length = Duration::from_secs(16);
    let (record, ()) = tokio::join!(Record::of(&database, &batch.id, length), pauses);
    record.keeps_to(RATE.into());
    cancel(&direct, &batch.id).await;
}

#[tokio::test]
async fn a_new_rate_holds_at_once() {
    let server = TestServer::start().await;
    fill(&server, 12_000).await;
    let (batch, _) = server.start_batch(at_most(1), "").await.unwrap();
    let met = async || {
        let batch = server.all("archd_batches").await.remove(0);
        batch
            .get_document("counts")
            .unwrap()
            .get_i64("found")
            .unwrap()
    };
    eventually(async || (met().await > 0).then_some(())).await;
    // From a crawl to a walk: nobody sits out the second that the crawl had still to wait.
    server.set_rate(&batch.id, 600).await;
    let record = Record::of(&server.database, &batch.id, Duration::from_secs(12)).await;
    record.keeps_to(600.0);
    let (before, walked) = (met().await, DateTime::now());
    server.set_rate(&batch.id, 100).await;
    let slower = Record::of(&server.database, &batch.id, Duration::from_secs(11)).await;
    let took = (DateTime::now().timestamp_millis() - walked.timestamp_millis()) as f64 / 1e3;
    cancel(&server, &batch.id).await;
    // What was under way at the old rate was taken before: a third of its second at most.
    let since = slower.0.last().unwrap().1 - before;
    assert!(
        (since as f64) < 600.0 / 3.0 + 105.0 * took,
        "{since} in {took} s"
    );
}

#[tokio::test]
async fn inserts_of_others_never_slow_a_batch_down() {
    const MANY: usize = 600;
    let points = FailPoints::turn().await;
    let server = TestServer::start_on(points.set, |config| {
        config.chunk_size = 10;
        config.watch = true;
    })
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server.insert("Commande", orders(MANY)).await;
    server.archived(MANY).await;
    let slow = doc! { "blockConnection": true, "blockTimeMS": 400 };
    points.fail(&["insert"], "alwaysOn", slow).await;
    // It finds nothing new for six seconds: whatever is inserted meanwhile, others insert.
    let options = BatchOptions {
        max_write_latency: Some(prost_types::Duration {
            seconds: 0,
            nanos: 100_000_000,
        }),
        ..at_most(100)
    };
    let (batch, _) = server.start_batch(options, "").await.unwrap();
    let request = pb::WatchBatchRequest {
        id: batch.id.clone(),
    };
    let mut news = server
        .batches()
        .watch_batch(request)
        .await
        .unwrap()
        .into_inner();
    server.batch_under_way(&batch.id).await;
    let others = async {
        for number in 0..8 {
            // By a caller, and by the watcher: their `_id`s lie behind the batch.
            let mut other = order(format!("other-{number}"));
            other.insert("_id", i64::from(number));
            server.insert("Commande", [other]).await;
            server
                .archive_order(&format!("other-{number}"))
                .await
                .unwrap();
        }
    };
    let watching = async {
        let mut told = Vec::new();
        while let Some(news) = within(news.message()).await.unwrap() {
            told.push(news.batch.unwrap().throttle);
        }
        told
    };
    let (told, ()) = tokio::join!(watching, others);
    points.mend().await;
    assert!(told.len() > 5, "{told:?}");
    let blamed: Vec<_> = told
        .iter()
        .filter(|told| told.contains("latency"))
        .collect();
    assert!(blamed.is_empty(), "{blamed:?}");
}
