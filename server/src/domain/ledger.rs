//! The ledger: the text of a record, the hash that seals it, and whether a chain of them is whole.
//!
//! Each record holds the hash of the one before it, so none can be changed, left out or put in
//! between without a change of all that follow. `docs/ledger.md` is for those who check it with a
//! program of their own.

use std::fmt;

use bson::{DateTime, Timestamp};
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::verify::{
    class::Class,
    counts::Counts,
    days::{Day, DayDigest, Days},
    plan::{Depth, Scope},
    verdict::Verdict,
};

/// The version of the records' format.
const VERSION: i64 = 1;

/// What there is to keep of a verification that has a verdict.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The id of the verification.
    pub verification: &'a str,
    /// The instance that ran it to its end.
    pub instance: &'a str,
    /// Which orders it looked at.
    pub scope: Scope,
    /// How much of each.
    pub depth: Depth,
    /// When it began, by the database's clock.
    pub begun: DateTime,
    /// The cluster time of its beginning; none on a standalone mongod.
    pub cluster_time: Option<Timestamp>,
    /// What it says.
    pub verdict: Verdict,
    /// What it has counted.
    pub counts: &'a Counts,
    /// What the archive held of each day; none unless every byte of all of it was read.
    pub days: &'a Days,
}

/// What was verified.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    /// The database.
    pub database: &'a str,
    /// The collection of the orders.
    pub orders: &'a str,
    /// The archive.
    pub archive: &'a str,
}

/// A record as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number.
    pub sequence: i64,
    /// Its text.
    pub text: String,
    /// The hash of its text, as 64 hexadecimal digits.
    pub hash: String,
}

impl Entry<'_> {
    /// The record with a number, after a record with a hash; the first one comes after an empty
    /// text. `ended` is when the verification ended, by the database's clock.
    pub fn seal(
        &self,
        of: &Verified<'_>,
        ended: DateTime,
        sequence: i64,
        previous: &str,
    ) -> Record {
        let time = |time: Timestamp| json!({ "t": time.time, "i": time.increment });
        let days = self
            .days
            .iter()
            .map(|(day, digest)| json!([day.to_string(), digest.count, hex::encode(digest.hash)]));
        let text = json!({
            "ledger": VERSION,
            "sequence": sequence,
            "previous": previous,
            "verification": self.verification,
            "instance": self.instance,
            "database": of.database,
            "orders": of.orders,
            "archive": of.archive,
            "scope": scope_name(self.scope),
            "depth": depth_name(self.depth),
            "begun": rfc3339(self.begun),
            "ended": rfc3339(ended),
            "cluster_time": self.cluster_time.map(time),
            "verdict": verdict_name(self.verdict),
            "counts": counts(self.counts),
            "days": days.collect::<Vec<Value>>(),
        });
        let text = text.to_string();
        Record {
            sequence,
            hash: hash(&text),
            text,
        }
    }
}

impl Record {
    /// The verdict and the counts that it holds; none where it is not as it was sealed.
    pub fn said(&self) -> Option<(Verdict, Counts)> {
        let record = self.sealed()?;
        let verdict = [Verdict::Verified, Verdict::NotVerified];
        let verdict = verdict
            .into_iter()
            .find(|verdict| record["verdict"] == verdict_name(*verdict))?;
        let count = |name: &str| record["counts"][name].as_i64();
        let mut counts = Counts {
            delivered: count("delivered")?,
            verified: count("verified")?,
            archived: count("archived")?,
            acknowledged: count("acknowledged")?,
            ..Counts::default()
        };
        for class in Class::ALL {
            *counts.of_mut(class) = count(count_name(class))?;
        }
        Some((verdict, counts))
    }

    /// What it says, if it is as it was sealed.
    fn sealed(&self) -> Option<Value> {
        let is_sealed = hash(&self.text) == self.hash;
        is_sealed.then(|| serde_json::from_str(&self.text).ok())?
    }

    /// What the archive held of each day, if that was found sound: every byte of all of it was read,
    /// nothing was altered or damaged, and nobody has said that anything may stay so. None for a
    /// record that tells nothing of the days, or is not as it was sealed.
    pub fn sound_days(&self) -> Option<Days> {
        let record = self.sealed()?;
        let is_sound = ["altered", "damaged", "acknowledged"]
            .into_iter()
            .all(|count| record["counts"][count] == 0);
        let listed = record["days"].as_array()?;
        if listed.is_empty() || !is_sound {
            return None;
        }
        let mut days = Days::default();
        for day in listed {
            let hash = hex::decode(day[2].as_str()?).ok()?;
            let digest = DayDigest {
                count: day[1].as_i64()?,
                hash: hash.try_into().ok()?,
            };
            days.insert(Day::of_name(day[0].as_str()?)?, digest);
        }
        Some(days)
    }
}

/// The counts by the contract's names, in its order.
fn counts(counts: &Counts) -> Value {
    let mut all = Map::new();
    let mut note = |name: &str, count: i64| _ = all.insert(name.to_owned(), json!(count));
    note("delivered", counts.delivered);
    note("verified", counts.verified);
    note("archived", counts.archived);
    for class in Class::ALL.into_iter().filter(|class| class.fails()) {
        note(count_name(class), counts.of(class));
    }
    note("acknowledged", counts.acknowledged);
    for class in Class::ALL.into_iter().filter(|class| !class.fails()) {
        note(count_name(class), counts.of(class));
    }
    Value::Object(all)
}

/// The contract's name of the count of a class.
fn count_name(class: Class) -> &'static str {
    match class {
        Class::NearMiss => "near_misses",
        class => class.name(),
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Full => "FULL",
        Scope::Changes => "CHANGES",
    }
}

fn depth_name(depth: Depth) -> &'static str {
    match depth {
        Depth::Presence => "PRESENCE",
        Depth::Content => "CONTENT",
        Depth::References => "REFERENCES",
    }
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "VERIFIED",
        Verdict::NotVerified => "NOT_VERIFIED",
    }
}

/// The hash that seals a record's text.
pub fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// What is wrong with a chain of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A record is not there, or not in its place.
    Missing {
        /// Its number.
        sequence: i64,
    },
    /// The text of a record is not what was sealed.
    Altered {
        /// Its number.
        sequence: i64,
    },
    /// A record was made after another one than the one before it.
    Unchained {
        /// Its number.
        sequence: i64,
    },
    /// A record says that it has another number.
    Misnumbered {
        /// The number that it stands under.
        sequence: i64,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Missing { sequence } => write!(f, "entry {sequence} is missing"),
            Broken::Altered { sequence } => {
                write!(
                    f,
                    "entry {sequence} is not what was sealed: its hash is another one"
                )
            }
            Broken::Unchained { sequence } => {
                write!(f, "entry {sequence} was not made after the one before it")
            }
            Broken::Misnumbered { sequence } => {
                write!(f, "entry {sequence} says that it has another number")
            }
        }
    }
}

/// Checks a chain from its first record on.
///
/// # Errors
///
/// The first fault.
pub fn check<'r>(records: impl IntoIterator<Item = &'r Record>) -> Result<(), Broken> {
    let mut previous = String::new();
    for (record, sequence) in records.into_iter().zip(1..) {
        if record.sequence != sequence {
            return Err(Broken::Missing { sequence });
        }
        if hash(&record.text) != record.hash {
            return Err(Broken::Altered { sequence });
        }
        let said: Value = serde_json::from_str(&record.text).unwrap_or_default();
        if said["previous"] != previous.as_str() {
            return Err(Broken::Unchained { sequence });
        }
        if said["sequence"] != sequence {
            return Err(Broken::Misnumbered { sequence });
        }
        previous.clone_from(&record.hash);
    }
    Ok(())
}

/// A moment in UTC, to the millisecond.
fn rfc3339(moment: DateTime) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(moment.timestamp_millis());
    moment.map_or_else(String::new, |it| {
        it.to_rfc3339_opts(SecondsFormat::Millis, true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verify::days::{Day, DayDigest};

    const HERE: Verified<'_> = Verified {
        database: "d",
        orders: "Commande",
        archive: "Historique",
    };

    fn sealed(verification: &str, sequence: i64, previous: &str) -> Record {
        let mut days = Days::default();
        for (day, byte) in [(Day::On(20_606), 0xab), (Day::None, 0)] {
            let digest = DayDigest {
                count: 3,
                hash: [byte; 32],
            };
            days.insert(day, digest);
        }
        let mut counts = Counts {
            delivered: 4,
            verified: 3,
            ..Counts::default()
        };
        *counts.of_mut(Class::NearMiss) = 1;
        let entry = Entry {
            verification,
            instance: "archd-1",
            scope: Scope::Full,
            depth: Depth::Content,
            begun: DateTime::from_millis(1_767_225_600_000),
            cluster_time: Some(Timestamp {
                time: 7,
                increment: 2,
            }),
            verdict: Verdict::Verified,
            counts: &counts,
            days: &days,
        };
        let ended = DateTime::from_millis(1_767_225_601_234);
        entry.seal(&HERE, ended, sequence, previous)
    }

    fn chain(length: i64) -> Vec<Record> {
        let mut previous = String::new();
        let next = |sequence| {
            let record = sealed(&format!("v{sequence}"), sequence, &previous);
            previous.clone_from(&record.hash);
            record
        };
        (1..=length).map(next).collect()
    }

    #[test]
    fn the_days_of_a_record_are_trusted_only_if_all_of_it_was_found_sound() {
        let record = sealed("v-1", 1, "");
        let days = record.sound_days().unwrap();
        assert_eq!(days.get(Day::On(20_606)).map(|day| day.count), Some(3));
        assert_eq!(days.len(), 2);
        let told = |from: &str, to: &str| {
            let text = record.text.replace(from, to);
            assert_ne!(text, record.text, "{from}");
            Record {
                hash: hash(&text),
                text,
                ..record.clone()
            }
        };
        for count in ["altered", "damaged", "acknowledged"] {
            let from = format!("\"{count}\":0");
            let unsound = told(&from, &format!("\"{count}\":1"));
            assert_eq!(unsound.sound_days(), None, "{count}");
        }
        let later = told("\"missing\":0", "\"missing\":7");
        assert_eq!(later.sound_days(), Some(days));
        let tampered = Record {
            text: later.text,
            ..record.clone()
        };
        assert_eq!(tampered.sound_days(), None);
    }

    #[test]
    fn a_record_says_what_was_sealed_or_nothing() {
        let record = sealed("v-1", 1, "");
        let (verdict, counts) = record.said().unwrap();
        assert_eq!(verdict, Verdict::Verified);
        assert_eq!((counts.delivered, counts.verified), (4, 3));
        assert_eq!(counts.of(Class::NearMiss), 1);
        let tampered = Record {
            text: record.text.replace("\"verified\":3", "\"verified\":4"),
            ..record.clone()
        };
        assert_eq!(tampered.said(), None);
    }

    #[test]
    fn a_record_is_compact_json_in_the_order_that_is_documented() {
        let record = sealed("v", 1, "");
        let (ab, zero) = ("ab".repeat(32), "00".repeat(32));
        let wanted = [
            r#"{"ledger":1,"sequence":1,"previous":"","verification":"v","instance":"archd-1","#,
            r#""database":"d","orders":"Commande","archive":"Historique","scope":"FULL","#,
            r#""depth":"CONTENT","begun":"2026-01-01T00:00:00.000Z","#,
            r#""ended":"2026-01-01T00:00:01.234Z","cluster_time":{"t":7,"i":2},"#,
            r#""verdict":"VERIFIED","counts":{"delivered":4,"verified":3,"archived":0,"missing":0,"#,
            r#""altered":0,"doubled":0,"damaged":0,"acknowledged":0,"amended":0,"orphaned":0,"#,
            r#""not_rebuildable":0,"quarantined":0,"near_misses":1,"names_changed":0},"#,
            &format!(r#""days":[["2026-06-02",3,"{ab}"],["none",3,"{zero}"]]}}"#),
        ];
        assert_eq!(record.text, wanted.concat());
        assert_eq!(record.hash, hash(&record.text));
    }

    #[test]
    fn whatever_is_done_to_a_chain_is_found() {
        let whole = chain(4);
        assert_eq!(check(&whole), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        let mut records = whole.clone();
        records[1].text = records[1].text.replace("\"VERIFIED", "\"NOT_VERIFIED");
        assert_eq!(check(&records), Err(Broken::Altered { sequence: 2 }));
        // With a new hash it is the next one that does not fit.
        records[1].hash = hash(&records[1].text);
        assert_eq!(check(&records), Err(Broken::Unchained { sequence: 3 }));
        for at in 0..3 {
            let mut records = whole.clone();
            records.remove(at);
            let sequence = i64::try_from(at).unwrap_or(0) + 1;
            assert_eq!(check(&records), Err(Broken::Missing { sequence }));
        }
        let mut records = whole.clone();
        records.swap(1, 2);
        assert_eq!(check(&records), Err(Broken::Missing { sequence: 2 }));
        let mut records = whole.clone();
        records[2] = Record {
            sequence: 3,
            ..whole[1].clone()
        };
        assert_eq!(check(&records), Err(Broken::Unchained { sequence: 3 }));
        let records = [Record {
            sequence: 1,
            ..sealed("v", 2, "")
        }];
        assert_eq!(check(&records), Err(Broken::Misnumbered { sequence: 1 }));
    }
}
