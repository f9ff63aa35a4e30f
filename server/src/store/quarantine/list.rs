//! Lists of the quarantine's entries.

use bson::{DateTime, doc, rawdoc};

use super::record::Entry;
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::judge::Reason,
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw as encoded},
        state::{fault::Fault, place::Place},
    },
};

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these reasons; empty means all.
    pub reasons: Vec<Reason>,
    /// Only these ids; empty means all.
    pub ids: Vec<String>,
    /// Only what comes behind this place, by `_id`.
    pub behind: Place,
}

impl Store {
    /// When the first of the orders in quarantine was put there; none when there is none.
    pub async fn oldest_quarantined(&self) -> Result<Option<DateTime>, Error> {
        let find = rawdoc! {
            "find": self.names.quarantine.as_str(), "filter": { "first_seen": { "$type": "date" } },
            "sort": { "first_seen": 1 }, "limit": 1, "projection": { "_id": 0, "first_seen": 1 },
        };
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let first_seen = rows.first().and_then(|row| raw::find(row, "first_seen"));
        Ok(first_seen.and_then(ValueRef::as_date))
    }

    /// Entries by id, at most `limit`. In the place of an entry that can't be read stands what is
    /// wrong with it.
    pub async fn quarantine_entries(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Result<Entry, Fault>>, Error> {
        Ok(self
            .quarantine_entries_up_to(filter, limit, usize::MAX)
            .await?
            .0)
    }

    /// The same, until about so many bytes of entries have come: an entry holds the `_id` of its
    /// order, however long that is. The flag says whether more are left.
    pub async fn quarantine_entries_up_to(
        &self,
        filter: &Filter,
        limit: usize,
        bytes: usize,
    ) -> Result<(Vec<Result<Entry, Fault>>, bool), Error> {
        let mut query = doc! {};
        if !filter.reasons.is_empty() {
            query.insert("reason", doc! { "$in": filter.reasons.iter().map(|reason| reason.name()).collect::<Vec<_>>() });
        }
        let mut id = doc! {};
        if !filter.ids.is_empty() {
            id.insert("$in", filter.ids.clone());
        }
        if !id.is_empty() {
            query.insert("_id", id);
        }
        let mut query = encoded(&query);
        if let Some(after) = &filter.behind.after {
            // As an expression, because a condition ends with the type that it compares with.
            let after = field("$literal", after.as_ref());
            let mut compared = Writer::default();
            compared.array(
                "$gt",
                [Value::string("$_id").as_ref(), document_value(&after)],
            );
            let behind = field("$expr", document_value(&compared.finish()));
            query = joined(&[&query, &behind]);
        }
        let mut find = Writer::default();
        find.string("find", &self.names.quarantine)
            .document("filter", &query);
        let limits = doc! {
            "sort": { "_id": 1 }, "skip": filter.behind.passed, "limit": i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let command = joined(&[&find.finish(), &encoded(&limits), &self.read_options()]);
        let (rows, cut) = self.rows_up_to(&command, bytes).await?;
        Ok((rows.iter().map(|row| self.entry_of(row)).collect(), cut))
    }
}
