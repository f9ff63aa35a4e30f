//! Refusals: which of the archive's refusals lie with a document, which may, and which with the
//! archive itself.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bson::Document;

use crate::{
    domain::judge::{Reason, Refusal},
    store::Error,
};

/// Codes by which the database complains of the one document that it says them of, and would again.
pub(in crate::store) const OF_THE_DOCUMENT: [i32; 17] = [
    2,     // BadValue: an `_id` that is a list, or stands twice
    15,    // Overflow: too deep
    16,    // InvalidLength
    22,    // InvalidBSON
    52,    // DollarPrefixedFieldName
    53,    // InvalidIdField
    55,    // InvalidDBRef
    56,    // EmptyFieldName
    57,    // DottedFieldName
    61,    // ShardKeyNotFound
    121,   // DocumentValidationFailure
    171,   // CannotIndexParallelArrays
    357,   // InvalidBSONType
    378,   // NonConformantBSON
    10334, // BSONObjectTooLarge
    11000, // DuplicateKey, in an index of somebody else
    17280, // KeyTooLong
];

/// How many documents in a row may be taken for bad because of a code that nobody knows, while the
/// archive takes no other.
const MOST_IN_A_ROW: usize = 10;

/// Whether the database complains of a document itself with this code.
pub(super) fn is_of_the_document(code: i32) -> bool {
    OF_THE_DOCUMENT.contains(&code)
}

/// How many documents in a row the archive has refused with codes that nobody knows.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Refusals(Arc<AtomicUsize>);

impl Refusals {
    /// Notes so many more, and whether they may be laid on the documents: where some others were
    /// `taken`, or while they are few. Else the fault is the archive's, and every order would end
    /// in quarantine for it.
    pub(super) fn lie_with_documents(&self, refused: usize, taken: bool) -> bool {
        if taken {
            self.0.store(0, Ordering::Relaxed);
            return true;
        }
        self.0.fetch_add(refused, Ordering::Relaxed) + refused <= MOST_IN_A_ROW
    }
}

/// A document that was refused with a code that nobody knows.
pub(in crate::store) struct Strange {
    /// Its place among the documents of the call.
    pub(in crate::store) index: usize,
    /// The database's number for the reason.
    pub(in crate::store) code: i32,
    /// The database's name for the reason.
    pub(in crate::store) name: String,
}

impl Strange {
    /// The document's fault, if it is its own.
    pub(in crate::store) fn refusal(&self) -> Refusal {
        refused_by_database(self.code, &self.name)
    }

    /// The archive's fault, if it takes no document at all.
    pub(in crate::store) fn fault(&self) -> Error {
        let Strange { code, name, .. } = self;
        Error::Unavailable(format!("the archive refuses documents: {name} ({code})"))
    }
}

/// The fault of a document that the database refuses with this code.
pub(super) fn refused_by_database(code: i32, name: &str) -> Refusal {
    Refusal {
        reason: Reason::Refused,
        detail: format!(
            "the database refuses the archived document: {name} ({code}); look for a validator of the archive, or a nesting too deep"
        ),
    }
}

/// The fault of a document that somebody else's unique index refuses: for what it has in these
/// keys.
pub(super) fn refused_by_index(key: &Document) -> Refusal {
    Refusal {
        reason: Reason::Refused,
        detail: format!(
            "the database refuses the archived document: DuplicateKey (11000) in the unique index on {key} of the archive, where another order has the same values; drop that index (`archd check` names it), then retry"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_documents_may_be_at_fault_for_an_unknown_reason_but_not_all_of_them() {
        let refusals = Refusals::default();
        assert!(refusals.lie_with_documents(1, false));
        assert!(refusals.lie_with_documents(MOST_IN_A_ROW - 1, false));
        assert!(!refusals.lie_with_documents(1, false));
        assert!(!refusals.lie_with_documents(1, false));
        assert!(
            refusals.lie_with_documents(500, true),
            "beside others that were taken"
        );
        assert!(!refusals.lie_with_documents(MOST_IN_A_ROW + 1, false));
    }
}
