//! Events, one a line.

use order_archiver_api::v1::{
    Batch, EventKind, Gap, TailEventsResponse, Watcher, tail_events_response::Event,
};

use super::{
    batch, quarantine,
    text::{one_line, words},
    units::moment_or_dash,
};

/// When, what, and the rest of the story.
pub(crate) fn line(event: &TailEventsResponse) -> String {
    let time = moment_or_dash(event.time.as_ref());
    let kind = words(event.kind().as_str_name(), "EVENT_KIND_");
    let story = event.event.as_ref().map(|story| match story {
        Event::Order(order) if order.missing_fields.is_empty() => order.numero_commande.clone(),
        Event::Order(order) => format!(
            "{}, without {}",
            order.numero_commande,
            order.missing_fields.join(", ")
        ),
        Event::Quarantine(entry) => quarantine::line(entry),
        Event::Batch(batch) => batch_story(event.kind(), batch),
        Event::Watcher(watcher) => watcher_story(watcher),
        Event::Gap(gap) => gap_story(gap),
    });
    // The longest kind that there is today has 14 letters.
    one_line(format!("{time}  {kind:<14}  {}", story.unwrap_or_default()).trim_end())
}

fn batch_story(kind: EventKind, batch: &Batch) -> String {
    match kind {
        EventKind::BatchStarted => batch.id.clone(),
        _ => format!("{}  {}", batch.id, batch::progress(batch)),
    }
}

fn watcher_story(watcher: &Watcher) -> String {
    let state = words(watcher.state().as_str_name(), "WATCHER_STATE_");
    format!("{}  {state}  {}", watcher.instance, watcher.last_error)
}

fn gap_story(gap: &Gap) -> String {
    let (from, to) = (
        moment_or_dash(gap.from_time.as_ref()),
        moment_or_dash(gap.to_time.as_ref()),
    );
    format!("{from} to {to}, batch {}: {}", gap.batch_id, gap.cause)
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{
        BatchState, BatchStopReason, OrderCounts, OrderEvent, QuarantineEntry, QuarantineReason,
    };
    use prost_types::Timestamp;

    use super::*;

    fn told(kind: EventKind, event: Option<Event>) -> String {
        line(&TailEventsResponse {
            time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            kind: kind.into(),
            event,
            ..TailEventsResponse::default()
        })
    }

    fn order(missing: &[&str]) -> Option<Event> {
        Some(Event::Order(OrderEvent {
            numero_commande: "CMD-1".to_owned(),
            missing_fields: missing.iter().map(|&field| field.to_owned()).collect(),
            ..OrderEvent::default()
        }))
    }

    #[test]
    fn every_kind_has_its_line() {
        let entry = QuarantineEntry {
            id: "q-1".to_owned(),
            numero_commande: Some("CMD-2".to_owned()),
            reason: QuarantineReason::NumberConflict.into(),
            detail: "another order is archived under CMD-2".to_owned(),
            ..QuarantineEntry::default()
        };
        let batch = Batch {
            id: "b-1".to_owned(),
            state: BatchState::Succeeded.into(),
            stop_reason: BatchStopReason::Exhausted.into(),
            counts: Some(OrderCounts {
                found: 2,
                archived: 2,
                ..OrderCounts::default()
            }),
            ..Batch::default()
        };
        let running = Batch {
            state: BatchState::Running.into(),
            ..batch.clone()
        };
        for (line, wanted) in [
            (told(EventKind::Heartbeat, None), "heartbeat"),
            (
                told(EventKind::Archived, order(&[])),
                "archived        CMD-1",
            ),
            (
                told(EventKind::Incomplete, order(&["prix_menu"])),
                "incomplete      CMD-1, without prix_menu",
            ),
            (
                told(EventKind::Conflict, Some(Event::Quarantine(entry))),
                "conflict        CMD-2  q-1  number conflict: another order is archived under CMD-2",
            ),
            (
                told(EventKind::BatchStarted, Some(Event::Batch(running.clone()))),
                "batch started   b-1",
            ),
            (
                told(EventKind::BatchProgress, Some(Event::Batch(running))),
                "batch progress  b-1  2 orders · 2 archived",
            ),
            (
                told(EventKind::BatchFinished, Some(Event::Batch(batch))),
                "batch finished  b-1  2 orders · 2 archived · succeeded (exhausted)",
            ),
        ] {
            assert_eq!(line, format!("2025-10-16 14:23:45Z  {wanted}"));
        }
    }
}
