//! A database to archive in: people, restaurants and menus, with the indexes that production has,
//! and no order yet.

use std::time::Duration;

use anyhow::Result;
use archd::{
    config::Config,
    seed::{
        Plan,
        writer::{self, Job},
    },
    store::Store,
};
use devkit::ReplicaSet;
use mongodb::Database;
use tokio::sync::mpsc;

/// A fresh database, and three ways to talk to it.
pub(crate) struct Ground {
    /// The plain driver.
    pub(crate) database: Database,
    /// What `archd` needs to know.
    pub(crate) config: Config,
    /// What `archd` itself talks through.
    pub(crate) store: Store,
}

/// Makes a fresh database with everybody that the orders of a plan refer to.
pub(crate) async fn seeded(set: &ReplicaSet, plan: Plan) -> Result<Ground> {
    let database = set.fresh_database().await?;
    let config = Config::simulation(&set.uri(), database.name())
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let store = Store::new(&config).await?;
    let job = Job {
        plan: Plan { orders: 0, ..plan },
        append: false,
        live_per_minute: 0,
        live_lifetime: Duration::from_secs(60),
    };
    let (listener, mut progress) = mpsc::channel(16);
    let draining = async { while progress.recv().await.is_some() {} };
    let seeding = async {
        let outcome = writer::write(&store, job, &listener).await;
        drop(listener);
        outcome
    };
    let (outcome, ()) = tokio::join!(seeding, draining);
    outcome?;
    store.prepare_collections().await?;
    Ok(Ground {
        database,
        config,
        store,
    })
}
