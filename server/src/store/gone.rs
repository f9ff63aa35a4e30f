//! Gone: orders that were asked for by their `_id`s and are nowhere any more.

use std::collections::HashSet;

use bson::{Bson, Document, RawDocumentBuf, doc};

use super::{
    Error, Store,
    encoding::document::whole,
    orders::gather::{Gathered, Selection},
    quarantine::{
        list::Filter,
        record::{entry_id, id_of},
    },
    state::version::{FORMAT, not_newer},
    watch::record::ID,
};
use crate::bytes::raw::{Value, ValueRef};

/// Orders that were gone before the watcher could read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// How many.
    pub orders: i64,
    /// The `_id`s of a few of them, as short texts.
    pub ids: Vec<String>,
}

impl Store {
    /// The `_id`s that were selected and not gathered, and that neither the archive nor the
    /// quarantine knows: an order that somebody deleted after it was archived is not lost.
    pub async fn gone_orders(
        &self,
        selection: &Selection,
        gathered: &Gathered,
    ) -> Result<Vec<Value>, Error> {
        let Selection::Ids(asked) = selection else {
            return Ok(Vec::new());
        };
        let mut there: HashSet<_> = gathered
            .bundles
            .iter()
            .map(|bundle| bundle.order.id())
            .collect();
        if let Some(Selection::Ids(rest)) = &gathered.rest {
            there.extend(rest.iter().map(Value::as_ref));
        }
        let mut missing: Vec<Value> = asked
            .iter()
            .filter(|id| !there.contains(&id.as_ref()))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(missing);
        }
        let archived = self.ids_in_archive(&missing).await?;
        missing.retain(|id| !archived.contains(id));
        let entries = Filter {
            ids: missing.iter().map(|id| entry_id(id.as_ref())).collect(),
            ..Filter::default()
        };
        if !missing.is_empty() {
            let entries = self.quarantine_entries(&entries, missing.len()).await?;
            let known: HashSet<Value> = entries.iter().map(id_of).collect();
            missing.retain(|id| !known.contains(&Value::string(&entry_id(id.as_ref()))));
        }
        Ok(missing)
    }

    /// Notes orders that were gone before they were read, so that everyone can be told: how many,
    /// and the `_id`s of a few. Each note has a name of its own, because the same orders in a row
    /// would be no change. Whoever reads a partition notes them here too, so that all are told of in
    /// one place.
    pub async fn note_gone(&self, gone: &Gone) -> Result<bool, Error> {
        let gone = doc! {
            "orders": gone.orders, "ids": &gone.ids, "note": uuid::Uuid::new_v4().to_string(),
        };
        let set = doc! { "$set": { "gone": gone } };
        let watcher = doc! { "_id": ID, FORMAT: not_newer() };
        self.update_watcher(watcher, set, false).await
    }
}

/// Reads orders that were gone out of a change of the watcher.
pub fn gone_in(value: ValueRef<'_>) -> Option<Gone> {
    let bytes = RawDocumentBuf::from_bytes(value.bytes.to_vec()).ok()?;
    let gone = Document::try_from(bytes.as_ref()).ok()?;
    let ids = gone.get_array("ids").into_iter().flatten();
    Some(Gone {
        orders: whole(gone.get("orders")),
        ids: ids.filter_map(Bson::as_str).map(str::to_owned).collect(),
    })
}
