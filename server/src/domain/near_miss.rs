//! Near misses: statuses that look like the delivered one and are not.

use std::collections::BTreeMap;

use bson::Bson;
use unicode_normalization::UnicodeNormalization;

/// How many orders stand in for all those that share a near miss.
pub const EXAMPLES: usize = 3;

/// A status that looks like the delivered one and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The status, as Extended JSON.
    pub status: String,
    /// How many orders have it.
    pub orders: i64,
    /// Numbers of some of them.
    pub examples: Vec<String>,
}

/// Near misses, each status once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NearMisses(BTreeMap<String, NearMiss>);

impl NearMisses {
    /// Adds orders that have a status.
    pub fn add(&mut self, seen: NearMiss) {
        let miss = self.0.entry(seen.status.clone()).or_insert(NearMiss {
            orders: 0,
            examples: Vec::new(),
            ..seen
        });
        miss.orders += seen.orders;
        miss.examples.extend(seen.examples);
        miss.examples.truncate(EXAMPLES);
    }

    /// Takes in what somebody else has seen, who may have seen the same orders.
    pub fn unite(&mut self, other: NearMisses) {
        for (status, seen) in other.0 {
            let known = self.0.get(&status);
            if known.is_none_or(|known| known.orders < seen.orders) {
                self.0.insert(status, seen);
            }
        }
    }

    /// The near misses, by status.
    pub fn into_vec(self) -> Vec<NearMiss> {
        self.0.into_values().collect()
    }
}

impl Extend<NearMiss> for NearMisses {
    fn extend<I: IntoIterator<Item = NearMiss>>(&mut self, seen: I) {
        seen.into_iter().for_each(|miss| self.add(miss));
    }
}

/// Whether a person would read this status as the delivered one although it is not exactly that: other accents, other case,
/// blanks or invisible characters in it, or the delivered status inside a list or an object.
pub fn is_near_miss(status: &Bson, delivered: &str) -> bool {
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
