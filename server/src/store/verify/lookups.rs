//! Looking up orders and archived documents by their `_id`s and by their numbers.

use std::{collections::HashSet, time::Duration};

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::reader::ComparisonReader;
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::order::NUMERO,
    store::{
        Error,
        encoding::document::joined,
        quarantine::record::entry_id,
        wire::command::{CHUNK_BYTES, SIMPLE, commands_for},
    },
};

/// How many numbers may stand twice in the archive, each of which is looked at.
const MOST_TWICE: i64 = 100_000;

/// How long it may take to find them: all of the archive is read, and sorted where it is large.
const WHOLE_ARCHIVE: Duration = Duration::from_secs(10 * 60);

/// Which side is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The live orders.
    Orders,
    /// The archive.
    Archive,
}

/// How much of each document is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Its `_id`, its number and its status.
    Head,
    /// Its `_id` and when it was archived.
    Dated,
    /// Its `_id` alone.
    Id,
}

/// Whom to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Whoever the settings let a batch read from.
    Bulk,
    /// The primary: what is read now decides.
    Primary,
}

impl Extent {
    fn projection(self) -> Option<RawDocumentBuf> {
        match self {
            Extent::Whole => None,
            Extent::Head => Some(rawdoc! { "_id": 1, "numero_commande": 1, "status": 1 }),
            Extent::Dated => Some(rawdoc! { "_id": 1, "date_archivage": 1 }),
            Extent::Id => Some(rawdoc! { "_id": 1 }),
        }
    }

    pub(super) fn write(self, command: &mut Writer) {
        if let Some(projection) = self.projection() {
            command.document("projection", &projection);
        }
    }
}

impl ComparisonReader {
    /// The documents of one side with these `_id`s, as its collection compares them.
    pub async fn with_ids(
        &self,
        side: Side,
        ids: &[Value],
        extent: Extent,
        source: Source,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut rows = Vec::new();
        for command in commands_for("_id", ids, |filter| self.find(side, filter, extent)) {
            rows.extend(self.read(&command, source, usize::MAX).await?.0);
        }
        Ok(rows)
    }

    /// The same, until about so many bytes have come; the flag says whether some are left.
    pub async fn few_with_ids(
        &self,
        side: Side,
        ids: &[Value],
        source: Source,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let (mut rows, mut cut) = (Vec::new(), false);
        for command in commands_for("_id", ids, |filter| self.find(side, filter, Extent::Whole)) {
            let (read, more) = self.read(&command, source, CHUNK_BYTES).await?;
            rows.extend(read);
            cut |= more;
        }
        Ok((rows, cut))
    }

    /// The documents of one side whose number is exactly one of these texts.
    pub async fn with_numbers(
        &self,
        side: Side,
        numbers: &[Value],
        extent: Extent,
        source: Source,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let by_bytes = rawdoc! { "collation": { "locale": SIMPLE } };
        let command = |filter: &RawDocument| joined(&[&self.find(side, filter, extent), &by_bytes]);
        let asked: HashSet<ValueRef<'_>> = numbers.iter().map(Value::as_ref).collect();
        let mut rows = Vec::new();
        for command in commands_for(NUMERO, numbers, command) {
            let (read, _) = self.read(&command, source, usize::MAX).await?;
            // To the database a list is each of its members, and a symbol its text.
            let exact = |row: &RawDocumentBuf| {
                raw::find(row, NUMERO).is_some_and(|number| asked.contains(&number))
            };
            rows.extend(read.into_iter().filter(exact));
        }
        Ok(rows)
    }

    fn find(&self, side: Side, filter: &RawDocument, extent: Extent) -> RawDocumentBuf {
        let names = &self.store().names;
        let mut command = Writer::default();
        let collection = match side {
            Side::Orders => &names.orders,
            Side::Archive => &names.archive,
        };
        command
            .string("find", collection)
            .document("filter", filter);
        extent.write(&mut command);
        command.finish()
    }

    async fn read(
        &self,
        command: &RawDocument,
        source: Source,
        bytes: usize,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let store = self.store();
        match source {
            Source::Bulk => store.bulk_rows(command, bytes).await,
            Source::Primary => {
                let command = joined(&[command, &store.read_options()]);
                store.rows_up_to(&command, bytes).await
            }
        }
    }

    /// Which of the orders with these `_id`s are in quarantine, each in its turn.
    pub async fn quarantined(&self, ids: &[Value]) -> Result<Vec<bool>, Error> {
        let store = self.store();
        let entries: Vec<Value> = ids
            .iter()
            .map(|id| Value::string(&entry_id(id.as_ref())))
            .collect();
        let rows = store
            .rows_for("_id", &entries, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &store.names.quarantine)
                    .document("filter", filter)
                    .document("projection", &rawdoc! { "_id": 1 });
                joined(&[&command.finish(), &store.read_options()])
            })
            .await?;
        let there: HashSet<ValueRef<'_>> = rows
            .iter()
            .filter_map(|row| raw::find(row, "_id"))
            .collect();
        let is_there = |entry: &Value| there.contains(&entry.as_ref());
        Ok(entries.iter().map(is_there).collect())
    }

    /// The archived documents whose number another one has too: their heads, those of one number
    /// together, in the order of their `_id`s. Reads the whole archive.
    pub async fn of_numbers_held_twice(&self) -> Result<Vec<Vec<RawDocumentBuf>>, Error> {
        let store = self.store();
        let limit = WHOLE_ARCHIVE;
        let numbers = store.numbers_held_twice(MOST_TWICE, limit).await?;
        let by_id = rawdoc! { "sort": { "_id": 1 }, "collation": { "locale": SIMPLE }, "allowDiskUse": true };
        let command = |filter: &RawDocument| {
            joined(&[&self.find(Side::Archive, filter, Extent::Head), &by_id])
        };
        let mut groups: Vec<Vec<RawDocumentBuf>> = Vec::new();
        for command in commands_for(NUMERO, &numbers, command) {
            let command = joined(&[&command, &store.read_options_within(limit)]);
            let mut by_number = std::collections::HashMap::new();
            for row in store.rows_within(limit, command).await? {
                let number = raw::find(&row, NUMERO).unwrap_or(ValueRef::NULL);
                if number.kind == kind::STRING {
                    let group: &mut Vec<RawDocumentBuf> =
                        by_number.entry(number.to_owned()).or_default();
                    group.push(row);
                }
            }
            groups.extend(by_number.into_values().filter(|group| group.len() > 1));
        }
        Ok(groups)
    }
}
