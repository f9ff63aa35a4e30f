//! The counts of a verification, as the database keeps them.

use bson::Document;

use crate::{
    domain::verify::{class::Class, counts::Counts},
    store::{
        encoding::document::whole,
        state::format::{Field, Is, may},
    },
};

/// The fields of counts: those of classes by the names of these.
pub(super) const COUNTS: &[Field] = &[
    may("delivered", Is::Whole),
    may("verified", Is::Whole),
    may("archived", Is::Whole),
    may("acknowledged", Is::Whole),
    may("missing", Is::Whole),
    may("altered", Is::Whole),
    may("doubled", Is::Whole),
    may("damaged", Is::Whole),
    may("amended", Is::Whole),
    may("orphaned", Is::Whole),
    may("not_rebuildable", Is::Whole),
    may("quarantined", Is::Whole),
    may("near_miss", Is::Whole),
    may("names_changed", Is::Whole),
];

/// The counts as a document.
pub(super) fn to_document(counts: &Counts) -> Document {
    let whole = [
        ("delivered", counts.delivered),
        ("verified", counts.verified),
        ("archived", counts.archived),
        ("acknowledged", counts.acknowledged),
    ];
    let classes = Class::ALL.map(|class| (class.name(), counts.of(class)));
    let all = whole.into_iter().chain(classes);
    all.map(|(name, count)| (name.to_owned(), count.into()))
        .collect()
}

/// Reads the counts from a document.
pub(super) fn from_document(document: &Document) -> Counts {
    let number = |field| whole(document.get(field));
    Counts {
        delivered: number("delivered"),
        verified: number("verified"),
        archived: number("archived"),
        acknowledged: number("acknowledged"),
        by_class: Class::ALL.map(|class| number(class.name())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_kept_under_a_field_that_is_checked() {
        let mut counts = Counts {
            delivered: 100,
            verified: 101,
            archived: 102,
            acknowledged: 103,
            ..Counts::default()
        };
        for class in Class::ALL {
            *counts.of_mut(class) = i64::from(class.rank()) + 1;
        }
        let document = to_document(&counts);
        assert_eq!(from_document(&document), counts);
        let mut kept: Vec<&str> = document.keys().map(String::as_str).collect();
        let mut checked: Vec<&str> = COUNTS.iter().map(Field::name).collect();
        kept.sort_unstable();
        checked.sort_unstable();
        assert_eq!(kept, checked);
    }
}
