//! The counters behind the statistics: one document a door for all time, and one a door and minute for the windows.

use std::time::SystemTime;

use bson::{DateTime, Document, RawDocumentBuf, doc, rawdoc};

use super::{Error, Store, command::joined, setup::whole};
use crate::domain::counts::Counts;

const FIELDS: [&str; 6] = [
    "found",
    "archived",
    "duplicates",
    "incomplete",
    "errors",
    "gone",
];

/// The sums of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Since the first order.
    pub lifetime: Counts,
    /// When the first order was counted.
    pub since: Option<DateTime>,
    /// In the window.
    pub window: Counts,
}

impl Store {
    /// Adds counts to the counters of a door.
    ///
    /// An answer that does not come is tried again, so in the rare case that the database went away right after counting,
    /// the same orders are counted twice; `found` and its parts stay equal even then.
    pub async fn count(&self, door: &'static str, counts: &Counts) -> Result<(), Error> {
        if *counts == Counts::default() {
            return Ok(());
        }
        let minute = minute_of(DateTime::from_system_time(SystemTime::now()));
        let add = to_document(counts);
        let statements = [
            doc! { "q": { "_id": { "door": door, "minute": minute } }, "u": { "$inc": add.clone(), "$setOnInsert": { "minute": minute } }, "upsert": true },
            doc! { "q": { "_id": { "door": door, "minute": "all" } }, "u": { "$inc": add, "$min": { "since": minute } }, "upsert": true },
        ];
        let statements = statements.map(|statement| {
            RawDocumentBuf::try_from(&statement).expect("counts are plain documents")
        });
        self.write_all(
            rawdoc! { "update": self.names.counters.as_str() },
            "updates",
            &statements,
        )
        .await
    }

    /// The sums for all time and since a moment.
    pub async fn sums(&self, window_from: DateTime) -> Result<Sums, Error> {
        let filter = rawdoc! { "$or": [{ "_id.minute": "all" }, { "minute": { "$gte": minute_of(window_from) } }] };
        let command = joined(&[
            &rawdoc! { "find": self.names.counters.as_str(), "filter": filter },
            &self.read_options(),
        ]);
        let mut sums = Sums::default();
        for row in self.rows(&command).await? {
            let row = Document::try_from(row.as_ref())
                .map_err(|_| Error::Unusable("a counter can't be read".to_owned()))?;
            if row.contains_key("minute") {
                sums.window += from_document(&row);
            } else {
                sums.lifetime += from_document(&row);
                let since = row.get_datetime("since").ok().copied();
                sums.since = [sums.since, since].into_iter().flatten().min();
            }
        }
        Ok(sums)
    }

    /// The sums of one door for all time.
    pub async fn sums_of(&self, door: &str) -> Result<Counts, Error> {
        let filter = rawdoc! { "_id": { "door": door, "minute": "all" } };
        let command = joined(&[
            &rawdoc! { "find": self.names.counters.as_str(), "filter": filter },
            &self.read_options(),
        ]);
        let row = self
            .rows(&command)
            .await?
            .pop()
            .and_then(|row| Document::try_from(row.as_ref()).ok());
        Ok(row.as_ref().map(from_document).unwrap_or_default())
    }

    /// How many documents a collection holds, by its own count.
    pub async fn size_of(&self, collection: &str) -> Result<i64, Error> {
        let command = joined(&[
            &rawdoc! { "count": collection },
            &rawdoc! { "maxTimeMS": self.max_time() },
        ]);
        self.retry(|| self.run(command.clone()))
            .await
            .map(|reply| whole(reply.get("n")))
    }
}

/// Counts as fields of a document.
pub(super) fn to_document(counts: &Counts) -> Document {
    let values = [
        counts.found,
        counts.archived,
        counts.duplicates,
        counts.incomplete,
        counts.errors,
        counts.gone,
    ];
    FIELDS
        .iter()
        .zip(values)
        .map(|(field, value)| ((*field).to_owned(), value.into()))
        .collect()
}

/// Counts out of the fields of a document.
pub(super) fn from_document(document: &Document) -> Counts {
    let [found, archived, duplicates, incomplete, errors, gone] =
        FIELDS.map(|field| whole(document.get(field)));
    Counts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    }
}

fn minute_of(moment: DateTime) -> DateTime {
    const MINUTE: i64 = 60_000;
    DateTime::from_millis(moment.timestamp_millis().div_euclid(MINUTE) * MINUTE)
}
