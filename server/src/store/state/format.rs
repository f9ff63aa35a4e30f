//! The fields of the server's own documents, and their format: what each must be, checked when a
//! document is read.
//!
//! Each is checked against a table of its fields, byte by byte and without decoding it, so that
//! whatever somebody wrote there is told by its collection, `_id` and field, and nothing else is
//! kept from working by it.

use bson::{Document, RawDocument, RawDocumentBuf};

use super::{
    fault::{Fault, Problem},
    version::{CURRENT, FORMAT},
};
use crate::{
    bytes::raw::{self, ValueRef, Writer, kind},
    store::encoding::document::document_value,
};

/// The longest length of time that a document may name, in milliseconds: some thirty years. More
/// would overflow a date.
pub(in crate::store) const LONGEST: i64 = 1_000_000_000_000;

/// A field of a document.
#[derive(Clone, Copy)]
pub(in crate::store) struct Field {
    name: &'static str,
    is: Is,
    /// Whether it may be absent, or null.
    optional: bool,
}

impl Field {
    pub(in crate::store) fn name(&self) -> &'static str {
        self.name
    }
}

/// Which values a field takes.
#[derive(Clone, Copy)]
pub(in crate::store) enum Is {
    /// A whole number, of any kind that holds one.
    Whole,
    /// A length of time in milliseconds.
    Millis,
    Date,
    Timestamp,
    Flag,
    Text,
    /// One of the words that the server knows, in the version that wrote it.
    Word(fn(&str) -> bool),
    Texts,
    Dates,
    Fields(&'static [Field]),
    ListOf(&'static [Field]),
    /// Whatever the platform keeps there, as in an `_id`.
    Anything,
}

pub(in crate::store) const fn must(name: &'static str, is: Is) -> Field {
    Field {
        name,
        is,
        optional: false,
    }
}

pub(in crate::store) const fn may(name: &'static str, is: Is) -> Field {
    Field {
        name,
        is,
        optional: true,
    }
}

/// A table of the fields of two, `N` of them in all.
pub(in crate::store) const fn both<const N: usize>(
    first: &[Field],
    second: &[Field],
) -> [Field; N] {
    assert!(first.len() + second.len() == N);
    let mut all = [first[0]; N];
    let mut at = 1;
    while at < N {
        all[at] = match at < first.len() {
            true => first[at],
            false => second[at - first.len()],
        };
        at += 1;
    }
    all
}

/// That a document can be worked with.
pub(in crate::store) fn check(
    collection: &str,
    fields: &'static [Field],
    document: &RawDocument,
) -> Result<(), Box<Fault>> {
    let problem = match raw::find(document, FORMAT).filter(|format| !format.is_null()) {
        None => None,
        Some(format) => match number(format) {
            Some(format) if format > i64::from(CURRENT) => Some(Problem::Newer(format)),
            Some(1..) => None,
            _ => Some(wrong(FORMAT, Some(format), "a whole number from 1 on")),
        },
    };
    let problem = problem.or_else(|| {
        let whole = ValueRef {
            kind: kind::DOCUMENT,
            bytes: document.as_bytes(),
        };
        first_problem("", fields, whole)
    });
    match problem {
        None => Ok(()),
        Some(problem) => Err(Box::new(Fault {
            collection: collection.to_owned(),
            id: raw::find(document, "_id")
                .unwrap_or(ValueRef::NULL)
                .to_owned(),
            problem,
        })),
    }
}

/// The fields of a document that this version knows, if it can be worked with. Whatever else
/// somebody keeps there may be text that is not UTF-8, and is not decoded.
pub(in crate::store) fn read(
    collection: &str,
    fields: &'static [Field],
    document: &RawDocument,
) -> Result<Document, Box<Fault>> {
    check(collection, fields, document)?;
    let whole = ValueRef {
        kind: kind::DOCUMENT,
        bytes: document.as_bytes(),
    };
    let known = known(fields, whole);
    Ok(Document::try_from(known.as_ref()).expect("what was checked can be decoded"))
}

fn known(fields: &[Field], document: ValueRef<'_>) -> RawDocumentBuf {
    let mut copy = Writer::default();
    for field in fields {
        let Some(value) = first(document, field.name) else {
            continue;
        };
        match &field.is {
            Is::Fields(inner) if !value.is_null() => {
                copy.document(field.name, &known(inner, value));
            }
            Is::ListOf(inner) if !value.is_null() => {
                let members = value.elements().map(|member| known(inner, member.value));
                let members: Vec<RawDocumentBuf> = members.collect();
                let members = members.iter().map(|member| document_value(member));
                copy.array(field.name, members);
            }
            // The names of places in a list may be anything, and mean nothing.
            Is::Texts | Is::Dates if !value.is_null() => {
                copy.array(field.name, value.elements().map(|member| member.value));
            }
            _ => {
                copy.value(field.name, value);
            }
        }
    }
    copy.finish()
}

fn first<'a>(document: ValueRef<'a>, name: &str) -> Option<ValueRef<'a>> {
    let mut elements = document.elements();
    elements
        .find(|element| element.key == name.as_bytes())
        .map(|element| element.value)
}

fn first_problem(
    within: &str,
    fields: &'static [Field],
    document: ValueRef<'_>,
) -> Option<Problem> {
    fields.iter().find_map(|field| {
        let path = format!("{within}{}", field.name);
        match first(document, field.name) {
            None => (!field.optional).then(|| wrong(&path, None, field.is.wanted())),
            Some(value) if field.optional && value.is_null() => None,
            Some(value) => field.is.problem(&path, value),
        }
    })
}

fn wrong(path: &str, found: Option<ValueRef<'_>>, wanted: &'static str) -> Problem {
    Problem::Field {
        path: path.to_owned(),
        found: found.map_or("absent", |value| type_name(value.kind)),
        wanted,
    }
}

impl Is {
    fn wanted(&self) -> &'static str {
        match self {
            Is::Whole => "a whole number",
            Is::Millis => "a length of time in milliseconds",
            Is::Date => "a date",
            Is::Timestamp => "a timestamp",
            Is::Flag => "true or false",
            Is::Text => "a text",
            Is::Word(_) => "one of the words that this archd knows",
            Is::Texts => "a list of texts",
            Is::Dates => "a list of dates",
            Is::Fields(_) => "a document",
            Is::ListOf(_) => "a list of documents",
            Is::Anything => "a value",
        }
    }

    fn problem(&self, path: &str, value: ValueRef<'_>) -> Option<Problem> {
        let right = match self {
            Is::Whole => number(value).is_some(),
            Is::Millis => number(value).is_some_and(|millis| (0..=LONGEST).contains(&millis)),
            Is::Date => value.kind == kind::DATE,
            Is::Timestamp => value.kind == kind::TIMESTAMP,
            Is::Flag => value.as_bool().is_some(),
            Is::Text => value.as_str().is_some(),
            Is::Word(known) => value.as_str().is_some_and(known),
            Is::Texts => all(value, &Is::Text),
            Is::Dates => all(value, &Is::Date),
            Is::Fields(fields) if value.kind == kind::DOCUMENT => {
                return first_problem(&format!("{path}."), fields, value);
            }
            Is::ListOf(fields) if value.kind == kind::ARRAY => {
                return value.elements().zip(0..).find_map(|(member, index)| {
                    let path = format!("{path}.{index}");
                    Is::Fields(fields).problem(&path, member.value)
                });
            }
            Is::Fields(_) | Is::ListOf(_) => false,
            Is::Anything => true,
        };
        (!right).then(|| wrong(path, Some(value), self.wanted()))
    }
}

fn all(list: ValueRef<'_>, is: &Is) -> bool {
    list.kind == kind::ARRAY
        && list
            .elements()
            .all(|member| is.problem("", member.value).is_none())
}

/// A whole number: a shell writes 1 as 1.0.
pub(in crate::store) fn number(value: ValueRef<'_>) -> Option<i64> {
    match value.kind {
        kind::INT32 => value.fixed().map(i32::from_le_bytes).map(i64::from),
        kind::INT64 => value.fixed().map(i64::from_le_bytes),
        kind::DOUBLE => {
            let number = value.fixed().map(f64::from_le_bytes)?;
            (number.fract() == 0.0 && number.abs() < 1e18).then_some(number as i64)
        }
        _ => None,
    }
}

/// The database's own name for a type.
fn type_name(kind: u8) -> &'static str {
    match kind {
        kind::DOUBLE => "of type double",
        kind::STRING => "of type string",
        kind::DOCUMENT => "of type object",
        kind::ARRAY => "of type array",
        kind::BINARY => "of type binData",
        kind::OBJECT_ID => "of type objectId",
        kind::BOOLEAN => "of type bool",
        kind::DATE => "of type date",
        kind::NULL => "null",
        kind::SYMBOL => "of type symbol",
        kind::INT32 => "of type int",
        kind::TIMESTAMP => "of type timestamp",
        kind::INT64 => "of type long",
        kind::DECIMAL => "of type decimal",
        _ => "of another type",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bson::Bson;
    use bson::doc;

    use super::*;
    use bson::{DateTime, RawDocumentBuf, Timestamp};

    const INNER: &[Field] = &[must("n", Is::Whole)];
    const FIELDS: &[Field] = &[
        must("_id", Is::Text),
        must("word", Is::Word(|word| word == "known")),
        may("whole", Is::Whole),
        may("millis", Is::Millis),
        may("date", Is::Date),
        may("time", Is::Timestamp),
        may("flag", Is::Flag),
        may("texts", Is::Texts),
        may("dates", Is::Dates),
        may("inner", Is::Fields(INNER)),
        may("list", Is::ListOf(INNER)),
    ];

    fn checked(with: Document) -> Result<(), Box<Fault>> {
        let mut document = doc! { "_id": "a", "word": "known" };
        document.extend(with);
        let raw = RawDocumentBuf::try_from(&document).unwrap();
        check("archd_things", FIELDS, &raw)
    }

    #[test]
    fn what_shells_and_versions_write_differently_is_the_same() {
        for good in [
            doc! {},
            doc! { "whole": 1_i32, "millis": 15_000.0 },
            doc! { "whole": 1_i64, "millis": 0, "unknown": "later", FORMAT: 1.0 },
            doc! { "whole": Bson::Null, "list": Bson::Null, FORMAT: Bson::Null },
            doc! { "date": DateTime::now(), "time": Timestamp { time: 1, increment: 1 }, "flag": true, "texts": ["a"], "dates": [DateTime::now()] },
            doc! { "inner": { "n": 1 }, "list": [{ "n": 1 }, { "n": 2.0 }], "texts": [], FORMAT: CURRENT },
        ] {
            assert_eq!(checked(good.clone()), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_first_bad_field_is_named_with_what_it_is_and_must_be() {
        for (bad, path, found, wanted) in [
            (doc! { "word": "other" }, "word", "of type string", "one of"),
            (doc! { "word": Bson::Null }, "word", "null", "one of"),
            (
                doc! { "whole": "1" },
                "whole",
                "of type string",
                "a whole number",
            ),
            (
                doc! { "whole": 1.5 },
                "whole",
                "of type double",
                "a whole number",
            ),
            (
                doc! { "whole": f64::NAN },
                "whole",
                "of type double",
                "a whole number",
            ),
            (
                doc! { "millis": -1 },
                "millis",
                "of type int",
                "a length of time",
            ),
            (
                doc! { "millis": i64::MAX },
                "millis",
                "of type long",
                "a length of time",
            ),
            (doc! { "date": "2025" }, "date", "of type string", "a date"),
            (
                doc! { "time": DateTime::now() },
                "time",
                "of type date",
                "a timestamp",
            ),
            (doc! { "flag": 1 }, "flag", "of type int", "true or false"),
            (
                doc! { "texts": ["a", 1] },
                "texts",
                "of type array",
                "a list of texts",
            ),
            (
                doc! { "dates": {} },
                "dates",
                "of type object",
                "a list of dates",
            ),
            (doc! { "inner": [] }, "inner", "of type array", "a document"),
            (doc! { "inner": {} }, "inner.n", "absent", "a whole number"),
            (
                doc! { "list": [{ "n": 1 }, { "n": "x" }] },
                "list.1.n",
                "of type string",
                "a whole number",
            ),
            (
                doc! { FORMAT: "2" },
                FORMAT,
                "of type string",
                "a whole number",
            ),
            (doc! { FORMAT: 0 }, FORMAT, "of type int", "a whole number"),
        ] {
            let fault = checked(bad.clone()).unwrap_err();
            assert_eq!(fault.name(), "archd_things/a");
            let told = fault.to_string();
            let expected = format!("its field `{path}` is {found} and must be {wanted}");
            assert!(told.contains(&expected), "{bad}: {told}");
            assert!(!fault.is_newer());
        }
    }

    #[test]
    fn a_newer_format_is_no_fault_of_the_fields() {
        for newer in [Bson::from(2), 2_i64.into(), 2.0.into()] {
            let fault = checked(doc! { "word": 7, FORMAT: newer }).unwrap_err();
            assert_eq!(fault.problem, Problem::Newer(2));
            assert!(fault.to_string().contains("run the newer archd"), "{fault}");
        }
    }
}
