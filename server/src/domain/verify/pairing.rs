//! Pairing: which of some archived documents has the `_id` of which order.

use std::collections::HashMap;

use super::id_key::IdKey;
use crate::bytes::raw::ValueRef;

/// Orders and archived documents, by their places in the lists that were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs {
    /// Those that have one `_id`: the order, then the document.
    pub pairs: Vec<(usize, usize)>,
    /// Orders without a document.
    pub orders: Vec<usize>,
    /// Documents without an order.
    pub archived: Vec<usize>,
}

/// How far a document is looked for from where the one before was found.
const NEAR: usize = 8;

/// Pairs orders with documents by their `_id`s, each of which stands once in its list. Quick where
/// both lists have one order.
pub fn pair(orders: &[ValueRef<'_>], archived: &[ValueRef<'_>]) -> Pairs {
    let mut found = Pairs {
        pairs: Vec::with_capacity(orders.len().min(archived.len())),
        ..Pairs::default()
    };
    let mut next = 0;
    for (order, id) in orders.iter().enumerate() {
        let near = archived[next..].iter().take(NEAR);
        match near.enumerate().find(|(_, other)| *other == id) {
            Some((passed, _)) => {
                found.archived.extend(next..next + passed);
                found.pairs.push((order, next + passed));
                next += passed + 1;
            }
            None => found.orders.push(order),
        }
    }
    found.archived.extend(next..archived.len());
    if !found.orders.is_empty() && !found.archived.is_empty() {
        pair_by_bytes(orders, archived, &mut found);
    }
    if !found.orders.is_empty() && !found.archived.is_empty() {
        pair_by_value(orders, archived, &mut found);
    }
    found
}

/// Pairs what is left, in whatever order it is.
fn pair_by_bytes(orders: &[ValueRef<'_>], archived: &[ValueRef<'_>], found: &mut Pairs) {
    let left = found.archived.iter();
    let mut by_bytes: HashMap<ValueRef<'_>, usize> = left.map(|at| (archived[*at], *at)).collect();
    let pairs = &mut found.pairs;
    found.orders.retain(|order| {
        let document = by_bytes.remove(&orders[*order]);
        pairs.extend(document.map(|document| (*order, document)));
        document.is_none()
    });
    found.archived = by_bytes.into_values().collect();
    found.archived.sort_unstable();
}

/// Pairs what is left, whose `_id`s may be one to the database and have other bytes.
fn pair_by_value(orders: &[ValueRef<'_>], archived: &[ValueRef<'_>], found: &mut Pairs) {
    let left = found.archived.iter();
    let mut by_key: HashMap<IdKey, usize> =
        left.map(|at| (IdKey::of(archived[*at]), *at)).collect();
    let pairs = &mut found.pairs;
    found.orders.retain(|order| {
        let document = by_key.remove(&IdKey::of(orders[*order]));
        pairs.extend(document.map(|document| (*order, document)));
        document.is_none()
    });
    found.archived = by_key.into_values().collect();
    found.archived.sort_unstable();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::raw;
    use bson::{Bson, RawDocumentBuf, doc};

    #[test]
    fn what_the_database_takes_for_one_is_a_pair_and_the_rest_is_left() {
        let wrapped = |ids: Vec<Bson>| -> Vec<RawDocumentBuf> {
            let ids = ids.into_iter();
            ids.map(|id| RawDocumentBuf::try_from(&doc! { "_id": id }).unwrap())
                .collect()
        };
        let orders = wrapped(vec![1.into(), "a".into(), 2.into(), "c".into()]);
        let archived = wrapped(vec!["b".into(), 2.0.into(), 1.into(), 3.into()]);
        let ids = |documents: &'_ [RawDocumentBuf]| -> Vec<raw::Value> {
            let ids = documents.iter().filter_map(|it| raw::find(it, "_id"));
            ids.map(ValueRef::to_owned).collect()
        };
        let (orders, archived) = (ids(&orders), ids(&archived));
        let orders: Vec<ValueRef<'_>> = orders.iter().map(raw::Value::as_ref).collect();
        let archived: Vec<ValueRef<'_>> = archived.iter().map(raw::Value::as_ref).collect();
        assert_eq!(
            pair(&orders, &archived),
            Pairs {
                pairs: vec![(0, 2), (2, 1)],
                orders: vec![1, 3],
                archived: vec![0, 3],
            }
        );
        assert_eq!(pair(&[], &[]), Pairs::default());
        let empty = Pairs {
            orders: vec![0, 1, 2, 3],
            ..Pairs::default()
        };
        assert_eq!(pair(&orders, &[]), empty);
        // Far from each other, and with others in between.
        let many: Vec<Bson> = (10..60).map(Bson::from).collect();
        let many = ids(&wrapped(many));
        let many: Vec<ValueRef<'_>> = many.iter().map(raw::Value::as_ref).collect();
        for apart in [1, 2, 7, 8, 9, 30] {
            let some: Vec<ValueRef<'_>> = many.iter().copied().step_by(apart).collect();
            for (one, other) in [(&many, &some), (&some, &many)] {
                let found = pair(one, other);
                assert_eq!(found.pairs.len(), some.len(), "{apart}");
                assert!(found.pairs.iter().all(|(a, b)| one[*a] == other[*b]));
                let left = found.orders.len() + found.archived.len();
                assert_eq!(left, many.len() - some.len(), "{apart}");
            }
        }
    }
}
