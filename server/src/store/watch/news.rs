//! News of the watcher and of its partitions: the stages by which a change of their documents leaves
//! a snapshot for those who read the news.

use bson::{Document, RawDocument, RawDocumentBuf, doc};

use super::{change::Subject, partition::PARTITION, record::WATCHER};
use crate::{
    bytes::raw::{self, Value, Writer, elements},
    store::{
        encoding::document::{document_value, field, raw},
        state::snapshot::{NAMES, News, copy, inside, stage_if},
    },
};

impl Subject {
    /// What readers are shown of it. Of its checkpoint, whose tokens mean nothing to them, only the
    /// moment.
    fn shown(self) -> Document {
        let mut copy = copy(match self {
            Subject::Watcher => WATCHER,
            Subject::Partition => PARTITION,
        });
        copy.insert("checkpoint", doc! { "time": "$checkpoint.time" });
        copy
    }

    /// A first stage, and the last one: it leaves a snapshot where the state is another one than the
    /// last snapshot tells, or another instance's, or of another split.
    pub(super) fn stages(self, first: &RawDocument) -> [RawDocumentBuf; 2] {
        let [a, b] = NAMES;
        let differs = |field: &&str| {
            let told = doc! { "$ifNull": [format!("${a}.{field}"), format!("${b}.{field}")] };
            doc! { "$ne": [format!("${field}"), told] }
        };
        let (fields, news) = match self {
            Subject::Watcher => (["state", "epoch", "split.generation"], News::WatcherState),
            Subject::Partition => (["state", "epoch", "generation"], News::WatcherPartition),
        };
        let differs: Vec<Document> = fields.iter().map(differs).collect();
        let last = stage_if(doc! { "$or": differs }, self.shown(), news.name());
        [first.to_owned(), raw(&last)]
    }
}

/// The last stage of an update by which somebody asks something of the watcher.
pub(super) fn stage_of_asking() -> RawDocumentBuf {
    raw(&stage_if(
        true,
        Subject::Watcher.shown(),
        News::WatcherAsked.name(),
    ))
}

/// An update of such a document as the stages that do the same, and leave a snapshot; none of one
/// that does not set the state, which is no news or tells all of it by itself.
pub(super) fn stages_of(subject: Subject, update: &RawDocument) -> Option<[RawDocumentBuf; 2]> {
    inside(raw::find(update, "$set")?, "state")?;
    let mut set = Writer::default();
    for operator in elements(update.as_bytes()) {
        for element in operator.value.elements() {
            let literal = field("$literal", element.value);
            let text = |text| Value::string(text);
            match operator.key {
                b"$set" => set.value(element.key, document_value(&literal)),
                b"$currentDate" => set.value(element.key, text("$$NOW").as_ref()),
                b"$unset" => set.value(element.key, text("$$REMOVE").as_ref()),
                b"$inc" => {
                    let own = Value::text(&[b"$", element.key].concat());
                    let mut sum = Writer::default();
                    sum.array("$add", [own.as_ref(), element.value]);
                    set.value(element.key, document_value(&sum.finish()))
                }
                // Left as it is, such an update is told of without its detail.
                _ => return None,
            };
        }
    }
    let set = field("$set", document_value(&set.finish()));
    Some(subject.stages(&set))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bson::Bson;

    use super::*;

    #[test]
    fn an_update_of_the_state_becomes_stages_that_do_the_same() {
        let update = raw(&doc! {
            "$set": { "state": "$starting", "owner": Bson::Null }, "$inc": { "epoch": 1_i64 },
            "$currentDate": { "alive_at": true }, "$unset": { "gap": "" },
        });
        let [set, _] = stages_of(Subject::Watcher, &update).unwrap();
        let expected = doc! { "$set": {
            "state": { "$literal": "$starting" }, "owner": { "$literal": Bson::Null },
            "epoch": { "$add": ["$epoch", 1_i64] }, "alive_at": "$$NOW", "gap": "$$REMOVE",
        } };
        assert_eq!(set, raw(&expected));
    }

    #[test]
    fn an_update_that_leaves_the_state_alone_or_is_not_understood_stays_as_it_is() {
        for update in [
            doc! { "$set": { "gap.batch_id": "b" } },
            doc! { "$unset": { "gap": "" }, "$set": { "closed_gap": { "to": 1 } } },
            doc! { "$setOnInsert": { "state": "stopped" } },
            doc! { "$set": { "state": "paused" }, "$push": { "list": 1 } },
        ] {
            let stages = stages_of(Subject::Partition, &raw(&update));
            assert_eq!(stages, None, "{update}");
        }
    }
}
