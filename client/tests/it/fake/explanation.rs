//! Answers about where an order stands: its number says where that is.

use order_archiver_api::v1::{
    ArchiveLikeness, ArchiveMatch, ExplainOrderResponse, ExplainedArchive, ExplainedOrder,
    NearMissKind, OrderChange, OrderChangeKind, OrderConclusion, OrderHistory, WatcherPassage,
    WatcherState,
};
use tonic::{Code, Status};

use super::{news::NOW, refusal};

const MEND: &str = r#"db.getCollection("Commande").updateMany({ status: { $eq: "livre\u0301e" } }, { $set: { status: "livrée" } })"#;
const ID: &str = "{\"$oid\":\"65f0c3a1b2c3d4e5f6071829\"}";

/// What there is to say of an order.
pub(super) fn of(number: &str) -> Result<ExplainOrderResponse, Status> {
    let order = ExplainedOrder {
        order_id_json: ID.to_owned(),
        date_commande: Some(NOW),
        document_bytes: 1_234,
        delivered: true,
        status_type: "string".to_owned(),
        status_json: "\"livrée\"".to_owned(),
        status_escaped: "\"livrée\"".to_owned(),
        status_code_points: "U+006C U+0069 U+0076 U+0072 U+00E9 U+0065".to_owned(),
        watcher: WatcherPassage::Passed.into(),
        ..ExplainedOrder::default()
    };
    let answer = ExplainOrderResponse {
        numero_commande: number.to_owned(),
        delivered_status: "livrée".to_owned(),
        watcher_state: WatcherState::Watching.into(),
        watcher_position_time: Some(NOW),
        next_batch_time: Some(NOW),
        read_time: Some(NOW),
        ..ExplainOrderResponse::default()
    };
    match number {
        "CMD-2025-000001" => Ok(ExplainOrderResponse {
            conclusion: OrderConclusion::Archived.into(),
            summary: "archived; its own fields are those of the live order, byte for byte".to_owned(),
            orders: vec![order],
            archived: vec![ExplainedArchive {
                archive_id_json: ID.to_owned(),
                numero_commande: number.to_owned(),
                date_archivage: Some(NOW),
                archived_by: "script v2.0".to_owned(),
                document_bytes: 1_480,
                belongs: ArchiveMatch::Id.into(),
                order_id_json: ID.to_owned(),
                likeness: ArchiveLikeness::Same.into(),
                ..ExplainedArchive::default()
            }],
            ..answer
        }),
        "CMD-2025-000009" => Ok(ExplainOrderResponse {
            conclusion: OrderConclusion::NearMiss.into(),
            summary: "not archived: its status only looks like \"livrée\" (decomposed accent: e + U+0301)".to_owned(),
            advice: vec![
                format!("this mends all orders with such a status: {MEND}"),
                "then the watcher archives it".to_owned(),
            ],
            orders: vec![ExplainedOrder {
                delivered: false,
                status_json: "\"livre\u{301}e\"".to_owned(),
                status_escaped: r#""livre\u0301e""#.to_owned(),
                status_code_points: "U+006C U+0069 U+0076 U+0072 U+0065 U+0301 U+0065".to_owned(),
                near_miss_kind: NearMissKind::AccentForm.into(),
                difference: "decomposed accent: e + U+0301".to_owned(),
                mend: MEND.to_owned(),
                ..order
            }],
            ..answer
        }),
        _ => {
            let message = format!("nothing is known of {number}");
            Err(refusal(Code::NotFound, "NOT_FOUND", &message, &[]))
        }
    }
}

/// What happened to it.
pub(super) fn history() -> OrderHistory {
    let change = |kind: OrderChangeKind, status: &str, delivered| OrderChange {
        kind: kind.into(),
        time: Some(NOW),
        collection: "Commande".to_owned(),
        document_id_json: ID.to_owned(),
        status: status.to_owned(),
        delivered,
    };
    OrderHistory {
        changes: vec![
            change(OrderChangeKind::Archived, "", false),
            change(OrderChangeKind::StatusSet, "\"livrée\"", true),
            change(OrderChangeKind::OrderCreated, "\"en_attente\"", false),
        ],
        more_changes: 0,
        since_time: Some(NOW),
        ends_there: true,
        stopped: String::new(),
    }
}
