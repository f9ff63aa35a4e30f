//! Findings: what a pass notes of one difference.

use sha2::{Digest, Sha256};

use super::class::Class;
use crate::bytes::raw::Value;

/// A difference between the orders and the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub class: Class,
    /// The `_id` of the live order; none where there is none.
    pub order_id: Option<Value>,
    /// The `_id` of the archived document; none where there is none.
    pub archive_id: Option<Value>,
    /// Whether the live order is a delivered one.
    pub delivered: bool,
    /// The number, of the archived document where there is one; empty when it is no text.
    pub numero: String,
    /// Which fields differ, by their names.
    pub fields: Vec<String>,
    /// What is amiss, for people.
    pub detail: String,
    /// See [`super::fingerprint`]; empty where only `_id`s were read.
    pub fingerprint: String,
}

impl Finding {
    /// What names the difference, whatever class it turns out to have.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        for id in [&self.order_id, &self.archive_id] {
            match id {
                None => hash.update([0]),
                Some(id) => {
                    hash.update([1, id.kind]);
                    hash.update((id.bytes.len() as u64).to_le_bytes());
                    hash.update(&id.bytes);
                }
            }
        }
        hex::encode(&hash.finalize()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_by_its_two_sides_and_not_by_its_class() {
        let of = |class, order: Option<&str>, archived: Option<&str>| Finding {
            class,
            order_id: order.map(Value::string),
            archive_id: archived.map(Value::string),
            delivered: false,
            numero: String::new(),
            fields: Vec::new(),
            detail: String::new(),
            fingerprint: String::new(),
        };
        let key = of(Class::Altered, Some("a"), Some("b")).key();
        assert_eq!(key, of(Class::Amended, Some("a"), Some("b")).key());
        for (order, archived) in [(Some("b"), Some("a")), (Some("a"), None), (None, Some("a"))] {
            assert_ne!(key, of(Class::Altered, order, archived).key());
        }
    }
}
