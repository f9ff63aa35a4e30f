//! Replication lag: how far the members of the set are behind its primary.

use std::time::Duration;

use bson::{Document, rawdoc};
use mongodb::options::ReadPreference;

use crate::{
    bytes::raw::Writer,
    store::{
        Error, Store,
        encoding::document::{documents, whole},
    },
};

/// What a standalone mongod answers when it is asked about its set.
const NO_REPLICATION: i32 = 76;

impl Store {
    /// How far the secondary that is furthest behind is behind the primary; zero where there is no
    /// other member that holds data. Members that are delayed on purpose don't count.
    ///
    /// Without the privileges to ask for each member and for the set's configuration this is how
    /// far the majority is behind.
    pub async fn replication_lag(&self) -> Result<Duration, Error> {
        let status = self.ask_set("replSetGetStatus");
        let config = self.ask_set("replSetGetConfig");
        let millis = match futures::try_join!(status, config) {
            Ok((status, config)) => lag_of_members(&status, &config),
            Err(Error::Denied { .. }) => lag_of_majority(&self.run(rawdoc! { "hello": 1 }).await?),
            Err(Error::Refused {
                code: NO_REPLICATION,
                ..
            }) => None,
            Err(error) => return Err(error),
        };
        Ok(Duration::from_millis(
            millis
                .and_then(|millis| u64::try_from(millis).ok())
                .unwrap_or(0),
        ))
    }

    /// Asks the set about itself.
    async fn ask_set(&self, command: &str) -> Result<Document, Error> {
        let mut asked = Writer::default();
        asked.int32(command, 1);
        self.run_on("admin", asked.finish(), ReadPreference::Primary)
            .await
    }
}

/// In milliseconds, from what `replSetGetStatus` and `replSetGetConfig` answer; none where nobody
/// follows.
fn lag_of_members(status: &Document, config: &Document) -> Option<i64> {
    const PRIMARY: i64 = 1;
    const SECONDARY: i64 = 2;
    let delayed: Vec<i64> = documents(config.get_document("config").ok()?, "members")
        .filter(|member| {
            // Before MongoDB 5.0 the delay had the other name.
            let delay = |name: &str| whole(member.get(name));
            delay("secondaryDelaySecs").max(delay("slaveDelay")) > 0
        })
        .map(|member| whole(member.get("_id")))
        .collect();
    let members: Vec<(i64, i64)> = documents(status, "members")
        .filter(|member| !delayed.contains(&whole(member.get("_id"))))
        .filter_map(|member| {
            let date = member.get_datetime("optimeDate").ok()?;
            Some((whole(member.get("state")), date.timestamp_millis()))
        })
        .collect();
    let in_state = |wanted: i64| {
        let wanted = members.iter().filter(move |(state, _)| *state == wanted);
        wanted.map(|(_, date)| *date)
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
    use bson::{Bson, DateTime, doc};

    const PRIMARY: i32 = 1;
    const SECONDARY: i32 = 2;
    const ARBITER: i32 = 7;
    const DOWN: i32 = 8;

    /// How far they are behind, in seconds, when members of these states have the writes of these
    /// seconds, and are configured so.
    fn lag(members: &[(i32, i64, Document)]) -> Option<i64> {
        let numbered = || members.iter().zip(0_i32..);
        let state = |((state, second, _), id): (&(i32, i64, Document), i32)| doc! { "_id": id, "state": state, "optimeDate": DateTime::from_millis(second * 1_000) };
        let status = doc! { "members": numbered().map(state).collect::<Vec<_>>() };
        let configured = |((_, _, config), id): (&(i32, i64, Document), i32)| {
            let mut member = doc! { "_id": id };
            member.extend(config.clone());
            member
        };
        // In an order of its own: members are known by their ids.
        let mut configured: Vec<_> = numbered().map(configured).collect();
        configured.reverse();
        let config = doc! { "config": { "_id": "rs", "members": configured } };
        lag_of_members(&status, &config).map(|millis| millis / 1_000)
    }

    #[test]
    fn the_secondary_furthest_behind_counts_unless_it_is_to_be_behind() {
        let delayed = |name: &str, delay: Bson| doc! { name: delay, "priority": 0, "hidden": true };
        let none = || doc! {};
        let primary = || (PRIMARY, 10_000, none());
        let table = [
            (
                vec![
                    primary(),
                    (SECONDARY, 10_000, none()),
                    (SECONDARY, 9_997, none()),
                ],
                Some(3),
            ),
            (vec![primary(), (SECONDARY, 10_001, none())], Some(-1)),
            // An arbiter, and a member that is down, hold nobody up.
            (
                vec![primary(), (ARBITER, 0, none()), (DOWN, 0, none())],
                None,
            ),
            (vec![(SECONDARY, 10_000, none())], None),
            // A hidden member is to be where the others are, a delayed one is not, by whatever kind
            // of number.
            (
                vec![
                    primary(),
                    (
                        SECONDARY,
                        9_990,
                        doc! { "hidden": true, "priority": 0, "secondaryDelaySecs": 0_i64 },
                    ),
                    (
                        SECONDARY,
                        6_400,
                        delayed("secondaryDelaySecs", Bson::Int64(3_600)),
                    ),
                ],
                Some(10),
            ),
            (
                vec![
                    primary(),
                    (SECONDARY, 9_999, none()),
                    (
                        SECONDARY,
                        6_400,
                        delayed("secondaryDelaySecs", Bson::Double(3_600.0)),
                    ),
                ],
                Some(1),
            ),
            (
                vec![
                    primary(),
                    (SECONDARY, 6_400, delayed("slaveDelay", Bson::Int32(3_600))),
                ],
                None,
            ),
        ];
        for (members, expected) in table {
            assert_eq!(lag(&members), expected, "{members:?}");
        }
    }

    #[test]
    fn the_majority_is_behind_by_the_writes_that_it_lacks() {
        let date = |second: i64| DateTime::from_millis(second * 1_000);
        let hello =
            doc! { "lastWrite": { "lastWriteDate": date(10), "majorityWriteDate": date(8) } };
        assert_eq!(lag_of_majority(&hello), Some(2_000));
        assert_eq!(lag_of_majority(&doc! {}), None);
    }
}
