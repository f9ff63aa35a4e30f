//! Near misses: statuses that look like the delivered one and are not.

use std::{
    collections::{BTreeMap, HashSet, btree_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
};

use bson::Bson;
use unicode_normalization::UnicodeNormalization;

use super::{
    near_miss_kind::Kind,
    text::{cut, escaped},
};

/// How many orders stand in for all those that share a near miss.
pub const EXAMPLES: usize = 3;
/// How many statuses are told at most; those beyond are counted.
pub(crate) const MOST_TOLD: usize = 1_000;
/// How many of those beyond are told apart: so many hashes take a few megabytes.
const MOST_TOLD_APART: usize = 100_000;
/// The most that is told of a status, in bytes.
pub(crate) const LONGEST_STATUS: usize = 256;
/// The most that is told of a number, in bytes.
pub(crate) const LONGEST_EXAMPLE: usize = 64;
/// The longest command that mends a near miss, in bytes; a longer one is not told.
pub(crate) const LONGEST_MEND: usize = 1_024;

/// A status that looks like the delivered one and is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NearMiss {
    /// The status, as Extended JSON.
    pub status: String,
    /// In which way it differs; none where an archd of before has found it.
    pub kind: Option<Kind>,
    /// The same in words, with the code points at fault.
    pub difference: String,
    /// The command for the shell that makes the status the delivered one. Empty where the status is
    /// too long to be quoted.
    pub mend: String,
    /// How many orders have it.
    pub orders: i64,
    /// Numbers of some of them.
    pub examples: Vec<String>,
}

impl NearMiss {
    /// The status with whatever can't be seen as escapes.
    pub fn escaped(&self) -> String {
        cut(&escaped(&self.status), 2 * LONGEST_STATUS)
    }
}

/// Near misses, each status once: a thousand of them, and how many there are beyond.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NearMisses {
    told: BTreeMap<String, NearMiss>,
    /// Hashes of the statuses beyond.
    beyond: HashSet<u64>,
    orders_beyond: i64,
}

/// What there is beyond the near misses that are told. Both are the least that there are: a hundred
/// thousand statuses are told apart, and where two looks met them, the orders of the one that met
/// more count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// How many statuses.
    pub statuses: i64,
    /// How many orders have them.
    pub orders: i64,
}

impl NearMisses {
    /// Adds orders that have a status.
    pub fn add(&mut self, mut seen: NearMiss) {
        seen.status = cut(&seen.status, LONGEST_STATUS);
        let room = self.told.len() < MOST_TOLD;
        let miss = match self.told.entry(seen.status) {
            Entry::Vacant(entry) if !room => {
                if self.beyond.len() < MOST_TOLD_APART {
                    self.beyond.insert(hash_of(entry.key()));
                }
                self.orders_beyond += seen.orders;
                return;
            }
            Entry::Vacant(entry) => {
                let status = entry.key().clone();
                entry.insert(NearMiss {
                    status,
                    kind: seen.kind,
                    difference: seen.difference,
                    mend: seen.mend,
                    orders: 0,
                    examples: Vec::new(),
                })
            }
            Entry::Occupied(entry) => entry.into_mut(),
        };
        miss.orders += seen.orders;
        let wanted = EXAMPLES.saturating_sub(miss.examples.len());
        let examples = seen.examples.iter().take(wanted);
        miss.examples
            .extend(examples.map(|example| cut(example, LONGEST_EXAMPLE)));
    }

    /// Adds what others have seen of other orders.
    pub(crate) fn absorb(&mut self, others: NearMisses) {
        self.absorb_beyond(&others.beyond);
        self.orders_beyond += others.orders_beyond;
        self.extend(others.told.into_values());
    }

    /// Takes in what somebody else has seen, who may have seen the same orders.
    pub(crate) fn unite(&mut self, other: NearMisses) {
        self.absorb_beyond(&other.beyond);
        self.orders_beyond = self.orders_beyond.max(other.orders_beyond);
        for (status, seen) in other.told {
            match self.told.get_mut(&status) {
                Some(known) if known.orders < seen.orders => *known = seen,
                Some(_) => {}
                // Whoever has seen all of these orders has counted it beyond.
                None if self.beyond.contains(&hash_of(&status)) => {}
                None => self.add(seen),
            }
        }
    }

    /// How many orders have one of these statuses.
    pub fn orders(&self) -> i64 {
        let told = self.told.values().map(|miss| miss.orders).sum::<i64>();
        told + self.orders_beyond
    }

    /// What there is beyond those that are told.
    pub fn beyond(&self) -> Beyond {
        Beyond {
            statuses: i64::try_from(self.beyond.len()).unwrap_or(i64::MAX),
            orders: self.orders_beyond,
        }
    }

    /// The near misses that are told, by status.
    pub(crate) fn into_vec(self) -> Vec<NearMiss> {
        self.told.into_values().collect()
    }

    fn absorb_beyond(&mut self, hashes: &HashSet<u64>) {
        if hashes.is_empty() {
            return;
        }
        let told: HashSet<u64> = self.told.keys().map(|status| hash_of(status)).collect();
        let room = MOST_TOLD_APART.saturating_sub(self.beyond.len());
        self.beyond.extend(hashes.difference(&told).take(room));
    }
}

impl Extend<NearMiss> for NearMisses {
    fn extend<I: IntoIterator<Item = NearMiss>>(&mut self, seen: I) {
        seen.into_iter().for_each(|miss| self.add(miss));
    }
}

fn hash_of(status: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    status.hash(&mut hasher);
    hasher.finish()
}

/// Whether a person would read this status as the delivered one although it is not exactly that:
/// other accents, other case, blanks or invisible characters in it, or the delivered status inside
/// a list or an object.
pub(crate) fn is_near_miss(status: &Bson, delivered: &str) -> bool {
    status.as_str() != Some(delivered) && resembles(status, &skeleton(delivered))
}

fn resembles(status: &Bson, wanted: &str) -> bool {
    match status {
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => {
            skeleton(text) == wanted
        }
        Bson::Array(members) => members.iter().any(|member| resembles(member, wanted)),
        Bson::Document(fields) => fields.values().any(|value| resembles(value, wanted)),
        _ => false,
    }
}

/// What is left of a text without accents, case and anything that is not a letter or digit.
fn skeleton(text: &str) -> String {
    text.nfkd()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn what_looks_delivered_is_a_near_miss() {
        let near: &[Bson] = &[
            "livre\u{301}e".into(),
            "Livrée".into(),
            "LIVRÉE".into(),
            " livrée".into(),
            "livrée ".into(),
            "livree".into(),
            "livrée\u{200b}".into(),
            "livrée\n".into(),
            vec!["livrée"].into(),
            doc! { "v": "livrée" }.into(),
            Bson::Symbol("livrée".into()),
        ];
        for status in near {
            assert!(is_near_miss(status, "livrée"), "{status:?}");
        }
    }

    #[test]
    fn orders_of_one_status_add_up_and_those_seen_twice_count_once() {
        let seen = |status: &str, orders, numero: &str| NearMiss {
            status: status.to_owned(),
            orders,
            examples: vec![numero.to_owned()],
            ..NearMiss::default()
        };
        let mut misses = NearMisses::default();
        misses.extend([seen("a", 1, "1"), seen("b", 1, "2"), seen("a", 3, "3")]);
        misses.extend([seen("a", 1, "4"), seen("a", 1, "5")]);
        let mut others = NearMisses::default();
        others.extend([seen("a", 6, "6"), seen("b", 2, "7"), seen("c", 1, "8")]);
        misses.unite(others);
        let misses = misses.into_vec();
        let counts = misses
            .iter()
            .map(|miss| (miss.status.as_str(), miss.orders));
        assert_eq!(counts.collect::<Vec<_>>(), [("a", 6), ("b", 2), ("c", 1)]);
        assert_eq!(misses[0].examples, ["1", "3", "4"]);
        assert_eq!(misses[1].examples, ["7"]);
    }

    #[test]
    fn a_thousand_statuses_are_told_cut_to_size_and_the_rest_is_counted() {
        let seen = |status: String| NearMiss {
            status,
            orders: 2,
            examples: vec!["n".repeat(5_000); 5],
            ..NearMiss::default()
        };
        let long = |number: usize| seen(format!("{number:05}{}", "s".repeat(5_000)));
        let mut misses = NearMisses::default();
        misses.extend((0..2_500).map(long));
        misses.extend((0..2_500).map(long));
        let beyond = Beyond {
            statuses: 1_500,
            orders: 6_000,
        };
        assert_eq!(misses.beyond(), beyond);
        let told = misses.clone().into_vec();
        assert_eq!(told.len(), MOST_TOLD);
        assert!(told.iter().all(|miss| miss.orders == 4));
        assert!(told.iter().all(|miss| miss.status.len() <= LONGEST_STATUS));
        assert!(told.iter().all(|miss| miss.examples.len() == EXAMPLES));
        let examples = || told.iter().flat_map(|miss| &miss.examples);
        assert!(examples().all(|example| example.len() <= LONGEST_EXAMPLE));

        // Seen by somebody else too: nothing counts twice.
        let mut united = misses.clone();
        united.unite(misses.clone());
        assert_eq!(united, misses);
        // In another order, so that others are told: each is told or beyond, and not both.
        let mut reversed = NearMisses::default();
        reversed.extend((0..2_500).rev().map(long));
        united.unite(reversed);
        assert_eq!(united.beyond(), misses.beyond());
        let mut absorbed = misses.clone();
        absorbed.absorb(misses);
        assert_eq!(absorbed.beyond().statuses, 1_500);
        assert_eq!(absorbed.beyond().orders, 12_000);
    }

    #[test]
    fn other_statuses_are_not() {
        let far: &[Bson] = &[
            "livrée".into(),
            "en_cours".into(),
            "annulée".into(),
            "non livrée".into(),
            "".into(),
            Bson::Null,
            1.into(),
            doc! {}.into(),
        ];
        for status in far {
            assert!(!is_near_miss(status, "livrée"), "{status:?}");
        }
    }
}
