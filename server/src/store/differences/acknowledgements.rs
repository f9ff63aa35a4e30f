//! Acknowledgements, as a verification reads them: which of its differences somebody has looked
//! into, and said that they may stay.

use std::collections::HashMap;

use bson::{RawDocumentBuf, doc, rawdoc};

use super::{
    record::{BY_SETTLED, Difference},
    write::{Differences, failing_ranks},
};
use crate::{
    bytes::raw::{self, ValueRef, Writer},
    store::{
        Error,
        encoding::document::{document_value, field, joined, raw as raw_document},
    },
};

/// How many differences are looked at together.
const TOGETHER: usize = 1_000;

impl Differences {
    /// Notes at each difference that fails the verdict who has acknowledged it: the same
    /// difference, by its class, its two sides and its fingerprint.
    pub async fn acknowledge(&self) -> Result<(), Error> {
        let mut behind = String::new();
        loop {
            let query = doc! {
                "verification": &self.verification, "settled": true,
                "rank": { "$in": failing_ranks() }, "_id": { "$gt": &behind },
            };
            let by_id = rawdoc! { "sort": { "_id": 1 }, "hint": BY_SETTLED };
            let rows = self.find(&raw_document(&query), &by_id, TOGETHER).await?;
            let differences: Vec<Difference> = rows
                .iter()
                .map(|row| self.store.difference_of(row))
                .collect::<Result<_, _>>()?;
            let Some(last) = differences.last() else {
                return Ok(());
            };
            behind = last.id.clone();
            self.acknowledge_some(&differences).await?;
        }
    }

    async fn acknowledge_some(&self, differences: &[Difference]) -> Result<(), Error> {
        let prints: Vec<&str> = differences
            .iter()
            .map(|difference| difference.finding.fingerprint.as_str())
            .filter(|print| !print.is_empty())
            .collect();
        let find = doc! {
            "find": &self.store.names.acknowledgements, "filter": { "fingerprint": { "$in": prints } },
        };
        let find = joined(&[&raw_document(&find), &self.store.read_options()]);
        let rows = self.store.rows(&find).await?;
        let mut by_print: HashMap<&str, Vec<&RawDocumentBuf>> = HashMap::new();
        for row in &rows {
            if let Some(print) = raw::find(row, "fingerprint").and_then(ValueRef::as_str) {
                by_print.entry(print).or_default().push(row);
            }
        }
        let mut statements = Vec::new();
        for difference in differences {
            let found = by_print.get(difference.finding.fingerprint.as_str());
            let mut found = found.into_iter().flatten().copied();
            if let Some(said) = found.find(|row| is_of(row, difference)) {
                statements.push(noted(&difference.id, said));
            }
        }
        let head = rawdoc! { "update": self.store.names.differences.as_str() };
        self.store.write_all(head, "updates", &statements).await
    }
}

/// Whether an acknowledgement is of this difference.
fn is_of(said: &RawDocumentBuf, difference: &Difference) -> bool {
    let finding = &difference.finding;
    let side = |name: &str| raw::find(said, name).filter(|id| !id.is_null());
    let class = raw::find(said, "class").and_then(ValueRef::as_str);
    class == Some(finding.class.name())
        && side("order_id") == finding.order_id.as_ref().map(|id| id.as_ref())
        && side("archive_id") == finding.archive_id.as_ref().map(|id| id.as_ref())
}

/// The statement that notes at a difference who has acknowledged it.
fn noted(id: &str, said: &RawDocumentBuf) -> RawDocumentBuf {
    let mut kept = Writer::default();
    for name in ["reason", "by", "created"] {
        if let Some(value) = raw::find(said, name) {
            kept.value(name, value);
        }
    }
    let set = field("acknowledged", document_value(&kept.finish()));
    rawdoc! { "q": { "_id": id }, "u": { "$set": set } }
}
