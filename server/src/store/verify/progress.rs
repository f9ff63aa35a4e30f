//! How the progress of a pass is kept in the database: a document inside that of its verification.

use bson::{RawDocument, RawDocumentBuf, spec::BinarySubtype};

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::verify::{
        class::Class,
        counts::Counts,
        days::{Day, DayDigest, Days},
        progress::{Position, Progress},
    },
    store::{
        encoding::document::document_value,
        state::format::{Field, Is, may, number},
        wire::reply::document,
    },
};

/// The fields of progress, all but `at`, which is whatever an `_id` is, and the digests' bytes.
pub(in crate::store) const PROGRESS: &[Field] = &[
    may("in", Is::Text),
    may("delivered", Is::Whole),
    may("archived", Is::Whole),
    may("candidates", Is::Whole),
    may("unplaced", Is::Whole),
    may("by_number", Is::Whole),
    may("exhausted", Is::Flag),
    may("stopped_at", Is::Text),
    may("full_because", Is::Text),
    may("orphaned", Is::Whole),
    may("not_rebuildable", Is::Whole),
    may("quarantined", Is::Whole),
    may("near_miss", Is::Whole),
    may("names_changed", Is::Whole),
    may("days", Is::ListOf(DAY)),
];

const DAY: &[Field] = &[may("day", Is::Text), may("count", Is::Whole)];

const BOTH: &str = "both";
const ORDERS: &str = "orders";
const ARCHIVE: &str = "archive";
const HISTORY: &str = "history";

/// Progress as a document.
pub fn to_document(progress: &Progress) -> RawDocumentBuf {
    let mut writer = Writer::default();
    match &progress.position {
        None => {}
        Some(Position::Both(at)) => drop(writer.string("in", BOTH).value("at", at.as_ref())),
        Some(Position::Orders(at)) => drop(writer.string("in", ORDERS).value("at", at.as_ref())),
        Some(Position::Archive(at)) => drop(writer.string("in", ARCHIVE).value("at", at.as_ref())),
        Some(Position::History(at)) => drop(writer.string("in", HISTORY).document("at", at)),
    }
    let counts = &progress.counts;
    let mut count = |name: &str, count: i64| {
        let bytes = count.to_le_bytes();
        let value = ValueRef {
            kind: kind::INT64,
            bytes: &bytes,
        };
        writer.value(name, value);
    };
    count("delivered", counts.delivered);
    count("archived", counts.archived);
    count("candidates", progress.candidates);
    count("unplaced", progress.unplaced);
    count("by_number", progress.by_number);
    for class in Class::ALL {
        count(class.name(), counts.of(class));
    }
    writer.bool("exhausted", progress.exhausted);
    let texts = [
        ("stopped_at", &progress.stopped_at),
        ("full_because", &progress.full_because),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            writer.string(name, text);
        }
    }
    let days: Vec<RawDocumentBuf> = progress.days.iter().map(day_document).collect();
    writer.array("days", days.iter().map(|day| document_value(day)));
    writer.finish()
}

/// Progress as it was saved. What can't be read of it counts as not there.
pub fn of_document(saved: &RawDocument) -> Progress {
    let field = |name: &str| raw::find(saved, name);
    let text = |name: &str| field(name).and_then(ValueRef::as_str).map(str::to_owned);
    let whole = |name: &str| field(name).and_then(number).unwrap_or(0);
    let mut counts = Counts {
        delivered: whole("delivered"),
        archived: whole("archived"),
        ..Counts::default()
    };
    for class in Class::ALL {
        *counts.of_mut(class) = whole(class.name());
    }
    let at = field("at").map(ValueRef::to_owned);
    let position = at.and_then(|at: Value| {
        Some(match text("in")?.as_str() {
            BOTH => Position::Both(at),
            ORDERS => Position::Orders(at),
            ARCHIVE => Position::Archive(at),
            HISTORY => Position::History(document(at.as_ref()).ok()?),
            _ => return None,
        })
    });
    let mut days = Days::default();
    for member in field("days").unwrap_or(ValueRef::NULL).elements() {
        if let Some((day, digest)) = day_in(member.value) {
            days.insert(day, digest);
        }
    }
    Progress {
        position,
        counts,
        candidates: whole("candidates"),
        unplaced: whole("unplaced"),
        by_number: whole("by_number"),
        days,
        exhausted: field("exhausted").and_then(ValueRef::as_bool) == Some(true),
        stopped_at: text("stopped_at"),
        full_because: text("full_because"),
    }
}

fn day_document((day, digest): (Day, &DayDigest)) -> RawDocumentBuf {
    let mut writer = Writer::default();
    let count = digest.count.to_le_bytes();
    let hash = [
        &(digest.hash.len() as i32).to_le_bytes()[..],
        &[u8::from(BinarySubtype::Generic)],
        &digest.hash,
    ]
    .concat();
    let value = |kind, bytes| ValueRef { kind, bytes };
    writer
        .string("day", &day.to_string())
        .value("count", value(kind::INT64, &count))
        .value("hash", value(kind::BINARY, &hash));
    writer.finish()
}

fn day_in(member: ValueRef<'_>) -> Option<(Day, DayDigest)> {
    let field = |name: &str| {
        let mut fields = member.elements();
        fields
            .find(|field| field.key == name.as_bytes())
            .map(|field| field.value)
    };
    let hash = field("hash").filter(|hash| hash.kind == kind::BINARY)?;
    let digest = DayDigest {
        count: field("count").and_then(number)?,
        // A binary value is its length, its subtype, then the bytes.
        hash: hash.bytes.get(5..)?.try_into().ok()?,
    };
    Some((Day::of_name(field("day")?.as_str()?)?, digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    #[test]
    fn progress_comes_back_as_it_was_saved() {
        let id = Value::string("CMD");
        let mut days = Days::default();
        days.add(Day::On(20_000), [7; 32]);
        days.add(Day::None, [8; 32]);
        let mut counts = Counts {
            delivered: 5,
            archived: 6,
            ..Counts::default()
        };
        *counts.of_mut(Class::Orphaned) = 3;
        for position in [
            None,
            Some(Position::Both(id.clone())),
            Some(Position::Orders(ValueRef::MAX_KEY.to_owned())),
            Some(Position::Archive(id)),
            Some(Position::History(rawdoc! { "_data": "82" })),
        ] {
            let progress = Progress {
                position,
                counts,
                candidates: 1,
                unplaced: 2,
                by_number: 3,
                days: days.clone(),
                exhausted: true,
                stopped_at: Some("CMD-1".to_owned()),
                full_because: None,
            };
            assert_eq!(of_document(&to_document(&progress)), progress);
        }
        assert_eq!(of_document(&rawdoc! {}), Progress::default());
    }
}
