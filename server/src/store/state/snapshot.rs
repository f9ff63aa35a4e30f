//! Snapshots: what a change that is news shows of its document, put there by the change itself.
//!
//! A change tells only what is new in its document, and by the time that somebody reads it the
//! document may be another one, or none. So a change that is news leaves a copy of the document as
//! the change makes it, under a name that the document did not have before: of such a field the
//! database always tells the whole. Two names take turns.

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};

use super::format::Field;
use crate::{
    bytes::raw::{self, ValueRef, kind},
    store::encoding::document::raw,
};

/// The names of the fields that hold a snapshot; one of them is there at a time.
pub const NAMES: [&str; 2] = ["snapshot_a", "snapshot_b"];
/// The field of a snapshot that says what the change is to those who read the news.
const NEWS: &str = "news";

/// What a change of a document is to those who read the news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// A batch began.
    BatchStarted,
    /// A batch saved its progress, or was asked for something.
    BatchProgress,
    /// A batch ended.
    BatchFinished,
    /// A verification began.
    VerificationStarted,
    /// A verification saved its progress, or was asked for something.
    VerificationProgress,
    /// A verification ended.
    VerificationFinished,
    /// The watcher changed its state.
    WatcherState,
    /// Somebody asked the watcher to pause or to go on.
    WatcherAsked,
    /// A partition of the stream was taken, left, or is read in another state.
    WatcherPartition,
    /// An order leaves the quarantine.
    Released,
}

impl News {
    const NAMES: [(News, &str); 10] = [
        (News::BatchStarted, "batch_started"),
        (News::BatchProgress, "batch_progress"),
        (News::BatchFinished, "batch_finished"),
        (News::VerificationStarted, "verification_started"),
        (News::VerificationProgress, "verification_progress"),
        (News::VerificationFinished, "verification_finished"),
        (News::WatcherState, "watcher_state"),
        (News::WatcherAsked, "watcher_asked"),
        (News::WatcherPartition, "watcher_partition"),
        (News::Released, "released"),
    ];

    /// Its name in the database.
    pub(in crate::store) fn name(self) -> &'static str {
        let known = News::NAMES.iter().find(|(news, _)| *news == self);
        known.map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<News> {
        let known = News::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(news, _)| *news)
    }
}

/// The last stage of an update that is news: leaves a snapshot of these fields. `news` says what it
/// is, as an expression where that depends on the document.
pub(in crate::store) fn stage(fields: &[Field], news: impl Into<Bson>) -> RawDocumentBuf {
    raw(&stage_if(true, copy(fields), news))
}

/// The `_id` of an order as readers are shown it: not that of an entry which, with the like of it,
/// would fill their memory, or a reply of the database.
pub(in crate::store) fn if_shown(entry: &str, order_id: &str) -> Document {
    const LARGEST: i32 = 64 * 1024;
    let is_small = doc! { "$lte": [{ "$bsonSize": entry }, LARGEST] };
    doc! { "$cond": [is_small, order_id, "$$REMOVE"] }
}

pub(in crate::store) fn copy(fields: &[Field]) -> Document {
    let own = |field: &Field| (field.name().to_owned(), format!("${}", field.name()).into());
    fields.iter().map(own).collect()
}

/// Puts the copy under the name whose turn it is, and takes the other one away; where the update is
/// no news, the last snapshot stays.
pub(in crate::store) fn stage_if(
    is_news: impl Into<Bson>,
    mut copy: Document,
    news: impl Into<Bson>,
) -> Document {
    copy.insert(NEWS, news);
    let is_news = is_news.into();
    let [a, b] = NAMES;
    let is_free = doc! { "$eq": [{ "$type": format!("${a}") }, "missing"] };
    let at = |name: &str, its_turn: Document| {
        let turn = doc! { "$cond": [its_turn, &copy, "$$REMOVE"] };
        doc! { "$cond": [&is_news, turn, format!("${name}")] }
    };
    doc! { "$set": { a: at(a, is_free.clone()), b: at(b, doc! { "$not": is_free }) } }
}

/// What a change shows of its document.
#[derive(Debug)]
pub struct Snapshot {
    /// What the change is; none where its maker has not said, or in a word that is not known here.
    pub news: Option<News>,
    /// The fields of the document that readers are shown.
    pub document: RawDocumentBuf,
}

/// The snapshot that a change of the history has left; none where it is no news, or was made by
/// somebody who leaves none.
pub fn of(change: &RawDocument) -> Option<Snapshot> {
    let fields = within(change, &["updateDescription", "updatedFields"])?;
    let found = NAMES.iter().find_map(|name| inside(fields, name));
    snapshot(found?)
}

/// The document that a change has put in the place of another one: of such a change, the database
/// tells the whole. Small documents are often changed so.
pub fn of_replacement(change: &RawDocument) -> Option<Snapshot> {
    if raw::find(change, "operationType").and_then(ValueRef::as_str) != Some("replace") {
        return None;
    }
    let document = raw::find(change, "fullDocument")?;
    let mut found = snapshot(document)?;
    let left = NAMES.iter().find_map(|name| inside(document, name));
    found.news = left.and_then(snapshot).and_then(|left| left.news);
    Some(found)
}

fn snapshot(value: ValueRef<'_>) -> Option<Snapshot> {
    let news = inside(value, NEWS).and_then(ValueRef::as_str);
    Some(Snapshot {
        news: news.and_then(News::named),
        document: document(value)?,
    })
}

/// A value as a document of its own, if it is one.
pub fn document(value: ValueRef<'_>) -> Option<RawDocumentBuf> {
    let bytes = (value.kind == kind::DOCUMENT).then(|| value.bytes.to_vec())?;
    RawDocumentBuf::from_bytes(bytes).ok()
}

/// A field inside documents inside a document.
pub fn within<'a>(document: &'a RawDocument, path: &[&str]) -> Option<ValueRef<'a>> {
    let (first, rest) = path.split_first()?;
    let first = raw::find(document, first)?;
    rest.iter()
        .try_fold(first, |value, name| inside(value, name))
}

pub(in crate::store) fn inside<'a>(value: ValueRef<'a>, name: &str) -> Option<ValueRef<'a>> {
    let mut fields = value.elements();
    let found = fields.find(|field| field.key == name.as_bytes());
    found.map(|field| field.value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_is_shown_whole_and_an_update_by_its_snapshot() {
        let left = doc! { "news": "batch_progress", "state": "running" };
        let whole = doc! { "state": "failed", "snapshot_b": &left };
        let replaced = doc! { "operationType": "replace", "fullDocument": whole };
        let replaced = of_replacement(&raw(&replaced)).unwrap();
        assert_eq!(replaced.news, Some(News::BatchProgress));
        assert_eq!(replaced.document.get_str("state").unwrap(), "failed");
        let update = |fields: Document| {
            let changed = doc! { "updatedFields": fields };
            raw(&doc! { "operationType": "update", "updateDescription": changed })
        };
        let found = of(&update(doc! { "snapshot_a": &left })).unwrap();
        assert_eq!(found.news, Some(News::BatchProgress));
        assert_eq!(found.document, raw(&left));
        assert!(of(&update(doc! { "state": "running" })).is_none());
    }
}
