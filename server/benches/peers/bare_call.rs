//! The least that archiving one order takes whoever asks for it: one find and one insert that a
//! majority confirms, by the driver alone.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bson::{Document, doc};
use mongodb::{Database, options::WriteConcern};

/// Finds orders by their numbers and puts them into the archive as they are, one after the other,
/// for so long; how many there were.
pub(crate) async fn call(database: &Database, numbers: &[String], span: Duration) -> Result<usize> {
    let orders = database.collection::<Document>("Commande");
    let archive = database.collection::<Document>("Historique");
    let end = Instant::now() + span;
    let mut archived = 0;
    for number in numbers {
        if Instant::now() >= end {
            break;
        }
        let order = orders.find_one(doc! { "numero_commande": number }).await?;
        archive
            .insert_one(order.context("an order is gone")?)
            .write_concern(WriteConcern::majority())
            .await?;
        archived += 1;
    }
    Ok(archived)
}
