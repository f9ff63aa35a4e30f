//! The counters behind the statistics: one document a door for all time, and one a door and minute for the windows.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, rawdoc};
use tokio::time::Instant;
use tracing::error;

use super::{
    Error, Store,
    code_names::code_name,
    command::{checked, code_of, joined},
    format::{self, CURRENT, FORMAT, Fault, Field, Is, may, must, not_newer},
    setup::whole,
};
use crate::domain::counts::Counts;

const FIELDS: [&str; 6] = [
    "found",
    "archived",
    "duplicates",
    "incomplete",
    "errors",
    "gone",
];

/// The fields of counts, in counters and in batches.
pub(super) const COUNTS: &[Field] = &[
    may("found", Is::Whole),
    may("archived", Is::Whole),
    may("duplicates", Is::Whole),
    may("incomplete", Is::Whole),
    may("errors", Is::Whole),
    may("gone", Is::Whole),
];

/// The fields of a counter.
pub(super) const COUNTER: &[Field] = &[
    must("_id", Is::Fields(&[must("door", Is::Text)])),
    may("minute", Is::Date),
    may("since", Is::Date),
    may("found", Is::Whole),
    may("archived", Is::Whole),
    may("duplicates", Is::Whole),
    may("incomplete", Is::Whole),
    may("errors", Is::Whole),
    may("gone", Is::Whole),
];

const DUPLICATE_KEY: i32 = 11000;

/// At most so many counters that can't be read are told of one by one.
const MOST_FAULTS: usize = 10;

/// When something that may go on for long was last told of. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seldom(Arc<Mutex<Option<Instant>>>);

impl Seldom {
    /// Whether it is to be told of now: once a minute.
    fn is_due(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.is_none_or(|at| at.elapsed() > Duration::from_secs(60));
        if due {
            *told = Some(Instant::now());
        }
        due
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
    /// What is wrong with counters that can't be read, a few of them; the sums lack what these counted.
    pub faults: Vec<Fault>,
}

impl Store {
    /// Adds counts to the counters of a door.
    ///
    /// An answer that does not come is tried again, so in the rare case that the database went away right after counting,
    /// the same orders are counted twice; `found` and its parts stay equal even then. A counter that can't be added to is left
    /// as it is and told of: the orders are archived, and nobody is to fail for their count.
    pub async fn count(&self, door: &'static str, counts: &Counts) -> Result<(), Error> {
        if *counts == Counts::default() {
            return Ok(());
        }
        let minute = minute_of(DateTime::from_system_time(SystemTime::now()));
        let add = to_document(counts);
        let format = doc! { FORMAT: CURRENT };
        let of = |minute: Bson, update: Document| {
            // A counter of a newer format is not found, and can't be made a second time.
            let query = doc! { "_id": { "door": door, "minute": minute }, FORMAT: not_newer() };
            let statement = doc! { "q": query, "u": update, "upsert": true };
            RawDocumentBuf::try_from(&statement).expect("counts are plain documents")
        };
        let mut statements = vec![
            of(
                minute.into(),
                doc! { "$inc": add.clone(), "$set": format.clone(), "$setOnInsert": { "minute": minute } },
            ),
            of(
                "all".into(),
                doc! { "$inc": add, "$set": format, "$min": { "since": minute } },
            ),
        ];
        let mut refusal = None;
        // A counter that another instance makes at the same moment is there at the second try.
        for _ in 0..3 {
            let refused = self.add_to_counters(&statements).await?;
            let again = refused.iter().filter(|(_, code)| *code == DUPLICATE_KEY);
            statements = again.map(|(index, _)| statements[*index].clone()).collect();
            refusal = refused.first().map(|(_, code)| *code);
            if statements.is_empty() {
                break;
            }
        }
        if let Some(code) = refusal
            && self.uncounted.is_due()
        {
            self.tell_uncounted(door, code).await;
        }
        Ok(())
    }

    /// Runs statements, and says which were refused and with which code.
    async fn add_to_counters(
        &self,
        statements: &[RawDocumentBuf],
    ) -> Result<Vec<(usize, i32)>, Error> {
        let command = self.write_command(
            &rawdoc! { "update": self.names.counters.as_str() },
            "updates",
            statements,
        );
        let reply = self.retry(|| async {
            let reply = self.run(command.clone()).await?;
            match checked(reply.clone()) {
                Err(Error::Refused { .. }) | Ok(_) => Ok(reply),
                Err(error) => Err(error),
            }
        });
        let reply = reply.await?;
        let refused = reply.get_array("writeErrors").into_iter().flatten();
        Ok(refused
            .filter_map(Bson::as_document)
            .map(|refused| {
                let index = usize::try_from(whole(refused.get("index"))).unwrap_or(0);
                (index, code_of(refused))
            })
            .collect())
    }

    /// Says that a door's counts are lost, and by which counter's fault.
    async fn tell_uncounted(&self, door: &str, code: i32) {
        let faults = self.counter_faults(door).await.unwrap_or_default();
        let why = match faults.first() {
            Some(fault) => fault.to_string(),
            None => format!(
                "the database refuses the counter: {} ({code})",
                code_name(code)
            ),
        };
        error!(
            door,
            "orders are archived without being counted in the statistics: {why}"
        );
    }

    /// What is wrong with the counters that a door adds to now.
    async fn counter_faults(&self, door: &str) -> Result<Vec<Fault>, Error> {
        let minute = minute_of(DateTime::from_system_time(SystemTime::now()));
        let ids = [Bson::from("all"), minute.into()]
            .map(|minute| doc! { "door": door, "minute": minute });
        let rows = self.counters(doc! { "_id": { "$in": &ids[..] } }).await?;
        Ok(rows
            .iter()
            .filter_map(|row| format::check(&self.names.counters, COUNTER, row).err())
            .map(|fault| *fault)
            .collect())
    }

    /// What is wrong with the counters of all time.
    pub(super) async fn lifetime_faults(&self) -> Result<Vec<Fault>, Error> {
        Ok(self.sums_where(doc! { "minute": Bson::Null }).await?.2)
    }

    /// The sums for all time and since a moment.
    pub async fn sums(&self, window_from: DateTime) -> Result<Sums, Error> {
        // The counters for all time are those of no minute; either way the index on the minutes leads to what is asked for.
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

    /// The sum of some counters, the earliest moment among them, and what is wrong with those that can't be read.
    async fn sums_where(
        &self,
        filter: Document,
    ) -> Result<(Counts, Option<DateTime>, Vec<Fault>), Error> {
        let is_number = |field: &str| doc! { "$in": [{ "$type": format!("${field}") }, ["missing", "null", "int", "long", "double"]] };
        let mut readable: Vec<Document> = FIELDS.iter().map(|field| is_number(field)).collect();
        readable.push(doc! { "$in": [{ "$type": "$since" }, ["missing", "null", "date"]] });
        readable.push(doc! { "$in": [{ "$ifNull": [format!("${FORMAT}"), CURRENT] }, (1..=CURRENT).collect::<Vec<_>>()] });
        let readable = doc! { "$and": readable };
        let mut sums = doc! { "_id": &readable, "since": { "$min": "$since" } };
        for field in FIELDS {
            sums.insert(field, doc! { "$sum": format!("${field}") });
        }
        sums.insert("ids", doc! { "$firstN": { "input": "$_id", "n": i64::try_from(MOST_FAULTS).unwrap_or(i64::MAX) } });
        let pipeline = [doc! { "$match": filter }, doc! { "$group": sums }];
        let command =
            doc! { "aggregate": &self.names.counters, "pipeline": &pipeline[..], "cursor": {} };
        let command = RawDocumentBuf::try_from(&command).expect("a plain pipeline");
        let rows = self
            .rows(&joined(&[&command, &self.read_options()]))
            .await?;
        let (mut counts, mut since, mut faults) = (Counts::default(), None, Vec::new());
        for row in rows {
            let row = Document::try_from(row.as_ref()).map_err(|_| {
                Error::Unusable("a counter holds text that is not UTF-8".to_owned())
            })?;
            if row.get_bool("_id").unwrap_or_default() {
                counts = from_document(&row);
                since = row.get_datetime("since").ok().copied();
            } else {
                let ids = row.get_array("ids").cloned().unwrap_or_default();
                let bad = self.counters(doc! { "_id": { "$in": ids } }).await?;
                faults = bad
                    .iter()
                    .filter_map(|row| format::check(&self.names.counters, COUNTER, row).err())
                    .map(|fault| *fault)
                    .collect();
            }
        }
        Ok((counts, since, faults))
    }

    async fn counters(&self, filter: Document) -> Result<Vec<RawDocumentBuf>, Error> {
        let find = doc! { "find": &self.names.counters, "filter": filter };
        let find = RawDocumentBuf::try_from(&find).expect("a plain query");
        self.rows(&joined(&[&find, &self.read_options()])).await
    }

    /// The sums of one door for all time.
    ///
    /// Fails with [`Error::State`] when its counter can't be read.
    pub async fn sums_of(&self, door: &str) -> Result<Counts, Error> {
        let filter = rawdoc! { "_id": { "door": door, "minute": "all" } };
        let command = joined(&[
            &rawdoc! { "find": self.names.counters.as_str(), "filter": filter },
            &self.read_options(),
        ]);
        let Some(row) = self.rows(&command).await?.pop() else {
            return Ok(Counts::default());
        };
        let counter = format::read(&self.names.counters, COUNTER, &row)?;
        Ok(from_document(&counter))
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
