//! A database to archive in, and who archives there.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result};
use archd::{config::Config, seed::Plan};
use bson::{Document, doc, oid::ObjectId};
use devkit::ReplicaSet;
use mongodb::Database;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{PATIENCE, peers, support::ground};

/// Who archives.
#[derive(Clone, Copy)]
pub(crate) enum Contender {
    Archd,
    Plain,
    Floor,
}

/// A database to archive in.
pub(crate) struct Stage {
    pub(crate) database: Database,
    pub(crate) config: Config,
}

/// An archiver at work.
pub(crate) struct Archiving {
    task: JoinHandle<Result<()>>,
    stop: CancellationToken,
}

impl Archiving {
    /// Ends it, and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if timeout(Duration::from_secs(5), self.task).await.is_err() {
            println!("  (left behind)");
        }
    }
}

impl Stage {
    /// A fresh database with people, restaurants and menus.
    pub(crate) async fn new(set: &ReplicaSet) -> Result<Stage> {
        let ground = ground::seeded(set, Plan::for_orders(20_000)).await?;
        ground.store.close().await;
        let mut config = ground.config;
        config.watch = true;
        let database = ground.database;
        Ok(Stage { database, config })
    }

    /// Orders on their way, whose references all exist.
    pub(crate) async fn orders_under_way(&self, count: usize) -> Result<Vec<ObjectId>> {
        let ids: Vec<ObjectId> = (0..count).map(|_| ObjectId::new()).collect();
        let order = |(number, id): (usize, &ObjectId)| {
            let person = |most: usize| i32::try_from(number * 7_919 % most).unwrap_or(0) + 1;
            doc! {
                "_id": id, "numero_commande": format!("CMD-2025-{number:07}"), "status": "en_cours", "id_client": person(2_000), "id_livreur": person(60),
                "id_restaurant": person(40), "id_menu": person(150), "coût_commande": 24.9, "date_commande": bson::DateTime::now(),
                "adresse_livraison": { "rue": "12 rue de la Paix", "code_postal": "75002", "ville": "Paris" }, "quantité": 2,
            }
        };
        let documents: Vec<Document> = ids.iter().enumerate().map(order).collect();
        for chunk in documents.chunks(10_000) {
            self.database
                .collection::<Document>("Commande")
                .insert_many(chunk)
                .await?;
        }
        Ok(ids)
    }

    /// Starts a contender, and waits until it listens.
    pub(crate) async fn start(&self, contender: Contender) -> Result<Archiving> {
        let archiving = match contender {
            Contender::Archd => {
                let archiving = self.watch();
                self.watching().await?;
                archiving
            }
            Contender::Plain => self.peer(peers::watchers::plain_watcher(self.database.clone())),
            Contender::Floor => self.peer(peers::watchers::floor(self.database.clone())),
        };
        // A peer does not say when its stream is open; a delivery that nobody counts does.
        if !matches!(contender, Contender::Archd) {
            self.heard().await?;
        }
        Ok(archiving)
    }

    pub(crate) fn watch(&self) -> Archiving {
        let stop = CancellationToken::new();
        let (config, stopped) = (self.config.clone(), stop.clone());
        Archiving {
            task: tokio::spawn(async move { Ok(archd::watch(None, config, stopped).await?) }),
            stop,
        }
    }

    fn peer(&self, work: impl Future<Output = Result<()>> + Send + 'static) -> Archiving {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! { () = stopped.cancelled() => Ok(()), outcome = work => outcome }
        });
        Archiving { task, stop }
    }

    /// Waits until archd has caught up and watches.
    async fn watching(&self) -> Result<()> {
        let state = self.database.collection::<Document>("archd_state");
        self.until(async || {
            state
                .find_one(doc! { "_id": "watcher", "state": "watching" })
                .await
                .is_ok_and(|found| found.is_some())
        })
        .await
    }

    async fn heard(&self) -> Result<()> {
        let (orders, archive) = (
            self.database.collection::<Document>("Commande"),
            self.database.collection::<Document>("Historique"),
        );
        self.until(async || {
            let probe = ObjectId::new();
            let order = doc! { "_id": probe, "numero_commande": probe.to_hex(), "status": "probe" };
            let deliver = async {
                orders.insert_one(order).await?;
                orders
                    .update_one(
                        doc! { "_id": probe },
                        doc! { "$set": { "status": "livrée" } },
                    )
                    .await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
                orders.delete_one(doc! { "_id": probe }).await?;
                archive.find_one(doc! { "_id": probe }).await
            };
            deliver.await.is_ok_and(|found| found.is_some())
        })
        .await
    }

    async fn until(&self, mut there: impl AsyncFnMut() -> bool) -> Result<()> {
        let waiting = async {
            while !there().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .context("the archiver did not get ready")
    }
}
