//! The chain of the ledger, checked from its texts alone: that each entry's hash is its record's,
//! that each record holds the hash before it, and that none is absent.

use order_archiver_api::v1::LedgerEntry;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The chain as far as it has been checked.
#[derive(Debug)]
pub(crate) struct Chain {
    entries: i64,
    /// The hash of the newest entry; empty before the first, as the first record has it.
    newest: String,
    expected: Option<String>,
    expected_in: Option<i64>,
}

/// A chain without a fault.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Intact {
    pub(crate) entries: i64,
    /// The hash of the newest entry; empty when there is none.
    pub(crate) newest: String,
    /// The entry with the hash that was expected.
    pub(crate) expected: Option<i64>,
}

/// What is wrong with a chain, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Chain {
    /// Nothing is checked yet; `expected` is a hash that one of the entries has to have, in lower
    /// case.
    pub(crate) fn new(expected: Option<String>) -> Self {
        Self {
            entries: 0,
            newest: String::new(),
            expected,
            expected_in: None,
        }
    }

    /// Checks the next entry.
    pub(crate) fn take(&mut self, entry: &LedgerEntry) -> Result<(), Broken> {
        let wanted = self.entries + 1;
        let number = entry.sequence;
        if number != wanted {
            return Err(broken(match number > wanted {
                true => format!("entry {wanted} is absent; the next one is {number}"),
                false => format!(
                    "entry {number} is there again, after entry {}",
                    self.entries
                ),
            }));
        }
        let hash = format!("{:x}", Sha256::digest(&entry.record));
        if hash != entry.hash {
            let noted = &entry.hash;
            return Err(broken(format!(
                "entry {number} has the hash {noted}, and its record has {hash}"
            )));
        }
        let record: Value = serde_json::from_str(&entry.record)
            .map_err(|fault| broken(format!("the record of entry {number} is no JSON: {fault}")))?;
        if record["sequence"].as_i64() != Some(number) {
            let told = &record["sequence"];
            return Err(broken(format!(
                "the record of entry {number} says that its number is {told}"
            )));
        }
        let previous = &record["previous"];
        if previous.as_str() != Some(&self.newest) {
            return Err(broken(match self.entries {
                0 => format!("the first entry follows another one, with the hash {previous}"),
                before => format!(
                    "entry {number} follows the hash {previous}, and entry {before} has \"{}\"",
                    self.newest
                ),
            }));
        }
        if self.expected.as_ref() == Some(&hash) {
            self.expected_in = Some(number);
        }
        self.entries = number;
        self.newest = hash;
        Ok(())
    }

    /// Says so when the whole chain is without a fault.
    pub(crate) fn end(self) -> Result<Intact, Broken> {
        match (&self.expected, self.expected_in) {
            (Some(expected), None) => Err(Broken {
                what: format!("no entry has the hash {expected}; {}", counted(&self)),
                hint: "each entry agrees with the one before, so entries were taken away, or all were written anew; \
                       or the hash is of another database"
                    .to_owned(),
            }),
            _ => Ok(Intact {
                entries: self.entries,
                newest: self.newest,
                expected: self.expected_in,
            }),
        }
    }
}

fn counted(chain: &Chain) -> String {
    match chain.entries {
        0 => "there are none".to_owned(),
        entries => format!("there are {entries}, the newest with {}", chain.newest),
    }
}

fn broken(what: String) -> Broken {
    Broken {
        what,
        hint:
            "somebody has changed the ledger; the entries before that one are as they were written"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A ledger as it has to be.
    fn ledger(entries: i64) -> Vec<LedgerEntry> {
        let mut previous = String::new();
        (1..=entries)
            .map(|sequence| {
                let entry = entry(sequence, &previous);
                previous.clone_from(&entry.hash);
                entry
            })
            .collect()
    }

    fn entry(sequence: i64, previous: &str) -> LedgerEntry {
        let record = json!({
            "ledger": 1, "sequence": sequence, "previous": previous, "verdict": "VERIFIED",
        });
        sealed(sequence, record.to_string())
    }

    fn sealed(sequence: i64, record: String) -> LedgerEntry {
        LedgerEntry {
            sequence,
            hash: format!("{:x}", Sha256::digest(&record)),
            record,
        }
    }

    fn checked(entries: &[LedgerEntry], expected: Option<&str>) -> Result<Intact, String> {
        let mut chain = Chain::new(expected.map(str::to_owned));
        for entry in entries {
            chain.take(entry).map_err(|broken| broken.what)?;
        }
        chain.end().map_err(|broken| broken.what)
    }

    #[test]
    fn the_hash_is_that_of_every_other_sha_256() {
        let record = r#"{"ledger":1,"sequence":1,"previous":"","verdict":"VERIFIED"}"#;
        let entry = LedgerEntry {
            sequence: 1,
            record: record.to_owned(),
            // printf '%s' "$record" | sha256sum
            hash: SEALED.to_owned(),
        };
        assert_eq!(checked(&[entry], None).unwrap().newest, SEALED);
    }

    const SEALED: &str = "dc057ac9c6d80a0efee230f38154b126cc64417403de577f6664546969588b84";

    #[test]
    fn a_whole_chain_is_intact_whatever_entry_was_noted() {
        let entries = ledger(3);
        let intact = checked(&entries, None).unwrap();
        assert_eq!((intact.entries, &intact.newest), (3, &entries[2].hash));
        for (index, entry) in entries.iter().enumerate() {
            let intact = checked(&entries, Some(&entry.hash)).unwrap();
            assert_eq!(intact.expected, Some(index as i64 + 1));
        }
        let nothing = checked(&[], None).unwrap();
        assert_eq!((nothing.entries, nothing.newest.as_str()), (0, ""));
    }

    #[test]
    fn each_way_to_change_it_is_named_with_its_entry() {
        let entries = ledger(4);
        let with = |change: &dyn Fn(&mut Vec<LedgerEntry>)| {
            let mut changed = entries.clone();
            change(&mut changed);
            checked(&changed, None).unwrap_err()
        };
        let edited = |entry: &mut LedgerEntry| {
            entry.record = entry.record.replace("VERIFIED", "NOT_VERIFIED");
        };
        let told = with(&|entries| edited(&mut entries[1]));
        assert!(told.starts_with("entry 2 has the hash "), "{told}");
        let told = with(&|entries| {
            edited(&mut entries[1]);
            entries[1] = sealed(2, entries[1].record.clone());
        });
        assert!(told.starts_with("entry 3 follows the hash "), "{told}");
        let told = with(&|entries| drop(entries.remove(1)));
        assert_eq!(told, "entry 2 is absent; the next one is 3");
        let told = with(&|entries| drop(entries.remove(0)));
        assert_eq!(told, "entry 1 is absent; the next one is 2");
        let told = with(&|entries| entries.insert(1, entries[0].clone()));
        assert_eq!(told, "entry 1 is there again, after entry 1");
        let told = with(&|entries| entries[0] = entry(1, &entries[3].hash.clone()));
        assert!(
            told.starts_with("the first entry follows another"),
            "{told}"
        );
        let told = with(&|entries| entries[3] = sealed(4, entries[2].record.clone()));
        assert_eq!(told, "the record of entry 4 says that its number is 3");
        let told = with(&|entries| entries[3] = sealed(4, "verified".to_owned()));
        assert!(
            told.starts_with("the record of entry 4 is no JSON"),
            "{told}"
        );
    }

    #[test]
    fn a_chain_that_was_cut_or_written_anew_has_not_the_hash_that_was_noted() {
        let entries = ledger(3);
        let noted = Some(entries[2].hash.as_str());
        let told = checked(&entries[..2], noted).unwrap_err();
        assert!(told.starts_with("no entry has the hash "), "{told}");
        assert!(told.contains("there are 2, the newest with "), "{told}");
        let told = checked(&[], noted).unwrap_err();
        assert!(told.ends_with("there are none"), "{told}");
    }
}
