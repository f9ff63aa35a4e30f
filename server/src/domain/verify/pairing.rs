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

/// Pairs orders with documents by their `_id`s, each of which stands once in its list.
pub fn pair(orders: &[ValueRef<'_>], archived: &[ValueRef<'_>]) -> Pairs {
    let mut found = Pairs::default();
    let mut by_bytes: HashMap<ValueRef<'_>, usize> = HashMap::with_capacity(archived.len());
    by_bytes.extend(archived.iter().enumerate().map(|(at, id)| (*id, at)));
    let mut is_paired = vec![false; archived.len()];
    for (order, id) in orders.iter().enumerate() {
        match by_bytes.get(id) {
            Some(document) => {
                is_paired[*document] = true;
                found.pairs.push((order, *document));
            }
            None => found.orders.push(order),
        }
    }
    let left = is_paired.iter().enumerate().filter(|(_, paired)| !**paired);
    found.archived = left.map(|(document, _)| document).collect();
    if !found.orders.is_empty() && !found.archived.is_empty() {
        pair_by_value(orders, archived, &mut found);
    }
    found
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
    }
}
