//! Events, one a line.

use order_archiver_api::{
    paint::{Style, of_word},
    progress,
    statistics::thousands,
    text::{columns, cut},
    v1::{
        Batch, EventKind, GoneEvent, TailEventsResponse, Verdict, Verification,
        tail_events_response::Event,
    },
    verification,
};

use super::{
    ids, paint, quarantine,
    text::{one_line, words},
    units::moment_or_dash,
    watcher,
};

/// The blank columns between two parts of a line.
const GAP: &str = "  ";

/// When, what, and the rest of the story, in at most so many columns. Where there is a limit, ids
/// are as short as in tables.
pub(crate) fn line(event: &TailEventsResponse, most: Option<usize>) -> String {
    let time = moment_or_dash(event.time.as_ref());
    // The longer kinds are too rare to keep room for.
    let kind = format!("{:<14}", kind(event));
    let story = story(event, most.is_some());
    // Cut before there are colours, which take no columns.
    let mut room = most.unwrap_or(usize::MAX);
    let [time, kind, story] = [time, kind, story].map(|part| {
        let part = cut(&part, room);
        room = room.saturating_sub(columns(&part) + GAP.len());
        part
    });
    let kind = paint::painted(style(event), &kind);
    let line = [time, kind, story].join(GAP);
    line.trim_end().to_owned()
}

/// What happened, in a word or two.
pub(crate) fn kind(event: &TailEventsResponse) -> String {
    words(event.kind().as_str_name(), "EVENT_KIND_")
}

/// The rest of the story, on one line, with ids as short as in tables or whole.
pub(crate) fn story(event: &TailEventsResponse, short_ids: bool) -> String {
    let id = |id: &str| match short_ids {
        true => ids::short(id, ids::length([id])),
        false => id.to_owned(),
    };
    let story = event.event.as_ref().map(|story| match story {
        story if event.detail_unknown => bare_story(story),
        Event::Order(order) if order.missing_fields.is_empty() => order.numero_commande.clone(),
        Event::Order(order) => format!(
            "{}, without {}",
            order.numero_commande,
            order.missing_fields.join(", ")
        ),
        Event::Quarantine(entry) => match &entry.release {
            Some(release) => quarantine::release_story(entry, &id(&entry.id), release),
            None => quarantine::line(entry, &id(&entry.id)),
        },
        Event::Batch(batch) => batch_story(event.kind(), batch, &id(&batch.id)),
        Event::Verification(verification) => {
            verification_story(event.kind(), verification, &id(&verification.id))
        }
        Event::Watcher(watcher) => match &watcher.asked_by {
            Some(asked) if event.kind() == EventKind::WatcherAsked => watcher::asked_story(asked),
            _ => watcher::state_story(watcher),
        },
        Event::WatchPartition(partition) => watcher::partition_story(partition),
        Event::Gone(gone) => gone_story(gone),
        Event::Gap(gap) if event.kind() == EventKind::GapClosed => watcher::gap_closed_story(gap),
        Event::Gap(gap) => watcher::gap_opened_story(gap),
    });
    one_line(&story.unwrap_or_default())
}

/// What little is known of an event whose detail is not.
fn bare_story(story: &Event) -> String {
    let known = match story {
        Event::Quarantine(entry) => entry.id.clone(),
        Event::Batch(batch) => batch.id.clone(),
        Event::Verification(verification) => verification.id.clone(),
        Event::Watcher(watcher) => watcher::state(watcher),
        Event::WatchPartition(partition) => format!("partition {}", partition.index),
        Event::Order(_) | Event::Gap(_) | Event::Gone(_) => String::new(),
    };
    format!("{known}  (the history tells no more of it)")
}

/// How many orders, and which as far as that is told.
fn gone_story(gone: &GoneEvent) -> String {
    let named = gone.order_ids_json.join(", ");
    let more = gone.orders - gone.order_ids_json.len() as i64;
    let more = match more {
        ..1 => String::new(),
        more => format!(" and {} more", thousands(more)),
    };
    format!("{} before read: {named}{more}", thousands(gone.orders))
}

fn batch_story(kind: EventKind, batch: &Batch, id: &str) -> String {
    match kind {
        EventKind::BatchStarted => id.to_owned(),
        _ => format!("{id}  {}", progress::line(batch)),
    }
}

fn verification_story(kind: EventKind, verification: &Verification, id: &str) -> String {
    match kind {
        EventKind::VerificationStarted => id.to_owned(),
        _ => format!("{id}  {}", verification::line(verification)),
    }
}

/// What happened in the colour of what it means: a batch that has finished may have failed.
pub(crate) fn style(event: &TailEventsResponse) -> Style {
    match &event.event {
        Some(Event::Batch(batch))
            if event.kind() == EventKind::BatchFinished && !event.detail_unknown =>
        {
            of_word(&progress::state(batch))
        }
        Some(Event::Verification(verification))
            if event.kind() == EventKind::VerificationFinished && !event.detail_unknown =>
        {
            of_verdict(verification)
        }
        _ => of_word(&kind(event)),
    }
}

/// The style of what a verification says, or of how it ended without saying anything.
fn of_verdict(verification: &Verification) -> Style {
    match verification.verdict() {
        Verdict::Unspecified => of_word(&verification::state(verification)),
        verdict => of_word(&words(verdict.as_str_name(), "VERDICT_")),
    }
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{
        AskedBy, BatchState, BatchStopReason, Gap, OrderCounts, OrderEvent, QuarantineEntry,
        QuarantineReason, Release, ReleaseCause, VerificationCounts, VerificationState,
        WatchPartition, Watcher, WatcherState,
    };
    use prost_types::Timestamp;

    use super::*;

    fn told(kind: EventKind, event: Option<Event>) -> String {
        let event = TailEventsResponse {
            time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            kind: kind.into(),
            event,
            ..TailEventsResponse::default()
        };
        line(&event, None)
    }

    fn bare(kind: EventKind, event: Event) -> String {
        let event = TailEventsResponse {
            time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            kind: kind.into(),
            event: Some(event),
            detail_unknown: true,
            ..TailEventsResponse::default()
        };
        line(&event, None)
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
        let watcher = Watcher {
            state: WatcherState::Watching.into(),
            instance: "archd-1".to_owned(),
            ..Watcher::default()
        };
        let paused = Watcher {
            state: WatcherState::Paused.into(),
            asked_by: Some(AskedBy {
                pause: true,
                instance: "archd-2".to_owned(),
                peer: "10.0.0.7:50712".to_owned(),
                ..AskedBy::default()
            }),
            ..watcher.clone()
        };
        let partition = WatchPartition {
            index: 2,
            of: 4,
            instance: "archd-2".to_owned(),
            state: WatcherState::Retrying.into(),
            last_error: "no primary".to_owned(),
            ..WatchPartition::default()
        };
        let released = QuarantineEntry {
            release: Some(Release {
                cause: ReleaseCause::Dropped.into(),
                instance: "archd-2".to_owned(),
                peer: "10.0.0.7:50712".to_owned(),
            }),
            ..entry.clone()
        };
        let verification = Verification {
            id: "v-1".to_owned(),
            state: VerificationState::Running.into(),
            counts: Some(VerificationCounts {
                delivered: 1_234,
                missing: 3,
                ..VerificationCounts::default()
            }),
            ..Verification::default()
        };
        let verified = Verification {
            state: VerificationState::Succeeded.into(),
            verdict: Verdict::NotVerified.into(),
            verdict_text: "NOT VERIFIED: 3 missing".to_owned(),
            ..verification.clone()
        };
        let bare_batch = Batch {
            id: "b-1".to_owned(),
            ..Batch::default()
        };
        let gap = Gap {
            to_time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            batch_id: "b-7".to_owned(),
            cause: "first start".to_owned(),
            ..Gap::default()
        };
        let gone = GoneEvent {
            orders: 1_002,
            order_ids_json: vec!["\"a\"".to_owned(), "7".to_owned()],
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
                "batch finished  b-1  succeeded (no delivered order was left) · 2 orders · 2 archived",
            ),
            (
                told(EventKind::WatcherState, Some(Event::Watcher(watcher))),
                "watcher state   archd-1  watching",
            ),
            (
                told(
                    EventKind::WatcherState,
                    Some(Event::Watcher(paused.clone())),
                ),
                "watcher state   archd-1  paused, asked by 10.0.0.7:50712 through archd-2",
            ),
            (
                told(EventKind::WatcherAsked, Some(Event::Watcher(paused))),
                "watcher asked   to pause, by 10.0.0.7:50712 through archd-2",
            ),
            (
                told(
                    EventKind::WatcherPartition,
                    Some(Event::WatchPartition(partition)),
                ),
                "watcher partition  2 of 4  archd-2  retrying: no primary",
            ),
            (
                told(EventKind::Released, Some(Event::Quarantine(released))),
                "released        CMD-2  q-1  dropped by 10.0.0.7:50712 through archd-2",
            ),
            (
                told(
                    EventKind::VerificationStarted,
                    Some(Event::Verification(verification.clone())),
                ),
                "verification started  v-1",
            ),
            (
                told(
                    EventKind::VerificationProgress,
                    Some(Event::Verification(verification.clone())),
                ),
                "verification progress  v-1  1,234 orders · 3 missing",
            ),
            (
                told(
                    EventKind::VerificationFinished,
                    Some(Event::Verification(verified)),
                ),
                "verification finished  v-1  NOT VERIFIED: 3 missing",
            ),
            (
                bare(
                    EventKind::VerificationFinished,
                    Event::Verification(verification),
                ),
                "verification finished  v-1  (the history tells no more of it)",
            ),
            (
                bare(EventKind::BatchProgress, Event::Batch(bare_batch)),
                "batch progress  b-1  (the history tells no more of it)",
            ),
            (
                told(EventKind::GapOpened, Some(Event::Gap(gap.clone()))),
                "gap opened      all before 2025-10-16 14:23:45Z: first start; catch-up batch b-7",
            ),
            (
                told(EventKind::GapClosed, Some(Event::Gap(gap))),
                "gap closed      all before 2025-10-16 14:23:45Z; by catch-up batch b-7",
            ),
            (
                told(EventKind::Gone, Some(Event::Gone(gone))),
                "gone            1,002 before read: \"a\", 7 and 1,000 more",
            ),
        ] {
            assert_eq!(line, format!("2025-10-16 14:23:45Z  {wanted}"));
        }
    }

    #[test]
    fn a_line_is_cut_to_the_screen_and_is_never_wider() {
        let event = TailEventsResponse {
            time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            kind: EventKind::Archived.into(),
            event: order(&[]),
            ..TailEventsResponse::default()
        };
        for (most, wanted) in [
            (43, "2025-10-16 14:23:45Z  archived        CMD-1"),
            (42, "2025-10-16 14:23:45Z  archived        CMD…"),
            (39, "2025-10-16 14:23:45Z  archived        …"),
            (38, "2025-10-16 14:23:45Z  archived"),
            (28, "2025-10-16 14:23:45Z  archi…"),
            (12, "2025-10-16…"),
        ] {
            assert_eq!(line(&event, Some(most)), wanted);
        }
    }
}
