//! Burden: how hard the database is at work, as far as it says so and as our own writes feel it.

use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::Duration,
};

use bson::{DateTime, Document, rawdoc};

use super::{Error, Store};

/// How long the latest insert into the archive took. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency(Arc<AtomicU64>);

impl Latency {
    pub(super) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros, Ordering::Relaxed);
    }
}

impl Store {
    /// How long the latest insert of a chunk into the archive took, up to its confirmation by a majority; zero before the first.
    pub fn insert_latency(&self) -> Duration {
        Duration::from_micros(self.latency.0.load(Ordering::Relaxed))
    }

    /// How far the secondary that is furthest behind is behind the primary; zero where there is no other member that holds data.
    ///
    /// Without the privilege to ask each member this is how far the majority is behind.
    pub async fn replication_lag(&self) -> Result<Duration, Error> {
        let admin = self.client.database("admin");
        let status = self
            .within(admin.run_raw_command(rawdoc! { "replSetGetStatus": 1 }))
            .await?;
        let millis = match status {
            Ok(status) => lag_of_members(&status),
            Err(_) => lag_of_majority(&self.run(rawdoc! { "hello": 1 }).await?),
        };
        Ok(Duration::from_millis(
            millis
                .and_then(|millis| u64::try_from(millis).ok())
                .unwrap_or(0),
        ))
    }
}

/// In milliseconds; none where nobody follows.
fn lag_of_members(status: &Document) -> Option<i64> {
    const PRIMARY: i32 = 1;
    const SECONDARY: i32 = 2;
    let members: Vec<(i32, DateTime)> = status
        .get_array("members")
        .ok()?
        .iter()
        .filter_map(|member| {
            let member = member.as_document()?;
            Some((
                member.get_i32("state").ok()?,
                *member.get_datetime("optimeDate").ok()?,
            ))
        })
        .collect();
    let in_state = |wanted: i32| {
        members
            .iter()
            .filter(move |(state, _)| *state == wanted)
            .map(|(_, date)| date.timestamp_millis())
    };
    Some(in_state(PRIMARY).max()? - in_state(SECONDARY).min()?)
}

/// In milliseconds; none on a standalone mongod.
fn lag_of_majority(hello: &Document) -> Option<i64> {
    let last = hello.get_document("lastWrite").ok()?;
    let date = |name: &str| {
        last.get_datetime(name)
            .ok()
            .map(|date| date.timestamp_millis())
    };
    Some(date("lastWriteDate")? - date("majorityWriteDate")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn the_secondary_furthest_behind_counts() {
        let member = |state: i32, second: i64| doc! { "state": state, "optimeDate": DateTime::from_millis(second * 1_000) };
        let table = [
            (
                vec![member(1, 10), member(2, 10), member(2, 7)],
                Some(3_000),
            ),
            (vec![member(1, 10), member(2, 11)], Some(-1_000)),
            // An arbiter, and a member that is down, hold nobody up.
            (vec![member(1, 10), member(7, 0), member(8, 0)], None),
            (vec![member(2, 10)], None),
        ];
        for (members, expected) in table {
            assert_eq!(
                lag_of_members(&doc! { "members": &members }),
                expected,
                "{members:?}"
            );
        }
    }
}
