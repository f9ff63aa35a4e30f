//! What happened lately: a few events, kept for all who listen.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use order_archiver_api::v1 as pb;
use parking_lot::Mutex;
use pb::{EventKind, tail_events_response::Event as Body};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::snapshots::message;
use crate::{
    convert,
    observe::events::{Event, Live, Reader, Told},
    store::wire::changes::Start,
};

/// Events that are kept.
const KEPT: usize = 20;
/// The pause before a history that can't be read is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The latest events. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    events: VecDeque<pb::TailEventsResponse>,
    /// How many came since they were last told.
    came: usize,
}

impl Recent {
    /// Hears what a reader is told, and once that fails for good, or where there is none, what
    /// another one is that begins then.
    pub(super) async fn hear(self, live: Live, mut reader: Option<Reader>) {
        loop {
            if let Some(reader) = &mut reader {
                self.hear_all(reader).await;
            }
            sleep(PAUSE).await;
            reader = live.reader(&Start::Now).await.ok();
        }
    }

    /// Returns once the history can't be read any more.
    async fn hear_all(&self, reader: &mut Reader) {
        loop {
            match reader.next().await {
                Ok(told) => self.keep(&told),
                // It goes on from where it was.
                Err(error) if error.is_transient() => sleep(PAUSE).await,
                Err(_) => return,
            }
        }
    }

    fn keep(&self, told: &Told) {
        let Some(event) = &told.event else { return };
        let kind = convert::event_kind(event);
        // Figures tell of progress.
        if matches!(
            kind,
            EventKind::BatchProgress | EventKind::VerificationProgress
        ) {
            return;
        }
        let event = pb::TailEventsResponse {
            time: told.time.and_then(convert::timestamp),
            kind: kind.into(),
            detail_unknown: event.is_bare(),
            event: Some(short(event.clone())),
            ..pb::TailEventsResponse::default()
        };
        let mut kept = self.0.lock();
        kept.came += 1;
        kept.events.push_back(event);
        if kept.events.len() > KEPT {
            kept.events.pop_front();
        }
    }

    /// The latest events, if some of them are new, and how many new ones are not among them.
    pub(super) fn news(&self) -> Option<Value> {
        let mut kept = self.0.lock();
        let came = std::mem::take(&mut kept.came);
        let events: Vec<Value> = kept.events.iter().map(message).collect();
        let left_out = came.saturating_sub(events.len());
        (came > 0).then(|| json!({ "events": events, "left_out": left_out }))
    }
}

/// An event without what may be long and the figures tell anyway.
fn short(event: Event) -> Body {
    let mut body = convert::event_body(event);
    if let Body::Batch(batch) = &mut body {
        batch.near_misses.clear();
        batch.warnings.clear();
    }
    body
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn archived(number: usize) -> Told {
        Told {
            place: rawdoc! {},
            time: None,
            event: Some(Event::Archived {
                numero: format!("CMD-{number}"),
                missing: Vec::new(),
                date_archivage: None,
            }),
            bytes: 0,
        }
    }

    #[test]
    fn the_latest_are_kept_and_the_others_counted() {
        let recent = Recent::default();
        assert!(recent.news().is_none(), "nothing has happened");
        (0..3).for_each(|number| recent.keep(&archived(number)));
        let news = recent.news().unwrap();
        assert_eq!(news["events"].as_array().unwrap().len(), 3);
        assert_eq!(news["left_out"], 0);
        assert!(recent.news().is_none(), "nothing is new");
        (3..103).for_each(|number| recent.keep(&archived(number)));
        let news = recent.news().unwrap();
        let events = news["events"].as_array().unwrap();
        assert_eq!(events.len(), KEPT);
        assert_eq!(news["left_out"], 100 - KEPT);
        assert_eq!(events[KEPT - 1]["order"]["numero_commande"], "CMD-102");
    }
}
