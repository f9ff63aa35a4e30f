//! Whether the watcher has passed orders by: whether a change that delivers or numbers one of them
//! lies behind its position.

use std::{collections::HashSet, time::Duration};

use bson::Timestamp;
use tokio::time::timeout;

use crate::{
    bytes::{checkpoint::time_of, raw::Value},
    store::{
        Store,
        orders::deliveries::{delivers, order_of},
        watch::{
            record::Watcher,
            waiting::{Unknown, ends_stream},
        },
    },
};

/// How long the look behind the watcher's position may take.
const LIMIT: Duration = Duration::from_secs(1);

/// Which of some orders the watcher has not passed yet; or why that can't be told.
pub type Ahead = Result<HashSet<Value>, String>;

impl Store {
    /// Which of these orders lie ahead of the watcher, as they were at a cluster time.
    pub async fn ahead_of_watcher(
        &self,
        watcher: Option<&Watcher>,
        orders: &[Value],
        time: Option<Timestamp>,
    ) -> Ahead {
        let Some(watcher) = watcher else {
            return Err("nobody has ever watched".to_owned());
        };
        if orders.is_empty() || time.is_some_and(|time| watcher.position >= Some(time)) {
            return Ok(HashSet::new());
        }
        let looked = timeout(LIMIT, self.look_behind(watcher, orders)).await;
        let late =
            || Unknown("there are too many changes behind the watcher's position".to_owned());
        looked
            .unwrap_or_else(|_| Err(late()))
            .map_err(|Unknown(why)| why)
    }

    async fn look_behind(
        &self,
        watcher: &Watcher,
        orders: &[Value],
    ) -> Result<HashSet<Value>, Unknown> {
        let (mut changes, majority) = self.deliveries_behind(watcher).await?;
        let mut ahead = HashSet::new();
        loop {
            let reply = changes.next().await?;
            for change in reply
                .changes
                .iter()
                .filter(|change| delivers(change).is_some())
            {
                let order = order_of(change).map(|id| id.to_owned());
                ahead.extend(order.filter(|id| orders.contains(id)));
            }
            if reply.changes.iter().any(|change| ends_stream(change)) {
                return Err(Unknown(
                    "the orders were dropped or renamed since".to_owned(),
                ));
            }
            if time_of(&reply.position).is_none_or(|time| time >= majority) {
                return Ok(ahead);
            }
        }
    }
}
