//! Reading the archive.

use bson::{DateTime, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{Error, Store, command::joined};
use crate::domain::{
    enrich::{DATE_ARCHIVAGE, INCOMPLETE, MISSING_FIELDS},
    order::NUMERO,
    raw::{self, Value, ValueRef, Writer},
};

/// Which archived orders to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Archived at or after this moment.
    pub archived_from: Option<DateTime>,
    /// Archived before this moment.
    pub archived_to: Option<DateTime>,
    /// Incomplete ones or complete ones.
    pub incomplete: Option<bool>,
    /// Only numbers that begin so.
    pub numero_prefix: String,
    /// Only numbers lower than this one: where the page before ended.
    pub below: Option<String>,
}

impl Store {
    /// One archived order.
    pub async fn archived_order(&self, numero: &str) -> Result<Option<RawDocumentBuf>, Error> {
        let head = doc! { "find": &self.names.archive, "filter": { NUMERO: { "$eq": numero } }, "limit": 1 };
        Ok(self.find(head, usize::MAX).await?.0.pop())
    }

    /// The archived orders among those with these numbers: each number, and which fields it misses.
    pub async fn archived_under(
        &self,
        numeros: &[Value],
    ) -> Result<Vec<(String, Vec<String>)>, Error> {
        let rows = self
            .rows_for(NUMERO, numeros, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("filter", filter)
                    .document(
                        "projection",
                        &rawdoc! { "numero_commande": 1, "missing_fields": 1 },
                    );
                joined(&[&command.finish(), &self.by_number_options()])
            })
            .await?;
        Ok(rows
            .iter()
            .map(|row| (numero(row).to_owned(), missing_fields(row)))
            .collect())
    }

    /// Archived orders by their number, the highest first: at most `limit`, and about `bytes` of them. The flag says whether more are left.
    pub async fn archived_orders(
        &self,
        filter: &Filter,
        limit: usize,
        bytes: usize,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let mut numero = doc! { "$gte": &filter.numero_prefix };
        if let Some(below) = &filter.below {
            numero.insert("$lt", below);
        }
        let mut query = doc! { NUMERO: numero };
        if !filter.numero_prefix.is_empty() {
            // The highest character there is, so that the range is exactly the numbers that begin with the prefix.
            query.insert(
                "$and",
                [doc! { NUMERO: { "$lt": format!("{}\u{10ffff}", filter.numero_prefix) } }],
            );
        }
        let mut archived = doc! {};
        if let Some(from) = filter.archived_from {
            archived.insert("$gte", from);
        }
        if let Some(to) = filter.archived_to {
            archived.insert("$lt", to);
        }
        if !archived.is_empty() {
            query.insert(DATE_ARCHIVAGE, archived);
        }
        if let Some(incomplete) = filter.incomplete {
            query.insert(INCOMPLETE, incomplete);
        }
        let most = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
        let head = doc! { "find": &self.names.archive, "filter": query, "sort": { NUMERO: -1 }, "limit": most };
        let (mut rows, cut) = self.find(head, bytes).await?;
        let more = cut || rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }

    async fn find(
        &self,
        head: bson::Document,
        bytes: usize,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let head = RawDocumentBuf::try_from(&head).expect("filters are plain documents");
        self.rows_up_to(&joined(&[&head, &self.by_number_options()]), bytes)
            .await
    }
}

/// The number of an archived order.
pub fn numero(archived: &RawDocumentBuf) -> &str {
    raw::find(archived, NUMERO)
        .and_then(ValueRef::as_str)
        .unwrap_or_default()
}

/// The fields that an archived order misses.
pub fn missing_fields(archived: &RawDocument) -> Vec<String> {
    let list = raw::find(archived, MISSING_FIELDS).unwrap_or(ValueRef::NULL);
    list.elements()
        .filter_map(|element| element.value.as_str())
        .map(str::to_owned)
        .collect()
}
