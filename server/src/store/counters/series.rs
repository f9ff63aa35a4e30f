//! The counters of minutes, added up step by step.

use std::{collections::BTreeMap, time::Duration};

use bson::{DateTime, Document, doc};

use super::record::{COUNTED, Tally, from_counter, latencies, readable};
use crate::{
    domain::latency::{EDGES, LatencyHistogram},
    store::{
        Error, Store,
        encoding::document::{joined, raw, whole},
    },
};

/// What happened in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// When the step begins.
    pub start: DateTime,
    /// What was counted in it.
    pub tally: Tally,
}

impl Store {
    /// The figures of each step from the one that `from` lies in until that of `to`, oldest first.
    /// Steps are whole minutes, and begin at whole numbers of steps after 1970. What counters hold
    /// that can't be read is missing in them; see
    /// [`Sums::faults`](super::record::Sums::faults).
    pub async fn counter_series(
        &self,
        from: DateTime,
        to: DateTime,
        step: Duration,
    ) -> Result<Vec<Point>, Error> {
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX).max(1);
        let number = |moment: DateTime| moment.timestamp_millis().div_euclid(step);
        let start = |number: i64| DateTime::from_millis(number.saturating_mul(step));
        let (first, last) = (number(from), number(to));
        let steps = doc! { "$floor": { "$divide": [{ "$toLong": "$minute" }, step] } };
        let mut sums = doc! { "_id": steps };
        for field in COUNTED {
            sums.insert(field, doc! { "$sum": format!("${field}") });
        }
        for (at, field) in latencies().enumerate() {
            sums.insert(column(at), doc! { "$sum": format!("${field}") });
        }
        let minutes = doc! { "minute": { "$gte": start(first), "$lt": start(last + 1) }, "$expr": readable() };
        let pipeline = [doc! { "$match": minutes }, doc! { "$group": sums }];
        let command =
            doc! { "aggregate": &self.names.counters, "pipeline": &pipeline[..], "cursor": {} };
        let command = joined(&[&raw(&command), &self.read_options()]);
        let mut known = BTreeMap::new();
        for row in self.rows(&command).await? {
            let row = Document::try_from(row.as_ref())
                .map_err(|_| Error::Unusable("a sum of counters can't be read".to_owned()))?;
            known.insert(whole(row.get("_id")), tally(&row));
        }
        Ok((first..=last)
            .map(|number| Point {
                start: start(number),
                tally: known.get(&number).copied().unwrap_or_default(),
            })
            .collect())
    }
}

/// The name of a sum of latencies: a sum's may have no dot.
fn column(at: usize) -> String {
    format!("latency_{at}")
}

fn tally(row: &Document) -> Tally {
    let mut counts = [0; EDGES.len() + 1];
    for (at, count) in counts.iter_mut().enumerate() {
        *count = whole(row.get(column(at)));
    }
    Tally {
        counts: from_counter(row),
        latency: LatencyHistogram { counts },
    }
}
