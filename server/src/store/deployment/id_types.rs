//! Of which types the ids are that orders refer by, as far as a look at a few documents tells.

use std::collections::BTreeMap;

use bson::{Document, RawDocumentBuf, doc};

use crate::{
    bytes::{
        join_key,
        raw::{self, ValueRef},
    },
    domain::order::Reference,
    store::{
        Error, Inspector,
        encoding::document::{joined, raw},
    },
};

/// How many documents are looked at from each end of a collection.
const SAMPLE: i32 = 100;

/// The ids of one field that can't join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnjoinableIds {
    /// The collection.
    pub collection: String,
    /// Whom the ids name.
    pub reference: Reference,
    /// In how many of the documents looked at the id is of such a type, by the database's name for
    /// it.
    pub types: BTreeMap<String, usize>,
    /// How many documents were looked at.
    pub looked_at: usize,
}

impl Inspector {
    /// The ids that can't join, in the orders and in the documents that they refer to, and how many
    /// documents were looked at.
    pub async fn unjoinable_ids(&self) -> Result<(Vec<UnjoinableIds>, usize), Error> {
        let names = self.names();
        let mut found = Vec::new();
        let mut all = 0;
        let orders = self.id_types(&names.orders, &Reference::ALL).await?;
        all += orders.len();
        for reference in Reference::ALL {
            found.extend(unjoinable(&names.orders, reference, &orders));
            let collection = names.of(reference);
            let documents = self.id_types(collection, &[reference]).await?;
            all += documents.len();
            found.extend(unjoinable(collection, reference, &documents));
        }
        Ok((found, all))
    }

    /// The types of these fields in documents from either end of a collection: a row each, whatever
    /// the ids hold.
    async fn id_types(
        &self,
        collection: &str,
        references: &[Reference],
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut types = Document::new();
        for reference in references {
            let field = reference.id_field();
            types.insert(field, doc! { "$type": format!("${field}") });
        }
        let mut rows: Vec<RawDocumentBuf> = Vec::new();
        for direction in [1, -1] {
            let find = doc! {
                "find": collection, "sort": { "_id": direction }, "limit": SAMPLE, "projection": &types,
            };
            let find = raw(&find);
            let page = self
                .store
                .rows(&joined(&[&find, &self.store.read_options()]))
                .await?;
            let new = |row: &RawDocumentBuf| !rows.iter().any(|known| id(known) == id(row));
            let page: Vec<RawDocumentBuf> = page.into_iter().filter(new).collect();
            rows.extend(page);
        }
        Ok(rows)
    }
}

fn id(row: &RawDocumentBuf) -> Option<ValueRef<'_>> {
    raw::find(row, "_id")
}

fn unjoinable(
    collection: &str,
    reference: Reference,
    rows: &[RawDocumentBuf],
) -> Option<UnjoinableIds> {
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    let all = rows
        .iter()
        .filter_map(|row| raw::find(row, reference.id_field())?.as_str());
    for of_type in all.filter(|of_type| !join_key::may_join(of_type)) {
        *types.entry(of_type.to_owned()).or_default() += 1;
    }
    (!types.is_empty()).then(|| UnjoinableIds {
        collection: collection.to_owned(),
        reference,
        types,
        looked_at: rows.len(),
    })
}
