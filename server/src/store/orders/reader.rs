//! Reader: the database as somebody sees it who may look at orders and at the archive, and has
//! nothing to write with.

use std::collections::HashSet;

use bson::rawdoc;

use super::{
    gather::{Gathered, Selection},
    pages::{ArchiveState, Page},
};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::order::NUMERO,
    store::{Error, Store, encoding::document::joined},
};

/// What can be read of the database, and nothing that writes.
#[derive(Clone, Debug)]
pub struct Reader(Store);

impl Store {
    /// This database, to read.
    pub fn order_reader(&self) -> Reader {
        Reader(self.clone())
    }
}

impl Reader {
    pub(in crate::store) fn store(&self) -> &Store {
        &self.0
    }

    /// See [`Store::archive_states`].
    pub async fn states(&self, page: &Page) -> Result<Vec<ArchiveState>, Error> {
        self.0.archive_states(page).await
    }

    /// See [`Store::gather_orders`].
    pub async fn gather(&self, selection: &Selection) -> Result<Gathered, Error> {
        self.0.gather_orders(selection).await
    }

    /// Which of these numbers are taken in the archive, and perhaps some others.
    pub async fn archived_numbers(&self, numbers: &[Value]) -> Result<HashSet<Value>, Error> {
        let store = &self.0;
        let rows = store
            .rows_for(NUMERO, numbers, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &store.names.archive)
                    .document("filter", filter)
                    .document("projection", &rawdoc! { "_id": 0, "numero_commande": 1 });
                joined(&[&command.finish(), &store.by_number_options()])
            })
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| raw::find(row, NUMERO))
            .flat_map(taken_by)
            .collect())
    }
}

/// The texts that the unique index takes for equal to a number: a symbol is its text, and a list is
/// each of its members.
fn taken_by(numero: ValueRef<'_>) -> Vec<Value> {
    let text = |value: ValueRef<'_>| match value.kind {
        kind::SYMBOL => Value {
            kind: kind::STRING,
            ..value.to_owned()
        },
        _ => value.to_owned(),
    };
    match numero.kind {
        kind::ARRAY => numero.elements().map(|member| text(member.value)).collect(),
        _ => vec![text(numero)],
    }
}
