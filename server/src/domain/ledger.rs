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

/// The version of the records' format.
const VERSION: i64 = 1;

/// What there is to keep of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id of the verification.
    pub verification: String,
    /// The instance that ran it to its end.
    pub instance: String,
    /// The database.
    pub database: String,
    /// The collection of the orders.
    pub orders: String,
    /// The archive.
    pub archive: String,
    /// Which orders it looked at, by the contract's name: `FULL` or `CHANGES`.
    pub scope: &'static str,
    /// How much of each, by the contract's name: `PRESENCE`, `CONTENT` or `REFERENCES`.
    pub depth: &'static str,
    /// When it began, by the database's clock.
    pub begun: DateTime,
    /// When it ended, by the database's clock.
    pub ended: DateTime,
    /// The cluster time of its beginning; none on a standalone mongod.
    pub cluster_time: Option<Timestamp>,
    /// What it says, by the contract's name: `VERIFIED` or `NOT_VERIFIED`.
    pub verdict: &'static str,
    /// What it counted, by the contract's names and in its order.
    pub counts: Vec<(&'static str, i64)>,
    /// What the archive held of each day, by days, where every byte of all of it was read.
    pub days: Vec<Day>,
}

/// What the archive held of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// The day of `date_archivage`, in UTC, as `2026-06-02`; `none` for documents without a date.
    pub day: String,
    /// How many documents.
    pub documents: i64,
    /// The digest of their bytes.
    pub digest: [u8; 32],
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

impl Entry {
    /// The record with a number, after a record with a hash; the first one comes after an empty
    /// text.
    pub fn seal(&self, sequence: i64, previous: &str) -> Record {
        let time = |time: Timestamp| json!({ "t": time.time, "i": time.increment });
        let counts = self
            .counts
            .iter()
            .map(|(name, count)| ((*name).to_owned(), json!(count)));
        let days = self.days.iter();
        let days = days.map(|it| json!([it.day, it.documents, hex::encode(it.digest)]));
        let text = json!({
            "ledger": VERSION,
            "sequence": sequence,
            "previous": previous,
            "verification": self.verification,
            "instance": self.instance,
            "database": self.database,
            "orders": self.orders,
            "archive": self.archive,
            "scope": self.scope,
            "depth": self.depth,
            "begun": rfc3339(self.begun),
            "ended": rfc3339(self.ended),
            "cluster_time": self.cluster_time.map(time),
            "verdict": self.verdict,
            "counts": counts.collect::<Map<String, Value>>(),
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

    fn entry(verification: &str) -> Entry {
        let day = |day: &str, byte| Day {
            day: day.to_owned(),
            documents: 3,
            digest: [byte; 32],
        };
        Entry {
            verification: verification.to_owned(),
            instance: "archd-1".to_owned(),
            database: "d".to_owned(),
            orders: "Commande".to_owned(),
            archive: "Historique".to_owned(),
            scope: "FULL",
            depth: "CONTENT",
            begun: DateTime::from_millis(1_767_225_600_000),
            ended: DateTime::from_millis(1_767_225_601_234),
            cluster_time: Some(Timestamp {
                time: 7,
                increment: 2,
            }),
            verdict: "VERIFIED",
            counts: vec![("delivered", 4), ("missing", 0)],
            days: vec![day("2026-06-02", 0xab), day("none", 0)],
        }
    }

    fn chain(length: i64) -> Vec<Record> {
        let mut previous = String::new();
        let sealed = |sequence| {
            let record = entry(&format!("v{sequence}")).seal(sequence, &previous);
            previous.clone_from(&record.hash);
            record
        };
        (1..=length).map(sealed).collect()
    }

    #[test]
    fn a_record_is_compact_json_in_the_order_that_is_documented() {
        let record = entry("v").seal(1, "");
        let (ab, zero) = ("ab".repeat(32), "00".repeat(32));
        let wanted = [
            r#"{"ledger":1,"sequence":1,"previous":"","verification":"v","instance":"archd-1","#,
            r#""database":"d","orders":"Commande","archive":"Historique","scope":"FULL","#,
            r#""depth":"CONTENT","begun":"2026-01-01T00:00:00.000Z","#,
            r#""ended":"2026-01-01T00:00:01.234Z","cluster_time":{"t":7,"i":2},"#,
            r#""verdict":"VERIFIED","counts":{"delivered":4,"missing":0},"#,
            &format!(r#""days":[["2026-06-02",3,"{ab}"],["none",3,"{zero}"]]}}"#),
        ];
        assert_eq!(record.text, wanted.concat());
        assert_eq!(record.hash, hash(&record.text));
        let alone = Entry {
            cluster_time: None,
            ..entry("v")
        };
        assert!(alone.seal(1, "").text.contains(r#""cluster_time":null"#));
    }

    #[test]
    fn whatever_is_done_to_a_chain_is_found() {
        let whole = chain(4);
        assert_eq!(check(&whole), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        let mut records = whole.clone();
        records[1].text = records[1].text.replace("VERIFIED", "NOT_VERIFIED");
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
        let records = [entry("v").seal(2, "")].map(|record| Record {
            sequence: 1,
            ..record
        });
        assert_eq!(check(&records), Err(Broken::Misnumbered { sequence: 1 }));
    }
}
