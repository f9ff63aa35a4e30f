//! Where a tail is in the history: what it asks for next, and how a person goes on from there.

use order_archiver_api::v1::{TailEventsResponse, tail_events_request::Start};
use prost_types::Timestamp;

use crate::shell;

/// The place of a reader.
pub(super) struct Place {
    /// Where the next stream is to start; none is now.
    pub(super) start: Option<Start>,
    /// The moment of the last message, or the one that was asked for.
    pub(super) time: Option<Timestamp>,
    /// Whether the server has named the place: a cursor that it has yet to accept is not worth
    /// passing on.
    confirmed: bool,
}

impl Place {
    pub(super) fn new(start: Option<Start>) -> Self {
        let time = match start {
            Some(Start::SinceTime(time)) => Some(time),
            _ => None,
        };
        Self {
            start,
            time,
            confirmed: false,
        }
    }

    /// Moves on behind a message that was dealt with; a heartbeat counts as much as an event.
    pub(super) fn advance(&mut self, event: TailEventsResponse) {
        // A server of an older release knows no cursors.
        if !event.cursor.is_empty() {
            self.start = Some(Start::Cursor(event.cursor));
            self.time = event.time.or(self.time);
            self.confirmed = true;
        }
    }

    /// Takes the place that the server remembers, where there is no better one.
    pub(super) fn fall_back(&mut self, cursor: &str) {
        // The reader's own place stands behind what was printed, and the server's behind what was
        // sent.
        if self.start.is_none() {
            self.start = Some(Start::Cursor(cursor.to_owned()));
            self.confirmed = true;
        }
    }

    /// The command that goes on from here, once the server has named the place.
    pub(super) fn command(&self) -> Option<String> {
        match &self.start {
            Some(Start::Cursor(cursor)) if self.confirmed => {
                Some(format!("archctl tail --cursor {}", shell::word(cursor)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cursor: &str, seconds: i64) -> TailEventsResponse {
        TailEventsResponse {
            cursor: cursor.to_owned(),
            time: Some(Timestamp { seconds, nanos: 0 }),
            ..TailEventsResponse::default()
        }
    }

    #[test]
    fn every_message_moves_the_place() {
        let since = Timestamp {
            seconds: 7,
            nanos: 0,
        };
        let mut place = Place::new(Some(Start::SinceTime(since)));
        assert_eq!((place.time, place.command()), (Some(since), None));
        place.advance(message("c-1", 8));
        place.advance(message("", 9));
        assert_eq!(place.start, Some(Start::Cursor("c-1".to_owned())));
        assert_eq!(place.time.map(|time| time.seconds), Some(8));
    }

    #[test]
    fn the_readers_own_cursor_comes_first() {
        let mut place = Place::new(None);
        place.fall_back("c-5");
        assert_eq!(place.start, Some(Start::Cursor("c-5".to_owned())));
        place.advance(message("c-6", 8));
        place.fall_back("c-9");
        assert_eq!(place.start, Some(Start::Cursor("c-6".to_owned())));
    }

    #[test]
    fn a_cursor_that_was_typed_is_passed_on_once_it_was_accepted() {
        let mut place = Place::new(Some(Start::Cursor("c-1".to_owned())));
        assert_eq!(place.command(), None);
        place.advance(message("c-1", 8));
        assert!(place.command().is_some());
    }

    #[test]
    fn a_cursor_can_be_pasted() {
        for (cursor, word) in [
            ("AbC-_.=+/1", "AbC-_.=+/1"),
            ("a b", "'a b'"),
            ("$(rm)'", r"'$(rm)'\'''"),
        ] {
            let mut place = Place::new(None);
            place.advance(message(cursor, 8));
            assert_eq!(
                place.command(),
                Some(format!("archctl tail --cursor {word}"))
            );
        }
    }
}
