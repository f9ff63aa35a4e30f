//! The audit of the history finds each fault that it is there for, and none where there is none.

use anyhow::{Context, Result};
use bson::{Document, Timestamp, doc};
use devkit::{ReplicaSet, audit};
use futures::TryStreamExt;
use mongodb::{Collection, Database};

/// A database in which a test plays the platform and the watcher.
struct Play {
    database: Database,
}

impl Play {
    async fn begin() -> Result<Play> {
        let database = ReplicaSet::shared().await?.fresh_database().await?;
        let play = Play { database };
        let watcher = doc! { "_id": "watcher", "epoch": 1_i64 };
        play.of("archd_state").insert_one(watcher).await?;
        play.save().await?;
        Ok(play)
    }

    fn of(&self, collection: &str) -> Collection<Document> {
        self.database.collection(collection)
    }

    async fn order(&self, id: i32, status: &str) -> Result<()> {
        let order = doc! { "_id": id, "status": status };
        self.of("Commande").insert_one(order).await?;
        Ok(())
    }

    async fn change(&self, id: i32, change: Document) -> Result<()> {
        let orders = self.of("Commande");
        orders.update_one(doc! { "_id": id }, change).await?;
        Ok(())
    }

    async fn archive(&self, id: i32) -> Result<()> {
        self.of("Historique").insert_one(doc! { "_id": id }).await?;
        Ok(())
    }

    /// The cluster time of the latest write.
    async fn now(&self) -> Result<Timestamp> {
        let reply = self.database.run_command(doc! { "ping": 1 }).await?;
        Ok(reply.get_timestamp("operationTime")?)
    }

    async fn watcher(&self, change: Document) -> Result<()> {
        let state = self.of("archd_state");
        state.update_one(doc! { "_id": "watcher" }, change).await?;
        Ok(())
    }

    /// Saves a checkpoint after everything that there is.
    async fn save(&self) -> Result<()> {
        self.save_at(self.now().await?).await
    }

    async fn save_at(&self, time: Timestamp) -> Result<()> {
        let checkpoint = doc! { "token": { "_data": "82" }, "time": time };
        let set = doc! { "checkpoint": checkpoint };
        self.watcher(doc! { "$set": set }).await
    }

    /// Starts over here, with a gap before.
    async fn open_gap(&self) -> Result<()> {
        let now = self.now().await?;
        let set = doc! { "checkpoint": { "time": now }, "gap": { "to": now, "cause": "lost" } };
        self.watcher(doc! { "$set": set }).await
    }

    async fn close_gap(&self) -> Result<()> {
        let closed = doc! { "closed_gap": { "cause": "lost" } };
        let close = doc! { "$unset": { "gap": "" }, "$set": closed };
        self.watcher(close).await
    }

    /// That the audit has nothing to say.
    async fn is_clean(&self) -> Result<()> {
        assert_eq!(audit::history(&self.database).await?, [""; 0]);
        Ok(())
    }

    /// That the audit has one thing to say, which is this.
    async fn is_told(&self, fault: &str) -> Result<()> {
        let told = audit::history(&self.database).await?;
        let [line] = told.as_slice() else {
            panic!("expected: {fault}; told: {told:#?}")
        };
        assert!(line.contains(fault), "expected: {fault}; told: {line}");
        Ok(())
    }
}

const AHEAD: &str = "Int32(1)), delivered at";

#[tokio::test]
async fn a_checkpoint_ahead_of_an_order_that_was_put_there_delivered() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "livrée").await?;
    play.is_clean().await?;
    play.save().await?;
    play.is_told("the checkpoint got ahead of it").await?;
    // Archived too late is too late.
    play.archive(1).await?;
    play.is_told(AHEAD).await
}

#[tokio::test]
async fn a_checkpoint_ahead_of_an_order_whose_status_changed() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "en_cours").await?;
    play.save().await?;
    play.change(1, doc! { "$set": { "status": "livrée" } })
        .await?;
    play.is_clean().await?;
    play.save().await?;
    play.is_told(AHEAD).await
}

#[tokio::test]
async fn a_checkpoint_ahead_of_an_order_that_was_replaced() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "en_cours").await?;
    let orders = play.of("Commande");
    let delivered = doc! { "status": "livrée", "other": true };
    orders.replace_one(doc! { "_id": 1 }, delivered).await?;
    play.save().await?;
    play.is_told(AHEAD).await
}

#[tokio::test]
async fn a_checkpoint_ahead_of_an_order_of_a_transaction() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "en_cours").await?;
    play.order(2, "en_cours").await?;
    play.archive(2).await?;
    let mut session = play.database.client().start_session().await?;
    session.start_transaction().await?;
    for id in [1, 2] {
        let deliver = doc! { "$set": { "status": "livrée" } };
        let orders = play.of("Commande");
        let change = orders.update_one(doc! { "_id": id }, deliver);
        change.session(&mut session).await?;
    }
    session.commit_transaction().await?;
    play.save().await?;
    play.is_told(AHEAD).await
}

#[tokio::test]
async fn a_checkpoint_that_is_written_as_a_difference() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "livrée").await?;
    let time = doc! { "checkpoint.time": play.now().await? };
    play.watcher(doc! { "$set": time }).await?;
    play.is_told(AHEAD).await
}

#[tokio::test]
async fn a_checkpoint_that_goes_back() -> Result<()> {
    let play = Play::begin().await?;
    let mut earlier = play.now().await?;
    earlier.time -= 1;
    play.save_at(earlier).await?;
    play.is_told("the checkpoint went back").await
}

/// A successor takes up the last place that was saved, which may lie before one that its
/// predecessor's last words held.
#[tokio::test]
async fn a_checkpoint_may_go_back_with_a_new_epoch_and_an_epoch_never() -> Result<()> {
    let play = Play::begin().await?;
    let mut earlier = play.now().await?;
    earlier.time -= 1;
    play.watcher(doc! { "$inc": { "epoch": 1_i64 } }).await?;
    play.save_at(earlier).await?;
    play.is_clean().await?;
    play.watcher(doc! { "$set": { "epoch": 3_i64 } }).await?;
    play.watcher(doc! { "$set": { "epoch": 2_i64 } }).await?;
    play.is_told("epoch 2 came late").await
}

#[tokio::test]
async fn a_gap_that_is_closed_without_an_order_before_it() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "livrée").await?;
    play.order(2, "livrée").await?;
    play.open_gap().await?;
    play.archive(2).await?;
    play.is_clean().await?;
    play.close_gap().await?;
    play.is_told("its gap was closed without it").await?;
    play.is_told(AHEAD).await
}

#[tokio::test]
async fn a_checkpoint_of_a_partition_ahead_of_an_order_of_its_own() -> Result<()> {
    let play = Play::begin().await?;
    for index in 0..2 {
        play.of("archd_state")
            .insert_one(doc! { "_id": format!("watcher-{index}") })
            .await?;
    }
    for id in 1..=20 {
        play.order(id, "livrée").await?;
    }
    // Which of the two an order belongs to is for the database to say.
    let hash = doc! { "$toHashedIndexKey": "$_id" };
    let orders = play.of("Commande");
    let hashed = orders.aggregate([doc! { "$set": { "hash": hash } }]);
    let hashed: Vec<Document> = hashed.await?.try_collect().await?;
    let of_first = |order: &&Document| order.get_i64("hash").is_ok_and(|it| it % 2 == 0);
    let ids = hashed.iter().filter(of_first);
    let ids: Vec<i32> = ids.filter_map(|order| order.get_i32("_id").ok()).collect();
    assert!(!ids.is_empty() && ids.len() < 20, "{ids:?}");
    let (last, others) = ids.split_last().context("none")?;
    for id in others {
        play.archive(*id).await?;
    }
    play.is_clean().await?;
    let save = async |index: i32, epoch: i64| {
        let set = doc! {
            "epoch": epoch, "generation": 1_i64, "of": 2_i64, "checkpoint": { "time": play.now().await? },
        };
        let partition = doc! { "_id": format!("watcher-{index}") };
        let state = play.of("archd_state");
        state.update_one(partition, doc! { "$set": set }).await?;
        anyhow::Ok(())
    };
    play.archive(*last).await?;
    save(0, 2).await?;
    play.is_clean().await?;
    save(0, 1).await?;
    play.is_told("epoch 1 of partition 0 came late").await?;
    save(1, 1).await?;
    let told = audit::history(&play.database).await?;
    let ahead = told
        .iter()
        .filter(|line| line.contains("the checkpoint of its partition got ahead"));
    assert_eq!(ahead.count(), 20 - ids.len(), "{told:#?}");
    Ok(())
}

/// A gap makes up for what lies before it alone.
#[tokio::test]
async fn a_checkpoint_ahead_of_an_order_after_an_open_gap() -> Result<()> {
    let play = Play::begin().await?;
    play.open_gap().await?;
    play.order(1, "livrée").await?;
    play.save().await?;
    play.is_told("the checkpoint got ahead of it").await
}

#[tokio::test]
async fn nothing_is_said_of_orders_that_are_kept_in_time() -> Result<()> {
    let play = Play::begin().await?;
    play.order(1, "livrée").await?;
    play.archive(1).await?;
    play.order(2, "livrée").await?;
    let entry = doc! { "_id": "entry", "order_id": 2 };
    play.of("archd_quarantine").insert_one(entry).await?;
    play.save().await?;
    // It is archived already, whatever becomes of it.
    play.change(1, doc! { "$set": { "status": "en_cours" } })
        .await?;
    play.change(1, doc! { "$set": { "status": "livrée" } })
        .await?;
    play.save().await?;
    play.order(3, "livrée").await?;
    play.open_gap().await?;
    play.archive(3).await?;
    play.close_gap().await?;
    play.save().await?;
    play.is_clean().await
}

#[tokio::test]
async fn nothing_is_said_of_orders_that_are_delivered_no_more() -> Result<()> {
    let play = Play::begin().await?;
    for id in 1..=5 {
        play.order(id, "livrée").await?;
    }
    let orders = play.of("Commande");
    play.change(1, doc! { "$set": { "status": "annulée" } })
        .await?;
    play.change(2, doc! { "$unset": { "status": "" } }).await?;
    let without = doc! { "numero_commande": "3" };
    orders.replace_one(doc! { "_id": 3 }, without).await?;
    orders.delete_one(doc! { "_id": 4 }).await?;
    play.change(5, doc! { "$set": { "note": "still delivered" } })
        .await?;
    play.archive(5).await?;
    play.save().await?;
    play.is_clean().await
}

#[tokio::test]
async fn nothing_is_said_of_orders_that_are_gone_with_their_collection() -> Result<()> {
    for gone in ["drop", "rename", "dropDatabase"] {
        let play = Play::begin().await?;
        play.order(1, "livrée").await?;
        match gone {
            "drop" => play.of("Commande").drop().await?,
            "rename" => {
                let name = |collection| format!("{}.{collection}", play.database.name());
                let rename = doc! { "renameCollection": name("Commande"), "to": name("Autre") };
                let admin = play.database.client().database("admin");
                drop(admin.run_command(rename).await.context("rename")?);
            }
            _ => play.database.drop().await?,
        }
        play.save().await?;
        play.is_clean().await.context(gone)?;
    }
    Ok(())
}
