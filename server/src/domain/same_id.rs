//! Whether two `_id`s are one by themselves, or only to the collation of a collection.

use crate::bytes::raw::{ValueRef, kind};

/// Whether two `_id`s that a collection takes for equal would be equal in any other. To the
/// database 1 is 1.0 and a symbol its text, everywhere; but only a collation takes `a` for `A`.
pub(crate) fn is_same_id(one: ValueRef<'_>, other: ValueRef<'_>) -> bool {
    match (text(one), text(other)) {
        (Some(one), Some(other)) => return one == other,
        (None, None) => {}
        _ => return false,
    }
    let members = one.elements().zip(other.elements());
    let mut pairs = members.map(|(one, other)| (one.value, other.value));
    pairs.all(|(one, other)| is_same_id(one, other))
}

/// The bytes of a text. A collation compares strings and symbols; whatever else holds text is
/// compared byte by byte anyway.
fn text(value: ValueRef<'_>) -> Option<&[u8]> {
    matches!(value.kind, kind::STRING | kind::SYMBOL).then_some(value.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::raw;
    use bson::{Bson, RawDocumentBuf, doc, oid::ObjectId};

    fn same(one: impl Into<Bson>, other: impl Into<Bson>) -> bool {
        let wrapped = |value: Bson| RawDocumentBuf::try_from(&doc! { "v": value }).unwrap();
        let (one, other) = (wrapped(one.into()), wrapped(other.into()));
        let value = |document| raw::find(document, "v").unwrap();
        is_same_id(value(&one), value(&other))
    }

    #[test]
    fn numbers_and_symbols_are_the_same_whatever_their_type_and_texts_only_byte_by_byte() {
        let id = ObjectId::new();
        assert!(same(1, 1.0) && same(1, 1_i64) && same(id, id));
        assert!(same("a", "a") && same("a", Bson::Symbol("a".into())));
        assert!(same(doc! { "n": 1, "s": "a" }, doc! { "n": 1.0, "s": "a" }));
        for (one, other) in [("a", "A"), ("é", "e"), ("é", "e\u{301}"), ("œ", "oe")] {
            assert!(!same(one, other), "{one} {other}");
            assert!(!same(
                doc! { "n": 1, "s": one },
                doc! { "n": 1, "s": other }
            ));
            assert!(!same(doc! { "d": [1, one] }, doc! { "d": [1, other] }));
        }
    }
}
