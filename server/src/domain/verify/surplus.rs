//! Surplus: which of several archived documents with one number is one too many.

/// Of the archived documents with one number, in the order of their `_id`s, those that are one too
/// many. `is_its` says of each whether it belongs by its `_id` to a live order with that number:
/// the first of these stays, or else the first of all.
pub fn surplus<T>(documents: Vec<T>, is_its: impl Fn(&T) -> bool) -> Vec<T> {
    let keeper = documents.iter().position(is_its).unwrap_or(0);
    let documents = documents.into_iter().enumerate();
    let others = documents.filter(|(at, _)| *at != keeper);
    others.map(|(_, document)| document).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_of_the_order_itself_is_never_the_surplus_one() {
        for (documents, its, expected) in [
            (vec![1, 2, 3], vec![2], vec![1, 3]),
            (vec![1, 2, 3], vec![2, 3], vec![1, 3]),
            (vec![1, 2], vec![], vec![2]),
            (vec![1], vec![], vec![]),
            (vec![], vec![], vec![]),
        ] {
            assert_eq!(surplus(documents, |one| its.contains(one)), expected);
        }
    }
}
