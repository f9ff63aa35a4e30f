//! Putting documents together out of parts, and reading the numbers in them.

use bson::{Bson, Document, RawDocument, RawDocumentBuf};

use crate::bytes::raw::{Value, ValueRef, Writer, elements, kind};

/// A document as bytes. For documents that this server puts together, which hold nothing that BSON
/// can't.
pub(in crate::store) fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("a document of our own")
}

/// A document with one field that holds a value as it lies in the database.
pub(in crate::store) fn field(key: &str, value: ValueRef<'_>) -> RawDocumentBuf {
    let mut writer = Writer::with_capacity(value.bytes.len() + key.len() + 16);
    writer.value(key, value);
    writer.finish()
}

/// A document as a value inside another.
pub(in crate::store) fn document_value(document: &RawDocument) -> ValueRef<'_> {
    ValueRef {
        kind: kind::DOCUMENT,
        bytes: document.as_bytes(),
    }
}

/// `{ name: { $in: [values] } }`.
pub(in crate::store) fn is_any_of(name: &str, values: &[Value]) -> RawDocumentBuf {
    let mut any = Writer::default();
    any.array("$in", values.iter().map(Value::as_ref));
    let mut filter = Writer::default();
    filter.document(name, &any.finish());
    filter.finish()
}

/// One document after the other: the parts of a command that are built separately.
pub(in crate::store) fn joined(parts: &[&RawDocument]) -> RawDocumentBuf {
    let mut writer = Writer::with_capacity(parts.iter().map(|part| part.as_bytes().len()).sum());
    for element in parts.iter().flat_map(|part| elements(part.as_bytes())) {
        writer.value(element.key, element.value);
    }
    writer.finish()
}

/// A count that the database may answer as any kind of number.
pub(in crate::store) fn whole(number: Option<&Bson>) -> i64 {
    match number {
        Some(Bson::Int32(number)) => i64::from(*number),
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Double(number)) => *number as i64,
        _ => 0,
    }
}

pub(in crate::store) fn plain(row: &RawDocumentBuf) -> Option<Document> {
    Document::try_from(row.as_ref()).ok()
}

/// The documents in a list; none where there is no such list.
pub(in crate::store) fn documents<'d>(
    document: &'d Document,
    list: &str,
) -> impl Iterator<Item = &'d Document> {
    let list = document.get_array(list).ok();
    list.into_iter().flatten().filter_map(Bson::as_document)
}
