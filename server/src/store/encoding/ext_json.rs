//! Documents as MongoDB Extended JSON, for people and for callers without BSON.

use bson::{Bson, Document, RawDocument, RawDocumentBuf};

use crate::{
    bytes::raw::{Element, Elements, Value, ValueRef, Writer, elements, kind},
    domain::text::cut,
};

/// The two forms of Extended JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Every type survives.
    Canonical,
    /// Numbers and the dates of years 1970 to 9999 are as people write them, and their types are
    /// lost.
    Relaxed,
}

/// What is shown of a value that can't be read.
const UNREADABLE: &str = "(unreadable)";

/// A document as Extended JSON. Bytes that are not UTF-8 are shown as U+FFFD.
pub fn text(document: &RawDocument, form: Form) -> String {
    let decoded = Document::try_from(document)
        .or_else(|_| Document::try_from(readable(elements(document.as_bytes())).as_ref()));
    match (decoded.map(Bson::Document), form) {
        (Ok(document), Form::Canonical) => document.into_canonical_extjson().to_string(),
        (Ok(document), Form::Relaxed) => document.into_relaxed_extjson().to_string(),
        (Err(_), _) => String::new(),
    }
}

/// A value as relaxed Extended JSON, cut to `most` bytes.
pub fn shown(value: ValueRef<'_>, most: usize) -> String {
    let mut wrapped = Writer::with_capacity(value.bytes.len() + 16);
    wrapped.value("v", value);
    let wrapped = readable(elements(wrapped.finish().as_bytes()));
    let text = match Document::try_from(wrapped.as_ref()).map(|mut document| document.remove("v")) {
        Ok(Some(value)) => value.into_relaxed_extjson().to_string(),
        _ => "?".to_owned(),
    };
    cut(&text, most)
}

/// A copy in which everything can be read: every name and string is UTF-8.
fn readable(fields: Elements<'_>) -> RawDocumentBuf {
    let mut writer = Writer::default();
    for Element { key, value } in fields {
        let key = String::from_utf8_lossy(key);
        match value.kind {
            kind @ (kind::DOCUMENT | kind::ARRAY) => {
                let inner = readable(value.elements());
                let bytes = inner.as_bytes();
                writer.value(key.as_bytes(), ValueRef { kind, bytes });
            }
            _ => {
                let value = readable_value(value);
                writer.value(key.as_bytes(), value.as_ref());
            }
        }
    }
    writer.finish()
}

/// The same of a value that holds no others, or has them behind a text of its own.
fn readable_value(value: ValueRef<'_>) -> Value {
    let mut alone = Writer::with_capacity(value.bytes.len() + 16);
    alone.value("v", value);
    if Document::try_from(alone.finish().as_ref()).is_ok() {
        return value.to_owned();
    }
    match value.kind {
        // A length and a text, as a string is.
        kind @ (kind::STRING | kind::SYMBOL | kind::CODE) => {
            let string = ValueRef {
                kind: kind::STRING,
                ..value
            };
            let text = String::from_utf8_lossy(string.string_bytes().unwrap_or_default());
            let text = Value::string(&text);
            Value { kind, ..text }
        }
        _ => Value::string(UNREADABLE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn every_type_survives_and_broken_text_is_shown() {
        let document = RawDocumentBuf::try_from(&doc! { "n": 1_i64, "s": "é" }).unwrap();
        let canonical = |document: &RawDocument| text(document, Form::Canonical);
        assert_eq!(canonical(&document), r#"{"n":{"$numberLong":"1"},"s":"é"}"#);
        assert_eq!(text(&document, Form::Relaxed), r#"{"n":1,"s":"é"}"#);
        let mut broken = Writer::default();
        broken.value(
            b"\xff",
            ValueRef {
                kind: kind::STRING,
                bytes: b"\x02\0\0\0\xfe\0",
            },
        );
        broken
            .value(
                "s",
                ValueRef {
                    kind: kind::SYMBOL,
                    bytes: b"\x02\0\0\0\xfe\0",
                },
            )
            .value(
                "r",
                ValueRef {
                    kind: kind::REGEX,
                    bytes: b"\xfe\0i\0",
                },
            )
            .int32("n", 7);
        assert_eq!(
            canonical(&broken.finish()),
            r#"{"�":"�","s":{"$symbol":"�"},"r":"(unreadable)","n":{"$numberInt":"7"}}"#
        );
    }
}
