//! All that is known of one order.

use bson::DateTime;
use order_archiver_api::v1 as pb;

use super::{
    near_misses,
    time::{cluster_time, timestamp},
};
use crate::{
    domain::{
        explanation::conclusion::{Conclusion, Likeness, Standing},
        text::{cut, escaped},
        verify::{class::Class, compare::Match},
    },
    store::{
        acknowledgements::record::Acknowledgement,
        encoding::ext_json,
        explanation::{
            Archived, Belongs, LiveOrder, Status,
            history::{Change, ChangeKind, History},
        },
        replaced::record::Replaced,
    },
};

/// The most of an `_id` and of a number that a message carries, in bytes.
const LONGEST_ID: usize = 1_024;
/// The most of a status with escapes, in bytes.
const LONGEST_STATUS: usize = 512;

pub(crate) fn conclusion(conclusion: Conclusion) -> pb::OrderConclusion {
    match conclusion {
        Conclusion::ArchivedTwice => pb::OrderConclusion::ArchivedTwice,
        Conclusion::SeveralOrders => pb::OrderConclusion::SeveralOrders,
        Conclusion::OtherNumber => pb::OrderConclusion::OtherNumber,
        Conclusion::NoLongerDelivered => pb::OrderConclusion::NoLongerDelivered,
        Conclusion::Different => pb::OrderConclusion::Different,
        Conclusion::ArchivedInPart => pb::OrderConclusion::ArchivedInPart,
        Conclusion::Damaged => pb::OrderConclusion::Damaged,
        Conclusion::OtherId => pb::OrderConclusion::OtherId,
        Conclusion::Archived => pb::OrderConclusion::Archived,
        Conclusion::ArchivedAlone => pb::OrderConclusion::ArchivedAlone,
        Conclusion::Quarantined => pb::OrderConclusion::Quarantined,
        Conclusion::NumberTaken => pb::OrderConclusion::NumberTaken,
        Conclusion::NotArchived => pb::OrderConclusion::NotArchived,
        Conclusion::NearMiss => pb::OrderConclusion::NearMiss,
        Conclusion::NotDelivered => pb::OrderConclusion::NotDelivered,
        Conclusion::Gone => pb::OrderConclusion::Gone,
    }
}

/// A live order, but for what there is to say of it.
pub(crate) fn explained_order(order: &LiveOrder) -> pb::ExplainedOrder {
    let near_miss = order.status.near_miss.clone().unwrap_or_default();
    pb::ExplainedOrder {
        order_id_json: ext_json::shown(order.id.as_ref(), LONGEST_ID),
        date_commande: order.ordered.and_then(timestamp),
        document_bytes: whole(order.bytes),
        delivered: order.status.standing == Standing::Delivered,
        status_type: order.status.type_name.clone(),
        status_json: order.status.json.clone(),
        status_escaped: shown(&order.status),
        status_code_points: order.status.code_points.clone(),
        near_miss_kind: near_misses::kind_of(near_miss.kind).into(),
        difference: near_miss.difference,
        mend: near_miss.mend,
        ..pb::ExplainedOrder::default()
    }
}

/// An archived document. `orders` are the live orders with the number that was asked for.
pub(crate) fn explained_archive(document: &Archived, orders: &[LiveOrder]) -> pb::ExplainedArchive {
    let id_json = ext_json::shown(document.id.as_ref(), LONGEST_ID);
    let (belongs, order_id_json, order_numero_commande) = match &document.belongs {
        Belongs::To(at, by) => {
            let order = ext_json::shown(orders[*at].id.as_ref(), LONGEST_ID);
            let by = match by {
                Match::Id => pb::ArchiveMatch::Id,
                Match::Number => pb::ArchiveMatch::Number,
            };
            (by, order, String::new())
        }
        Belongs::Elsewhere(numero) => {
            let numero = numero.as_deref().unwrap_or_default();
            (
                pb::ArchiveMatch::OtherOrder,
                id_json.clone(),
                cut(numero, LONGEST_ID),
            )
        }
        Belongs::Nowhere => (pb::ArchiveMatch::None, String::new(), String::new()),
    };
    let found = document.found.as_ref().and_then(Option::as_ref);
    // Of a document that belongs to no order here, only its own notes were looked at.
    let compared = document.found.is_some() && matches!(document.belongs, Belongs::To(..));
    let likeness = match found {
        Some(found) if found.class == Class::Damaged => pb::ArchiveLikeness::Damaged,
        found if compared => likeness(Likeness::of(found)),
        _ => pb::ArchiveLikeness::Unspecified,
    };
    pb::ExplainedArchive {
        archive_id_json: id_json,
        numero_commande: cut(document.numero.as_deref().unwrap_or_default(), LONGEST_ID),
        date_archivage: document.archived.and_then(timestamp),
        archived_by: document.by.clone(),
        incomplete: document.incomplete,
        missing_fields: document.missing.clone(),
        document_bytes: whole(document.bytes),
        belongs: belongs.into(),
        order_id_json,
        order_numero_commande,
        likeness: likeness.into(),
        differing_fields: found.map_or_else(Vec::new, |found| found.fields.clone()),
        detail: found.map_or_else(String::new, |found| found.detail.clone()),
    }
}

fn likeness(likeness: Likeness) -> pb::ArchiveLikeness {
    match likeness {
        Likeness::Same => pb::ArchiveLikeness::Same,
        Likeness::Damaged => pb::ArchiveLikeness::Damaged,
        Likeness::InPart => pb::ArchiveLikeness::InPart,
        Likeness::Different => pb::ArchiveLikeness::Different,
    }
}

pub(crate) fn acknowledgement(noted: Acknowledgement) -> pb::Acknowledgement {
    pb::Acknowledgement {
        numero_commande: noted.of.numero,
        class: difference_class(&noted.of.class).into(),
        reason: noted.reason,
        by: noted.by,
        time: timestamp(noted.created),
    }
}

pub(crate) fn replaced(replaced: Replaced) -> pb::ReplacedVersion {
    pb::ReplacedVersion {
        id: replaced.id,
        archive_id_json: ext_json::shown(replaced.archive_id.as_ref(), LONGEST_ID),
        class: difference_class(&replaced.class).into(),
        reason: replaced.reason,
        by: replaced.by,
        time: timestamp(replaced.created),
    }
}

/// The class of this name in the database; unspecified where this version knows none.
fn difference_class(name: &str) -> pb::DifferenceClass {
    let name = format!("DIFFERENCE_CLASS_{}", name.to_ascii_uppercase());
    pb::DifferenceClass::from_str_name(&name).unwrap_or(pb::DifferenceClass::Unspecified)
}

pub(crate) fn history(history: History) -> pb::OrderHistory {
    pb::OrderHistory {
        changes: history.changes.into_iter().map(change).collect(),
        more_changes: i32::try_from(history.more).unwrap_or(i32::MAX),
        since_time: history.since.map(cluster_time),
        ends_there: history.ends_there,
        stopped: history.stopped,
    }
}

fn change(change: Change) -> pb::OrderChange {
    let id = change.id.as_ref();
    pb::OrderChange {
        kind: change_kind(change.kind).into(),
        time: change.at.and_then(|at: DateTime| timestamp(at)),
        collection: change.collection,
        document_id_json: id
            .map_or_else(String::new, |id| ext_json::shown(id.as_ref(), LONGEST_ID)),
        status: change.status.as_ref().map_or_else(String::new, shown),
        delivered: change
            .status
            .is_some_and(|it| it.standing == Standing::Delivered),
    }
}

fn change_kind(kind: ChangeKind) -> pb::OrderChangeKind {
    match kind {
        ChangeKind::OrderCreated => pb::OrderChangeKind::OrderCreated,
        ChangeKind::StatusSet => pb::OrderChangeKind::StatusSet,
        ChangeKind::OrderChanged => pb::OrderChangeKind::OrderChanged,
        ChangeKind::OrderReplaced => pb::OrderChangeKind::OrderReplaced,
        ChangeKind::OrderDeleted => pb::OrderChangeKind::OrderDeleted,
        ChangeKind::Archived => pb::OrderChangeKind::Archived,
        ChangeKind::ArchiveChanged => pb::OrderChangeKind::ArchiveChanged,
        ChangeKind::ArchiveDeleted => pb::OrderChangeKind::ArchiveDeleted,
        ChangeKind::Quarantined => pb::OrderChangeKind::Quarantined,
        ChangeKind::QuarantineChanged => pb::OrderChangeKind::QuarantineChanged,
        ChangeKind::QuarantineLeft => pb::OrderChangeKind::QuarantineLeft,
        ChangeKind::CollectionGone => pb::OrderChangeKind::CollectionGone,
        ChangeKind::Other => pb::OrderChangeKind::Unspecified,
    }
}

/// A status with whatever can't be seen as escapes.
fn shown(status: &Status) -> String {
    cut(&escaped(&status.json), LONGEST_STATUS)
}

fn whole(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
