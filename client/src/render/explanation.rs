//! All that is known of one order: a card that ends with what to do, and what the history tells.

use order_archiver_api::{
    progress::words,
    v1::{
        ArchiveLikeness, ArchiveMatch, ExplainOrderResponse, ExplainedArchive, ExplainedOrder,
        NearMissKind, OrderHistory, QuarantineEntry, WatcherPassage, WatcherState,
    },
};

use super::{
    grid::{self, Fit},
    text::one_line,
    units::{bytes, moment, moment_or_dash},
};
use crate::fault::named;

/// Where an order stands, why, and what to do.
pub(crate) fn card(answer: &ExplainOrderResponse) -> String {
    let mut fields = vec![
        ("Numero", answer.numero_commande.clone()),
        ("Outcome", answer.summary.clone()),
    ];
    for order in &answer.orders {
        fields.extend(live(order, answer));
    }
    match (answer.orders.is_empty(), answer.more_orders) {
        (true, _) => fields.push(("Order", "none that is live".to_owned())),
        (false, true) => fields.push(("Order", "and others with this number".to_owned())),
        (false, false) => {}
    }
    match answer.archived.as_slice() {
        [] => fields.push(("Archived", "no".to_owned())),
        documents => fields.extend(documents.iter().flat_map(|it| archived(it, answer))),
    }
    let entries = answer.quarantined.iter().map(quarantined);
    fields.extend(entries.map(|entry| ("Quarantine", entry)));
    let replaced = answer.replaced.iter().map(|version| {
        let class = words(version.class().as_str_name(), "DIFFERENCE_CLASS_");
        let when = moment_or_dash(version.time.as_ref());
        format!("{when}, as {class}, by {}: {}", version.by, version.reason)
    });
    fields.extend(replaced.map(|version| ("Replaced", version)));
    let noted = answer.acknowledgements.iter().map(|noted| {
        let class = words(noted.class().as_str_name(), "DIFFERENCE_CLASS_");
        let when = moment_or_dash(noted.time.as_ref());
        format!("{when}, as {class}, by {}: {}", noted.by, noted.reason)
    });
    fields.extend(noted.map(|noted| ("Acknowledged", noted)));
    fields.push(("Watcher", watcher(answer)));
    let next = answer.next_batch_time.as_ref().map(moment);
    fields.push((
        "Next batch",
        next.unwrap_or_else(|| "none is scheduled here".to_owned()),
    ));
    let running = [
        ("batch", &answer.batch_id),
        ("verification", &answer.verification_id),
    ];
    let running = running.iter().filter(|(_, id)| !id.is_empty());
    let running: Vec<String> = running.map(|(what, id)| format!("{what} {id}")).collect();
    if !running.is_empty() {
        fields.push(("Running", running.join(", ")));
    }
    match answer.advice.as_slice() {
        [] => fields.push(("To do", "nothing".to_owned())),
        steps => {
            let labels = std::iter::once("To do").chain(std::iter::repeat(""));
            fields.extend(labels.zip(steps.iter().map(|step| step_of(step, answer))));
        }
    }
    let mut parts = vec![grid::card(fields)];
    // In one piece, so that it can be copied.
    let mends = answer.orders.iter().map(|order| order.mend.as_str());
    let mut mends: Vec<&str> = mends.filter(|mend| !mend.is_empty()).collect();
    mends.dedup();
    parts.extend(mends.iter().map(|mend| format!("  {}", one_line(mend))));
    parts.extend(answer.history.as_ref().map(history_of));
    parts.join("\n\n")
}

/// A step in the words of this program; a command for mongosh stands below.
fn step_of(step: &str, answer: &ExplainOrderResponse) -> String {
    let mends = answer.orders.iter().map(|order| order.mend.as_str());
    let mend = mends
        .filter(|mend| !mend.is_empty())
        .find(|mend| step.contains(mend));
    match mend {
        Some(mend) => named(&step.replace(mend, "the command for mongosh below")),
        None => named(step),
    }
}

fn live(order: &ExplainedOrder, answer: &ExplainOrderResponse) -> Vec<(&'static str, String)> {
    let ordered = order.date_commande.as_ref();
    let ordered = ordered.map_or_else(String::new, |time| format!(", ordered {}", moment(time)));
    let size = bytes(order.document_bytes);
    let mut fields = vec![
        ("Order", format!("{}{ordered}, {size}", order.order_id_json)),
        ("Status", status(order, &answer.delivered_status)),
    ];
    if !order.delivered && !order.status_code_points.is_empty() {
        fields.push(("", order.status_code_points.clone()));
    }
    if answer.orders.len() > 1 {
        fields.push(("", order.summary.clone()));
    }
    match order.watcher() {
        WatcherPassage::Passed => fields.push(("", "the watcher has passed it by".to_owned())),
        WatcherPassage::Ahead => fields.push(("", "the watcher has not got there yet".to_owned())),
        _ => {}
    }
    fields
}

/// The status, and what it is to the delivered one.
fn status(order: &ExplainedOrder, delivered: &str) -> String {
    let shown = match (order.status_escaped.as_str(), order.status_type.as_str()) {
        ("", "missing") => "none".to_owned(),
        ("", "string") => "a long text".to_owned(),
        ("", other) => format!("of type {other}"),
        (shown, _) => shown.to_owned(),
    };
    if order.delivered {
        return format!("{shown}, exactly the delivered one");
    }
    match order.near_miss_kind() {
        NearMissKind::Unspecified => format!("{shown}, not {delivered:?}"),
        kind => {
            let kind = words(kind.as_str_name(), "NEAR_MISS_KIND_");
            format!(
                "{shown}, only looks like {delivered:?} ({kind}): {}",
                order.difference
            )
        }
    }
}

fn archived(
    document: &ExplainedArchive,
    answer: &ExplainOrderResponse,
) -> Vec<(&'static str, String)> {
    let when = moment_or_dash(document.date_archivage.as_ref());
    let missing = match document.missing_fields.as_slice() {
        [] => "complete".to_owned(),
        fields => format!("without {}", fields.join(", ")),
    };
    let by = match document.archived_by.as_str() {
        "" => "a program that did not say",
        by => by,
    };
    let size = bytes(document.document_bytes);
    let mut fields = vec![("Archived", format!("{when} by {by}, {missing}, {size}"))];
    if document.numero_commande != answer.numero_commande {
        fields.push(("", format!("under the number {}", document.numero_commande)));
    }
    if document.archive_id_json != document.order_id_json || answer.orders.len() != 1 {
        fields.push(("", format!("as {}", document.archive_id_json)));
    }
    match document.belongs() {
        ArchiveMatch::OtherOrder => {
            let other = match document.order_numero_commande.as_str() {
                "" => "another live order".to_owned(),
                other => format!("the live order {other}"),
            };
            fields.push(("", format!("of {other}, by its _id")));
        }
        ArchiveMatch::None => fields.push(("", "of no live order".to_owned())),
        _ => {}
    }
    let fields_named = document.differing_fields.join(", ");
    match document.likeness() {
        ArchiveLikeness::Unspecified => {}
        ArchiveLikeness::Same => fields.push(("", "as the live order".to_owned())),
        _ => fields.push(("", format!("{}: {fields_named}", document.detail))),
    }
    fields
}

fn quarantined(entry: &QuarantineEntry) -> String {
    let since = moment_or_dash(entry.first_seen_time.as_ref());
    let reason = words(entry.reason().as_str_name(), "QUARANTINE_REASON_");
    format!("{} since {since}, {reason}: {}", entry.id, entry.detail)
}

fn watcher(answer: &ExplainOrderResponse) -> String {
    let state = match answer.watcher_state() {
        WatcherState::Unspecified => "nobody has ever watched".to_owned(),
        WatcherState::Stopped => "nobody watches".to_owned(),
        state => words(state.as_str_name(), "WATCHER_STATE_"),
    };
    match &answer.watcher_position_time {
        Some(time) => format!("{state}, has read up to {}", moment(time)),
        None => state,
    }
}

/// What happened, a row each, and how far back that was looked for.
fn history_of(history: &OrderHistory) -> String {
    let header = ["TIME", "WHAT", "STATUS", "DOCUMENT"];
    let rows = history.changes.iter().map(|change| {
        let status = match (change.status.as_str(), change.delivered) {
            ("", _) => String::new(),
            (status, true) => format!("{status} (delivered)"),
            (status, false) => status.to_owned(),
        };
        let document = match change.document_id_json.as_str() {
            "" => change.collection.clone(),
            id => format!("{}/{id}", change.collection),
        };
        [
            moment_or_dash(change.time.as_ref()),
            words(change.kind().as_str_name(), "ORDER_CHANGE_KIND_"),
            status,
            document,
        ]
    });
    let fit = Fit {
        numbers: &[],
        long: &["STATUS", "DOCUMENT"],
        spare: &["DOCUMENT"],
    };
    let mut parts = Vec::new();
    if !history.changes.is_empty() {
        parts.push(grid::fitted(header, &fit, rows));
    }
    if history.more_changes > 0 {
        parts.push(format!("and {} older changes", history.more_changes));
    }
    parts.push(reach(history));
    parts.join("\n")
}

fn reach(history: &OrderHistory) -> String {
    let what = match history.changes.is_empty() {
        true => "Nothing happened",
        false => "That is all",
    };
    match (&history.since_time, history.ends_there) {
        (Some(since), true) => {
            format!(
                "{what} since {}, where the database's history begins.",
                moment(since)
            )
        }
        (Some(since), false) => {
            format!(
                "{what} since {}; no further back was looked: {}.",
                moment(since),
                history.stopped
            )
        }
        (None, _) => format!("The history was not looked through: {}.", history.stopped),
    }
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{OrderChange, OrderChangeKind};
    use prost_types::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp {
        seconds: 1_760_624_625,
        nanos: 0,
    };

    fn near_miss() -> ExplainOrderResponse {
        ExplainOrderResponse {
            numero_commande: "CMD-1".to_owned(),
            summary: "not archived: its status only looks like \"livrée\"".to_owned(),
            advice: vec![
                "this mends it: db.a.updateMany()".to_owned(),
                "then `ArchiveOrder CMD-1`".to_owned(),
            ],
            delivered_status: "livrée".to_owned(),
            orders: vec![ExplainedOrder {
                order_id_json: "7".to_owned(),
                document_bytes: 640,
                status_type: "string".to_owned(),
                status_escaped: "\"Livrée\"".to_owned(),
                status_code_points: "U+004C".to_owned(),
                near_miss_kind: NearMissKind::Case.into(),
                difference: "other case".to_owned(),
                mend: "db.a.updateMany()".to_owned(),
                watcher: WatcherPassage::Passed.into(),
                ..ExplainedOrder::default()
            }],
            ..ExplainOrderResponse::default()
        }
    }

    #[test]
    fn an_order_that_only_looks_delivered_is_told_with_its_mend() {
        assert_eq!(
            card(&near_miss()),
            "\
Numero      CMD-1
Outcome     not archived: its status only looks like \"livrée\"
Order       7, 640 B
Status      \"Livrée\", only looks like \"livrée\" (case): other case
            U+004C
            the watcher has passed it by
Archived    no
Watcher     nobody has ever watched
Next batch  none is scheduled here
To do       this mends it: the command for mongosh below
            then `archctl archive CMD-1`

  db.a.updateMany()"
        );
    }

    #[test]
    fn a_history_says_how_far_back_it_was_looked_for() {
        let change = OrderChange {
            kind: OrderChangeKind::StatusSet.into(),
            time: Some(NOW),
            collection: "Commande".to_owned(),
            document_id_json: "7".to_owned(),
            status: "\"livrée\"".to_owned(),
            delivered: true,
        };
        let mut history = OrderHistory {
            changes: vec![change],
            more_changes: 3,
            since_time: Some(NOW),
            ends_there: true,
            stopped: String::new(),
        };
        assert_eq!(
            history_of(&history),
            "\
TIME                  WHAT        STATUS                DOCUMENT
2025-10-16 14:23:45Z  status set  \"livrée\" (delivered)  Commande/7
and 3 older changes
That is all since 2025-10-16 14:23:45Z, where the database's history begins."
        );
        history.changes.clear();
        (history.more_changes, history.ends_there) = (0, false);
        history.stopped = "the time was over: 10s".to_owned();
        assert_eq!(
            history_of(&history),
            "Nothing happened since 2025-10-16 14:23:45Z; no further back was looked: the time was over: 10s."
        );
        history.since_time = None;
        assert!(history_of(&history).starts_with("The history was not looked through"));
    }
}
