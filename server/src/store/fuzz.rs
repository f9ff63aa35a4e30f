//! Reads bytes as each of the documents of archd's own; see `crate::fuzz`.

use bson::RawDocument;

use super::{
    acknowledgements::record::ACKNOWLEDGEMENT,
    archive::build_lease::BUILD,
    audit::record::CALL,
    batches::record::{BATCH, Batch},
    counters::record::COUNTER,
    differences::record::DIFFERENCE,
    instances::INSTANCE,
    jobs::Job,
    ledger::record::LEDGER,
    quarantine::{bytes::PART_OF_BYTES, record::ENTRY},
    replaced::record::REPLACED,
    state::format::{self, Field},
    verifications::record::{Verification, WHOLE_VERIFICATION},
    verify::progress,
    watch::{identity::IDENTITY, record::WATCHER},
};

/// The tables of the fields that are read.
const TABLES: [&[Field]; 14] = [
    ACKNOWLEDGEMENT,
    CALL,
    BUILD,
    Batch::KIND.fields,
    COUNTER,
    DIFFERENCE,
    INSTANCE,
    LEDGER,
    PART_OF_BYTES,
    ENTRY,
    REPLACED,
    Verification::KIND.fields,
    IDENTITY,
    WATCHER,
];

/// Reads a document as each of them.
pub(crate) fn own_document(document: &RawDocument) {
    for fields in TABLES {
        match format::read("archd_own", fields, document) {
            Ok(read) => assert!(read.len() <= fields.len(), "{read}"),
            Err(fault) => assert_eq!(fault.to_string().lines().count(), 1, "{fault}"),
        }
    }
    for whole in [BATCH, WHOLE_VERIFICATION] {
        let _ = format::check("archd_own", whole, document);
    }
    let read = progress::of_document(document);
    assert_eq!(progress::of_document(&progress::to_document(&read)), read);
}
