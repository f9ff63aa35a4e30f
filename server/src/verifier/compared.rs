//! What comparing some orders with some archived documents came to.

use bson::RawDocument;

use crate::{
    bytes::raw::{self, ValueRef, kind},
    domain::{
        order::NUMERO,
        text::cut,
        verify::{
            class::Class,
            compare::Found,
            counts::Counts,
            days::{Day, DocumentDigest},
            finding::Finding,
            fingerprint::fingerprint,
        },
    },
};

/// The most of a number that is kept, in bytes.
const LONGEST_NUMERO: usize = 256;

/// What comparing came to.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    /// Orders and documents that were looked at, and differences that do not fail the verdict.
    pub(super) counts: Counts,
    /// See [`crate::domain::verify::progress::Progress::unplaced`].
    pub(super) unplaced: i64,
    /// See [`crate::domain::verify::progress::Progress::by_number`].
    pub(super) by_number: i64,
    /// What was found, in no order.
    pub(super) findings: Vec<Finding>,
    /// The archived documents, in the order of their `_id`s.
    pub(super) documents: Vec<(Day, DocumentDigest)>,
}

impl Compared {
    /// Takes in what another comparison came to.
    pub(super) fn absorb(&mut self, other: Compared) {
        self.counts += other.counts;
        self.unplaced += other.unplaced;
        self.by_number += other.by_number;
        self.findings.extend(other.findings);
        self.documents.extend(other.documents);
    }
}

/// The two sides of a difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides<'d> {
    /// The live order, and whether it is a delivered one.
    pub(super) order: Option<(&'d RawDocument, bool)>,
    /// The archived document.
    pub(super) archived: Option<&'d RawDocument>,
}

impl Sides<'_> {
    /// The difference between them. `whole` says whether all of both was read.
    pub(super) fn finding(self, found: Found, whole: bool) -> Finding {
        let order = self.order.map(|(order, _)| order);
        let id = |document: &RawDocument| raw::find(document, "_id").map(ValueRef::to_owned);
        let numbered = self.archived.or(order);
        let numero = numbered.and_then(number).and_then(ValueRef::as_str);
        Finding {
            class: found.class,
            order_id: order.and_then(id),
            archive_id: self.archived.and_then(id),
            delivered: self.order.is_some_and(|(_, delivered)| delivered),
            numero: cut(numero.unwrap_or_default(), LONGEST_NUMERO),
            fields: found.fields,
            detail: found.detail,
            fingerprint: match whole {
                true => fingerprint(found.class, order, self.archived),
                false => String::new(),
            },
        }
    }
}

/// The number of an order or of an archived document, if it is a usable one.
pub(super) fn number(document: &RawDocument) -> Option<ValueRef<'_>> {
    raw::find(document, NUMERO)
        .filter(|number| number.kind == kind::STRING && !number.bytes.starts_with(&[1, 0, 0, 0]))
}

/// The `_id` of a document, which the database gives to each.
pub(super) fn id_of(document: &RawDocument) -> ValueRef<'_> {
    raw::find(document, "_id").unwrap_or(ValueRef::NULL)
}

/// What there is to say of a class that needs no comparison.
pub(super) fn plain(class: Class) -> Found {
    let detail = match class {
        Class::Missing => "delivered, and neither in the archive nor in quarantine",
        Class::Doubled => "one archived document too many for one number or one order",
        Class::Orphaned => "no live order has its `_id` or its number",
        Class::Quarantined => "in quarantine, where the reason stands",
        Class::NamesChanged => "the names are not those of today's references",
        _ => "",
    };
    Found {
        class,
        fields: Vec::new(),
        detail: detail.to_owned(),
    }
}
