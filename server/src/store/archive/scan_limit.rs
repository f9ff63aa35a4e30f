//! Filters that the archive has no index for: how far a page may look, and the indexes that would
//! spare it the look.

use bson::{Document, doc};

use super::read::{Below, Filter, numero};
use crate::{
    domain::order::{NUMERO, Reference},
    store::{
        Error, Inspector, Store,
        deployment::{index_spec::IndexSpec, shell},
    },
};

/// How many entries of the index on the number a page with such filters looks at.
pub const STRETCH: usize = 10_000;
/// The longest number that a stretch may end at, in bytes: it is told in a token.
const LONGEST_END: usize = 512;

impl Store {
    /// Bounds what a page has to look at: by an index that leads to the orders asked for, or else
    /// by the number at which it ends. A filter of numbers alone needs neither.
    pub async fn bounded_list(&self, mut filter: Filter) -> Result<Filter, Error> {
        if !filter.looks_at_orders() {
            return Ok(filter);
        }
        let indexes = match filter.ids.is_empty() {
            true => Vec::new(),
            false => self.list_indexes(&self.names.archive).await?,
        };
        let leads = |index: &&IndexSpec| {
            let mut ids = filter.ids.iter();
            ids.any(|(field, _)| index.finds_in_order(field, NUMERO))
        };
        match indexes.iter().find(leads) {
            Some(index) => filter.along = Some(index.name().to_owned()),
            None => filter.down_to = self.stretch_end(&filter).await?,
        }
        Ok(filter)
    }

    /// The number of the last entry that a page looks at; none where there are no more than that.
    async fn stretch_end(&self, filter: &Filter) -> Result<Option<String>, Error> {
        // Where many numbers begin alike at great length, a place is told by how many of those that
        // the filter takes were passed by: there a page looks as far as it must.
        if let Some(Below::Passed { .. }) = filter.below {
            return Ok(None);
        }
        let numbers = Filter {
            numero_prefix: filter.numero_prefix.clone(),
            below: filter.below.clone(),
            ..Filter::default()
        };
        let mut last = self.archive_page(&numbers, 1);
        last.insert("skip", i64::try_from(STRETCH - 1).unwrap_or(i64::MAX));
        last.insert("projection", doc! { "_id": 0, NUMERO: 1 });
        let rows = self.find(last).await?;
        let end = rows.first().map(|row| numero(row).to_owned());
        Ok(end.filter(|end| end.len() <= LONGEST_END))
    }
}

impl Inspector {
    /// The commands that make the indexes which lists by client, restaurant or menu would be quick
    /// with, of those that are not there.
    pub async fn list_indexes_to_make(&self) -> Result<Vec<String>, Error> {
        let names = self.names();
        let indexes = self.store.list_indexes(&names.archive).await?;
        let absent = |reference: &Reference| {
            let mut there = indexes.iter();
            !there.any(|index| index.finds_in_order(reference.id_field(), NUMERO))
        };
        let archive = shell::collection(self.store.database_name(), &names.archive);
        let command = |reference: Reference| {
            let id = reference.id_field();
            let key: Document = doc! { id: 1, NUMERO: 1 };
            format!("{archive}.createIndex({key}, {{ collation: {{ locale: \"simple\" }} }})")
        };
        // Nobody lists by courier.
        let listed_by = Reference::ALL.into_iter();
        let listed_by = listed_by.filter(|reference| *reference != Reference::Livreur);
        Ok(listed_by.filter(absent).map(command).collect())
    }
}
