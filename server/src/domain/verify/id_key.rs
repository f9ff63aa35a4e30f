//! When two `_id`s are one to the database, whatever their types: in a form in which equal ones
//! have equal bytes.

use crate::bytes::{
    join_key::JoinKey,
    raw::{ValueRef, kind},
};

/// An `_id` as the database compares it: 1 is 1.0 and a symbol its text, in documents too. No
/// collation is followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IdKey {
    /// A number, a text or an ObjectId.
    Scalar(Scalar),
    /// A document or a list: its names and what they hold.
    Members(bool, Vec<(Box<[u8]>, IdKey)>),
    /// Anything else, by its type and bytes.
    Other(u8, Box<[u8]>),
}

/// A value that has a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scalar(JoinKey);

impl IdKey {
    /// The key of an `_id`.
    pub fn of(value: ValueRef<'_>) -> IdKey {
        let text = match value.kind {
            kind::SYMBOL => ValueRef {
                kind: kind::STRING,
                ..value
            },
            _ => value,
        };
        if let Some(key) = JoinKey::of(text) {
            return IdKey::Scalar(Scalar(key));
        }
        match value.kind {
            kind::DOCUMENT | kind::ARRAY => {
                let members = value.elements();
                let members = members.map(|member| (member.key.into(), IdKey::of(member.value)));
                IdKey::Members(value.kind == kind::ARRAY, members.collect())
            }
            kind => IdKey::Other(kind, value.bytes.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::raw;
    use bson::{Bson, RawDocumentBuf, doc};

    fn key(value: impl Into<Bson>) -> IdKey {
        let wrapped = RawDocumentBuf::try_from(&doc! { "v": value.into() }).unwrap();
        IdKey::of(raw::find(&wrapped, "v").unwrap())
    }

    #[test]
    fn what_the_database_takes_for_one_id_has_one_key() {
        for (one, other) in [
            (Bson::from(1), Bson::from(1.0)),
            (
                1_i64.into(),
                "1.0".parse::<bson::Decimal128>().unwrap().into(),
            ),
            ("a".into(), Bson::Symbol("a".into())),
            (doc! { "n": 1 }.into(), doc! { "n": 1.0 }.into()),
            (Bson::Null, Bson::Null),
        ] {
            assert_eq!(key(one.clone()), key(other.clone()), "{one} {other}");
        }
        for (one, other) in [
            (Bson::from(1), Bson::from("1")),
            (1.into(), true.into()),
            ("a".into(), "A".into()),
            (doc! { "n": 1 }.into(), doc! { "m": 1 }.into()),
            (doc! { "n": 1 }.into(), doc! { "n": 1, "m": 1 }.into()),
            (doc! {}.into(), Bson::Null),
            (Bson::MinKey, Bson::MaxKey),
        ] {
            assert_ne!(key(one.clone()), key(other.clone()), "{one} {other}");
        }
    }
}
