//! BSON as bytes: walks and writes documents without decoding what nobody asked for, whatever the
//! bytes inside.
//!
//! The bson crate decodes field names and strings as UTF-8 and fails on a document that holds
//! anything else. The database stores such documents, and an archive has to carry them unchanged; a
//! walk over lengths does, and is the fastest copy too.

use bson::{RawDocument, RawDocumentBuf};

/// The types of BSON elements that this crate looks into (<https://bsonspec.org/spec.html>).
pub mod kind {
    #![allow(missing_docs, reason = "the names are the specification's own")]
    pub const DOUBLE: u8 = 0x01;
    pub(crate) const STRING: u8 = 0x02;
    pub const DOCUMENT: u8 = 0x03;
    pub(crate) const ARRAY: u8 = 0x04;
    pub(crate) const BINARY: u8 = 0x05;
    pub const OBJECT_ID: u8 = 0x07;
    pub(crate) const BOOLEAN: u8 = 0x08;
    pub const DATE: u8 = 0x09;
    pub(crate) const NULL: u8 = 0x0a;
    #[cfg(test)]
    pub(crate) const REGEX: u8 = 0x0b;
    pub(crate) const CODE: u8 = 0x0d;
    pub const SYMBOL: u8 = 0x0e;
    pub(crate) const INT32: u8 = 0x10;
    pub(crate) const TIMESTAMP: u8 = 0x11;
    pub(crate) const INT64: u8 = 0x12;
    pub(crate) const DECIMAL: u8 = 0x13;
    pub(crate) const MAX_KEY: u8 = 0x7f;
    pub(crate) const MIN_KEY: u8 = 0xff;
}

/// The type and the bytes of a value inside a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueRef<'a> {
    /// The type, one byte of the specification.
    pub kind: u8,
    /// The value as it lies in the document, length prefix and all.
    pub bytes: &'a [u8],
}

impl<'a> ValueRef<'a> {
    /// What comes before every other value.
    pub(crate) const MIN_KEY: ValueRef<'static> = ValueRef {
        kind: kind::MIN_KEY,
        bytes: &[],
    };

    /// What comes after every other value.
    pub(crate) const MAX_KEY: ValueRef<'static> = ValueRef {
        kind: kind::MAX_KEY,
        bytes: &[],
    };

    /// The null value.
    pub(crate) const NULL: ValueRef<'static> = ValueRef {
        kind: kind::NULL,
        bytes: &[],
    };

    /// Whether this is null.
    pub fn is_null(self) -> bool {
        self.kind == kind::NULL
    }

    /// The bytes of a string, which are UTF-8 unless somebody stored something else.
    pub(crate) fn string_bytes(self) -> Option<&'a [u8]> {
        (self.kind == kind::STRING && self.bytes.len() > 4)
            .then(|| &self.bytes[4..self.bytes.len() - 1])
    }

    /// The text of a string that is valid UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.string_bytes()?).ok()
    }

    /// A boolean.
    pub(crate) fn as_bool(self) -> Option<bool> {
        match (self.kind, self.bytes) {
            (kind::BOOLEAN, [0]) => Some(false),
            (kind::BOOLEAN, [1]) => Some(true),
            _ => None,
        }
    }

    /// A date.
    pub(crate) fn as_date(self) -> Option<bson::DateTime> {
        (self.kind == kind::DATE).then(|| {
            self.fixed()
                .map(|bytes| bson::DateTime::from_millis(i64::from_le_bytes(bytes)))
        })?
    }

    /// A moment of cluster time.
    pub(crate) fn as_timestamp(self) -> Option<bson::Timestamp> {
        let moment = || self.fixed().map(u64::from_le_bytes);
        let moment = (self.kind == kind::TIMESTAMP).then(moment)??;
        Some(bson::Timestamp {
            time: (moment >> 32) as u32,
            increment: moment as u32,
        })
    }

    /// The fields of a document or the members of an array; nothing for other types.
    pub fn elements(self) -> Elements<'a> {
        match self.kind {
            kind::DOCUMENT | kind::ARRAY => elements(self.bytes),
            _ => elements(&[]),
        }
    }

    /// The value as a copy of its own.
    pub fn to_owned(self) -> Value {
        Value {
            kind: self.kind,
            bytes: self.bytes.into(),
        }
    }

    /// The bytes when there are exactly `N` of them.
    pub(crate) fn fixed<const N: usize>(self) -> Option<[u8; N]> {
        self.bytes.try_into().ok()
    }
}

/// A value that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Value {
    /// The type, one byte of the specification.
    pub kind: u8,
    /// The value as it lies in a document.
    pub bytes: Box<[u8]>,
}

impl Value {
    /// A view of the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        ValueRef {
            kind: self.kind,
            bytes: &self.bytes,
        }
    }

    /// A string value.
    pub fn string(text: &str) -> Value {
        Value::text(text.as_bytes())
    }

    /// A string value of bytes that need not be UTF-8.
    pub fn text(bytes: &[u8]) -> Value {
        Value {
            kind: kind::STRING,
            bytes: [&bson_length(bytes.len() + 1)[..], bytes, &[0]]
                .concat()
                .into(),
        }
    }
}

/// One field of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Element<'a> {
    /// The field's name, UTF-8 unless somebody stored something else.
    pub key: &'a [u8],
    /// The field's value.
    pub value: ValueRef<'a>,
}

/// Walks the fields of a document in their order. A document whose lengths are wrong ends early;
/// the database stores none.
pub fn elements(document: &[u8]) -> Elements<'_> {
    Elements {
        rest: document.get(LENGTH..).unwrap_or_default(),
    }
}

/// The first field with this name.
pub fn find<'a>(document: &'a RawDocument, key: &str) -> Option<ValueRef<'a>> {
    elements(document.as_bytes())
        .find(|element| element.key == key.as_bytes())
        .map(|element| element.value)
}

/// The fields of a document that have not been walked yet.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl Elements<'_> {
    /// How many bytes of the document have not been walked yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (&kind, rest) = self.rest.split_first().filter(|(kind, _)| **kind != 0)?;
        let (key, rest) = split_cstring(rest)?;
        let bytes = rest.get(..value_length(kind, rest)?)?;
        self.rest = &rest[bytes.len()..];
        Some(Element {
            key,
            value: ValueRef { kind, bytes },
        })
    }
}

/// How many bytes the value at the head of `rest` takes.
fn value_length(kind: u8, rest: &[u8]) -> Option<usize> {
    let prefix = || {
        Some(i32::from_le_bytes(rest.get(..LENGTH)?.try_into().ok()?))
            .and_then(|length| usize::try_from(length).ok())
    };
    Some(match kind {
        0x06 | 0x0a | 0x7f | 0xff => 0,
        0x08 => 1,
        0x10 => 4,
        0x01 | 0x09 | 0x11 | 0x12 => 8,
        0x07 => 12,
        0x13 => 16,
        0x02 | 0x0d | 0x0e => LENGTH.checked_add(prefix()?)?,
        0x0c => (LENGTH + 12).checked_add(prefix()?)?,
        0x05 => (LENGTH + 1).checked_add(prefix()?)?,
        0x03 | 0x04 | 0x0f => prefix()?,
        0x0b => {
            let (pattern, options) = split_cstring(rest)?;
            pattern.len() + 1 + split_cstring(options)?.0.len() + 1
        }
        _ => return None,
    })
}

fn split_cstring(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

const LENGTH: usize = size_of::<i32>();

/// Writes a document field by field.
#[derive(Clone, Debug)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Default for Writer {
    fn default() -> Self {
        Writer::with_capacity(256)
    }
}

impl Writer {
    /// A writer that has room for `capacity` bytes before it must grow.
    pub fn with_capacity(capacity: usize) -> Writer {
        let mut bytes = Vec::with_capacity(capacity.max(LENGTH + 1));
        bytes.extend([0; LENGTH]);
        Writer { bytes }
    }

    /// Appends a field whose name and value are bytes already.
    pub fn value(&mut self, key: impl AsRef<[u8]>, value: ValueRef<'_>) -> &mut Writer {
        self.bytes.push(value.kind);
        self.bytes.extend(key.as_ref());
        self.bytes.push(0);
        self.bytes.extend(value.bytes);
        self
    }

    /// Appends a string.
    pub fn string(&mut self, key: &str, text: &str) -> &mut Writer {
        self.value(
            key,
            ValueRef {
                kind: kind::STRING,
                bytes: &[],
            },
        );
        self.bytes.extend(bson_length(text.len() + 1));
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        self
    }

    /// Appends a boolean.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Writer {
        self.value(
            key,
            ValueRef {
                kind: kind::BOOLEAN,
                bytes: &[u8::from(value)],
            },
        )
    }

    /// Appends a 32-bit integer.
    pub(crate) fn int32(&mut self, key: &str, value: i32) -> &mut Writer {
        self.value(
            key,
            ValueRef {
                kind: kind::INT32,
                bytes: &value.to_le_bytes(),
            },
        )
    }

    /// Appends a date.
    pub fn date(&mut self, key: &str, value: bson::DateTime) -> &mut Writer {
        self.value(
            key,
            ValueRef {
                kind: kind::DATE,
                bytes: &value.timestamp_millis().to_le_bytes(),
            },
        )
    }

    /// Appends a document that is finished already.
    pub fn document(&mut self, key: &str, document: &RawDocument) -> &mut Writer {
        self.value(
            key,
            ValueRef {
                kind: kind::DOCUMENT,
                bytes: document.as_bytes(),
            },
        )
    }

    /// Appends an array of values.
    pub fn array<'v>(
        &mut self,
        key: &str,
        values: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> &mut Writer {
        self.value(
            key,
            ValueRef {
                kind: kind::ARRAY,
                bytes: &[],
            },
        );
        let start = self.bytes.len();
        self.bytes.extend([0; LENGTH]);
        for (index, value) in values.into_iter().enumerate() {
            self.value(index.to_string(), value);
        }
        self.close(start);
        self
    }

    /// The finished document.
    pub fn finish(mut self) -> RawDocumentBuf {
        self.close(0);
        RawDocumentBuf::from_bytes(self.bytes)
            .expect("the writer keeps the length and the terminator right")
    }

    fn close(&mut self, start: usize) {
        self.bytes.push(0);
        let length = self.bytes.len() - start;
        self.bytes[start..start + LENGTH].copy_from_slice(&bson_length(length));
    }
}

fn bson_length(length: usize) -> [u8; LENGTH] {
    i32::try_from(length)
        .expect("documents are bounded far below 2 GiB")
        .to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, doc, oid::ObjectId, spec::BinarySubtype};

    fn every_type() -> RawDocumentBuf {
        let document = doc! {
            "double": 1.5, "string": "é", "document": { "a": { "b": 1 } }, "array": [1, "x", Bson::Null],
            "binary": bson::Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] },
            "undefined": Bson::Undefined, "id": ObjectId::from_bytes([3; 12]), "bool": true,
            "date": bson::DateTime::from_millis(-5), "null": Bson::Null,
            "regex": bson::Regex { pattern: "^a".try_into().unwrap(), options: "i".try_into().unwrap() },
            "code": Bson::JavaScriptCode("f()".into()),
            "scoped": bson::JavaScriptCodeWithScope { code: "g()".into(), scope: doc! { "x": 1 } },
            "symbol": Bson::Symbol("s".into()), "int": 5, "timestamp": bson::Timestamp { time: 1, increment: 2 },
            "long": 5_i64, "decimal": "1.10".parse::<bson::Decimal128>().unwrap(), "min": Bson::MinKey, "max": Bson::MaxKey, "": 1,
        };
        RawDocumentBuf::try_from(&document).unwrap()
    }

    #[test]
    fn a_walk_copies_every_type_unchanged() {
        let document = every_type();
        let mut copy = Writer::default();
        for element in elements(document.as_bytes()) {
            copy.value(element.key, element.value);
        }
        assert_eq!(copy.finish(), document);
        assert_eq!(elements(document.as_bytes()).count(), 21);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_carried() {
        let mut writer = Writer::default();
        writer.value(
            b"\xff",
            ValueRef {
                kind: kind::STRING,
                bytes: b"\x03\0\0\0\xfe\xfd\0",
            },
        );
        let document = writer.finish();
        let element = elements(document.as_bytes()).next().unwrap();
        assert_eq!(
            (
                element.key,
                element.value.string_bytes(),
                element.value.as_str()
            ),
            (&b"\xff"[..], Some(&b"\xfe\xfd"[..]), None)
        );
    }

    #[test]
    fn a_document_cut_anywhere_ends_early_and_never_panics() {
        let document = every_type();
        for end in 0..document.as_bytes().len() {
            assert!(elements(&document.as_bytes()[..end]).count() <= 21);
        }
    }

    #[test]
    fn written_fields_read_back() {
        let mut writer = Writer::default();
        writer
            .string("s", "livrée")
            .bool("b", true)
            .int32("i", -1)
            .date("d", bson::DateTime::from_millis(9));
        writer.array("a", [Value::string("x").as_ref(), ValueRef::NULL]);
        let document = bson::Document::try_from(writer.finish().as_ref()).unwrap();
        assert_eq!(
            document,
            doc! { "s": "livrée", "b": true, "i": -1, "d": bson::DateTime::from_millis(9), "a": ["x", Bson::Null] }
        );
    }
}
