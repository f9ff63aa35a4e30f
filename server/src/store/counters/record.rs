//! The counters behind the statistics: one document a source for all time, and one a source and
//! minute for the windows.
//!
//! They count what has changed for orders; those that were archived or in quarantine before are not
//! counted again. Those of minutes also count how long orders had waited.

use std::ops::AddAssign;

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, rawdoc};

use crate::{
    domain::{counts::Counts, latency::LatencyHistogram},
    store::{
        Error, Store,
        encoding::document::{joined, raw, whole},
        state::{
            fault::Fault,
            format::{self, Field, Is, may, must},
            version::{CURRENT, FORMAT},
        },
    },
};

const FIELDS: [&str; 6] = [
    "found",
    "archived",
    "duplicates",
    "incomplete",
    "errors",
    "gone",
];

/// The fields of counts, in counters and in batches.
pub(in crate::store) const COUNTS: &[Field] = &[
    may("found", Is::Whole),
    may("archived", Is::Whole),
    may("duplicates", Is::Whole),
    may("incomplete", Is::Whole),
    may("errors", Is::Whole),
    may("gone", Is::Whole),
];

/// What a counter counts. Older servers also counted, as `found`, `duplicates` and `errors`, what
/// each batch met again; these are left as they are.
pub(super) const COUNTED: [&str; 4] = ["archived", "incomplete", "quarantined", "gone"];

/// The fields of a counter.
pub(in crate::store) const COUNTER: &[Field] = &[
    must("_id", Is::Fields(&[must("door", Is::Text)])),
    may("minute", Is::Date),
    may("since", Is::Date),
    may("archived", Is::Whole),
    may("incomplete", Is::Whole),
    may("quarantined", Is::Whole),
    may("gone", Is::Whole),
    may(LATENCY, Is::Fields(LATENCIES)),
    may("writers", Is::ListOf(WRITER)),
];

/// How long orders had waited, in the counter of a minute.
pub(super) const LATENCY: &str = "latency";

/// The counts of [`LatencyHistogram`].
const LATENCIES: &[Field] = &[
    may("to_100_ms", Is::Whole),
    may("to_250_ms", Is::Whole),
    may("to_500_ms", Is::Whole),
    may("to_1_s", Is::Whole),
    may("to_2_s", Is::Whole),
    may("to_5_s", Is::Whole),
    may("to_10_s", Is::Whole),
    may("to_30_s", Is::Whole),
    may("to_60_s", Is::Whole),
    may("longer", Is::Whole),
];

/// The latest write of a process that has added to a counter.
const WRITER: &[Field] = &[must("writer", Is::Text), must("write", Is::Whole)];

/// At most so many counters that can't be read are told of one by one.
const MOST_FAULTS: usize = 10;

/// What is added to the counters at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// What became of orders.
    pub counts: Counts,
    /// How long those of them had waited that were archived, where that is known.
    pub latency: LatencyHistogram,
}

impl From<Counts> for Tally {
    fn from(counts: Counts) -> Tally {
        Tally {
            counts,
            latency: LatencyHistogram::default(),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.counts += other.counts;
        self.latency += other.latency;
    }
}

/// The sums of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Since the first order.
    pub lifetime: Counts,
    /// When the first order was counted.
    pub since: Option<DateTime>,
    /// In the window.
    pub window: Counts,
    /// What is wrong with counters that can't be read, a few of them; the sums lack what these
    /// counted.
    pub faults: Vec<Fault>,
}

impl Store {
    /// What is wrong with some counters.
    pub(super) async fn counter_faults(&self, ids: Vec<Document>) -> Result<Vec<Fault>, Error> {
        let rows = self.counters(doc! { "_id": { "$in": ids } }).await?;
        Ok(rows
            .iter()
            .filter_map(|row| format::check(&self.names.counters, COUNTER, row).err())
            .map(|fault| *fault)
            .collect())
    }

    /// What is wrong with the counters of all time.
    pub(in crate::store) async fn lifetime_faults(&self) -> Result<Vec<Fault>, Error> {
        Ok(self.sums_where(doc! { "minute": Bson::Null }).await?.2)
    }

    /// The sums for all time and since a moment.
    pub async fn counter_sums(&self, window_from: DateTime) -> Result<Sums, Error> {
        // The counters for all time are those of no minute; either way the index on the minutes
        // leads to what is asked for.
        let window = doc! { "minute": { "$gte": minute_of(window_from) } };
        let ((lifetime, since, mut faults), (window, _, more)) = futures::try_join!(
            self.sums_where(doc! { "minute": Bson::Null }),
            self.sums_where(window)
        )?;
        faults.extend(more);
        faults.truncate(MOST_FAULTS);
        Ok(Sums {
            lifetime,
            since,
            window,
            faults,
        })
    }

    /// The sum of some counters, the earliest moment among them, and what is wrong with those that
    /// can't be read.
    async fn sums_where(
        &self,
        filter: Document,
    ) -> Result<(Counts, Option<DateTime>, Vec<Fault>), Error> {
        let readable = readable();
        let mut sums = doc! { "_id": &readable, "since": { "$min": "$since" } };
        for field in COUNTED {
            sums.insert(field, doc! { "$sum": format!("${field}") });
        }
        sums.insert("ids", doc! { "$firstN": { "input": "$_id", "n": i64::try_from(MOST_FAULTS).unwrap_or(i64::MAX) } });
        let pipeline = [doc! { "$match": filter }, doc! { "$group": sums }];
        let command =
            doc! { "aggregate": &self.names.counters, "pipeline": &pipeline[..], "cursor": {} };
        let command = raw(&command);
        let rows = self
            .rows(&joined(&[&command, &self.read_options()]))
            .await?;
        let (mut counts, mut since, mut faults) = (Counts::default(), None, Vec::new());
        for row in rows {
            let row = Document::try_from(row.as_ref()).map_err(|_| {
                Error::Unusable("a counter holds text that is not UTF-8".to_owned())
            })?;
            if row.get_bool("_id").unwrap_or_default() {
                counts = from_counter(&row);
                since = row.get_datetime("since").ok().copied();
            } else {
                let ids = row.get_array("ids").cloned().unwrap_or_default();
                let ids = ids.iter().filter_map(Bson::as_document).cloned();
                faults = self.counter_faults(ids.collect()).await?;
            }
        }
        Ok((counts, since, faults))
    }

    async fn counters(&self, filter: Document) -> Result<Vec<RawDocumentBuf>, Error> {
        let find = doc! { "find": &self.names.counters, "filter": filter };
        let find = raw(&find);
        self.rows(&joined(&[&find, &self.read_options()])).await
    }

    /// The sums of one source for all time.
    ///
    /// Fails with [`Error::State`] when its counter can't be read.
    pub async fn counter_sums_of(&self, source: &str) -> Result<Counts, Error> {
        let filter = rawdoc! { "_id": { "door": source, "minute": "all" } };
        let command = joined(&[
            &rawdoc! { "find": self.names.counters.as_str(), "filter": filter },
            &self.read_options(),
        ]);
        let Some(row) = self.rows(&command).await?.pop() else {
            return Ok(Counts::default());
        };
        let counter = format::read(&self.names.counters, COUNTER, &row)?;
        Ok(from_counter(&counter))
    }

    /// How many documents a collection holds, by its own count.
    pub async fn collection_size(&self, collection: &str) -> Result<i64, Error> {
        let command = joined(&[
            &rawdoc! { "count": collection },
            &rawdoc! { "maxTimeMS": self.max_time() },
        ]);
        self.retry(|| self.run(command.clone()))
            .await
            .map(|reply| whole(reply.get("n")))
    }
}

/// Whether the database can add a counter up, as an expression.
pub(super) fn readable() -> Document {
    let is = |field: &str, types: &[&str]| {
        let types = [&["missing", "null"], types].concat();
        doc! { "$in": [{ "$type": format!("${field}") }, types] }
    };
    let numbers = COUNTED.iter().map(|field| (*field).to_owned());
    let numbers = numbers.chain(latencies());
    let mut readable: Vec<Document> = numbers
        .map(|field| is(&field, &["int", "long", "double"]))
        .collect();
    readable.push(is(LATENCY, &["object"]));
    readable.push(is("since", &["date"]));
    let formats: Vec<i32> = (1..=CURRENT).collect();
    readable.push(doc! { "$in": [{ "$ifNull": [format!("${FORMAT}"), CURRENT] }, formats] });
    doc! { "$and": readable }
}

/// Where the counts of latencies stand in a counter.
pub(super) fn latencies() -> impl Iterator<Item = String> {
    let fields = LATENCIES.iter();
    fields.map(|field| format!("{LATENCY}.{}", field.name()))
}

/// What adds a histogram to that of a counter; none where there is nothing to add.
pub(super) fn latency_added(latency: &LatencyHistogram) -> Option<Document> {
    let counts = LATENCIES.iter().zip(latency.counts);
    let added: Document = counts
        .filter(|(_, count)| *count > 0)
        .map(|(field, count)| {
            let known = format!("${LATENCY}.{}", field.name());
            let sum = doc! { "$add": [{ "$ifNull": [known, 0_i64] }, count] };
            (field.name().to_owned(), sum.into())
        })
        .collect();
    let merged = doc! { "$mergeObjects": [format!("${LATENCY}"), &added] };
    (!added.is_empty()).then_some(merged)
}

/// Counts as fields of a document.
pub(in crate::store) fn to_document(counts: &Counts) -> Document {
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
pub(in crate::store) fn from_document(document: &Document) -> Counts {
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

/// Counts as the fields of a counter.
pub(super) fn counter_fields(counts: &Counts) -> [(&'static str, i64); 4] {
    let [archived, incomplete, quarantined, gone] = COUNTED;
    [
        (archived, counts.archived),
        (incomplete, counts.incomplete),
        (quarantined, counts.errors),
        (gone, counts.gone),
    ]
}

/// Counts out of the fields of a counter. What was found is what has been decided on.
pub(super) fn from_counter(counter: &Document) -> Counts {
    let [archived, incomplete, errors, gone] = COUNTED.map(|field| whole(counter.get(field)));
    Counts {
        found: archived + errors,
        archived,
        duplicates: 0,
        incomplete,
        errors,
        gone,
    }
}

/// The minute that a moment lies in.
pub(super) fn minute_of(moment: DateTime) -> DateTime {
    const MINUTE: i64 = 60_000;
    DateTime::from_millis(moment.timestamp_millis().div_euclid(MINUTE) * MINUTE)
}
