//! Since when orders wait to be archived, as far as their source knows.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::{bytes::raw::Value, domain::order::Order};

/// Since when each order waits.
#[derive(Debug)]
pub(crate) enum Since {
    /// Nobody knows: a batch meets orders that were delivered at any time.
    Unknown,
    /// Since somebody asked for it, by its number.
    Asked(HashMap<String, Instant>),
    /// Since the change that made it archivable, by its `_id`.
    Changed(HashMap<Value, Instant>),
}

impl Since {
    /// Since when this order waits.
    pub(super) fn of(&self, order: &Order) -> Option<Instant> {
        match self {
            Since::Unknown => None,
            Since::Asked(numbers) => numbers.get(order.numero()?).copied(),
            Since::Changed(ids) => ids.get(&order.id().to_owned()).copied(),
        }
    }
}
