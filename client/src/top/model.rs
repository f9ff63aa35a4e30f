//! What the screen shows: what was heard of the server, and what somebody chose by keys.

use std::{collections::VecDeque, ops::ControlFlow};

use chrono::{DateTime, Utc};
use order_archiver_api::v1::{EventKind, TailEventsResponse};

use super::{
    ask::{Figures, News},
    keys::Key,
};

/// The most events that are kept.
const MOST_EVENTS: usize = 500;
/// How many rows a page of a list is, for keys.
const PAGE: usize = 10;

/// What was heard of the server.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) figures: Figures,
    /// When they were heard, by this machine's clock; none before the first answer.
    pub(super) answered: Option<DateTime<Utc>>,
    /// Why there was no answer since.
    pub(super) fault: Option<String>,
    /// The latest first.
    pub(super) events: VecDeque<TailEventsResponse>,
    /// Why no events come.
    pub(super) events_fault: Option<String>,
}

/// A list that the screen shows one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Events,
    Instances,
    Quarantine,
    NearMisses,
}

impl List {
    pub(super) const ALL: [Self; 4] = [
        Self::Events,
        Self::Instances,
        Self::Quarantine,
        Self::NearMisses,
    ];

    /// How many of its columns it can be sorted by, from the first one on.
    fn sortable(self) -> usize {
        match self {
            // They are as they happened.
            Self::Events => 1,
            Self::Instances | Self::Quarantine => 5,
            Self::NearMisses => 4,
        }
    }
}

/// By which column a list is sorted, and whether its highest values come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: usize,
    pub(super) descending: bool,
}

/// All that there is to draw.
#[derive(Clone, Debug)]
pub(super) struct Model {
    /// Where the server is.
    pub(super) endpoint: String,
    /// This moment, by this machine's clock.
    pub(super) now: DateTime<Utc>,
    heard: Heard,
    /// What was heard up to the pause, while there is one.
    held: Option<Box<Heard>>,
    pub(super) list: List,
    orders: [Order; 4],
    /// How many rows of the list are scrolled past.
    pub(super) scrolled: usize,
    pub(super) help: bool,
}

impl Model {
    pub(super) fn new(endpoint: String) -> Self {
        let order = |column, descending| Order { column, descending };
        Self {
            endpoint,
            now: Utc::now(),
            heard: Heard::default(),
            held: None,
            list: List::Events,
            // Events, entries and near misses: what is latest, or most, first.
            orders: [
                order(0, true),
                order(0, false),
                order(3, true),
                order(1, true),
            ],
            scrolled: 0,
            help: false,
        }
    }

    /// What is shown: while it is paused, what was known then.
    pub(super) fn shown(&self) -> &Heard {
        self.held.as_deref().unwrap_or(&self.heard)
    }

    pub(super) fn is_paused(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn order(&self) -> Order {
        self.orders[self.list as usize]
    }

    pub(super) fn hear(&mut self, news: News) {
        let heard = &mut self.heard;
        match news {
            News::Figures(figures) => {
                heard.figures = *figures;
                heard.answered = Some(Utc::now());
                heard.fault = None;
            }
            News::NoAnswer(why) => heard.fault = Some(why),
            News::NoEvents(why) => heard.events_fault = Some(why),
            News::Event(event) => {
                heard.events_fault = None;
                if event.kind() != EventKind::Heartbeat {
                    heard.events.push_front(*event);
                    heard.events.truncate(MOST_EVENTS);
                }
            }
        }
    }

    /// Does what a key is for; breaks when that is to end the program.
    pub(super) fn press(&mut self, key: Key) -> ControlFlow<()> {
        match key {
            Key::Quit => return ControlFlow::Break(()),
            Key::Escape if !self.help => return ControlFlow::Break(()),
            Key::Escape => self.help = false,
            Key::Help => self.help = !self.help,
            Key::Pause => {
                self.held = match self.held {
                    Some(_) => None,
                    None => Some(Box::new(self.heard.clone())),
                }
            }
            Key::Sort => {
                let sortable = self.list.sortable();
                let order = &mut self.orders[self.list as usize];
                order.column = (order.column + 1) % sortable;
            }
            Key::Reverse => {
                let order = &mut self.orders[self.list as usize];
                order.descending = !order.descending;
            }
            Key::List(index) => self.turn_to(index),
            Key::NextList => self.turn_to((self.list as usize + 1) % List::ALL.len()),
            Key::PreviousList => {
                self.turn_to((self.list as usize + List::ALL.len() - 1) % List::ALL.len());
            }
            Key::Up => self.scroll_to(self.scrolled.saturating_sub(1)),
            Key::Down => self.scroll_to(self.scrolled + 1),
            Key::PageUp => self.scroll_to(self.scrolled.saturating_sub(PAGE)),
            Key::PageDown => self.scroll_to(self.scrolled + PAGE),
            Key::Top => self.scrolled = 0,
        }
        ControlFlow::Continue(())
    }

    fn turn_to(&mut self, index: usize) {
        self.list = List::ALL[index];
        self.scrolled = 0;
    }

    /// Not past the last row.
    fn scroll_to(&mut self, row: usize) {
        self.scrolled = row.min(self.rows().saturating_sub(1));
    }

    fn rows(&self) -> usize {
        let Heard {
            figures, events, ..
        } = self.shown();
        match self.list {
            List::Events => events.len(),
            List::Instances => figures.instances.len(),
            List::Quarantine => figures.quarantine.len(),
            List::NearMisses => {
                let batch = figures.stats.last_batch.as_ref();
                batch.map_or(0, |batch| batch.near_misses.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model::new("http://127.0.0.1:50051".to_owned())
    }

    fn happens(model: &mut Model, kind: EventKind, cursor: &str) {
        model.hear(News::Event(Box::new(TailEventsResponse {
            kind: kind.into(),
            cursor: cursor.to_owned(),
            ..TailEventsResponse::default()
        })));
    }

    fn press(model: &mut Model, keys: &[Key]) {
        for key in keys {
            assert!(model.press(*key).is_continue(), "{key:?}");
        }
    }

    #[test]
    fn what_is_heard_during_a_pause_is_shown_after_it() {
        let mut model = model();
        happens(&mut model, EventKind::Archived, "c-1");
        press(&mut model, &[Key::Pause]);
        happens(&mut model, EventKind::Archived, "c-2");
        assert!(model.is_paused());
        assert_eq!(model.shown().events.len(), 1);
        press(&mut model, &[Key::Pause]);
        let cursors: Vec<&str> = model
            .shown()
            .events
            .iter()
            .map(|event| event.cursor.as_str())
            .collect();
        assert_eq!(cursors, ["c-2", "c-1"]);
    }

    #[test]
    fn heartbeats_are_no_events_and_old_events_make_room() {
        let mut model = model();
        for _ in 0..MOST_EVENTS + 10 {
            happens(&mut model, EventKind::Archived, "");
        }
        happens(&mut model, EventKind::Heartbeat, "");
        assert_eq!(model.shown().events.len(), MOST_EVENTS);
    }

    #[test]
    fn a_fault_is_known_until_the_next_answer() {
        let mut model = model();
        model.hear(News::NoAnswer("away".to_owned()));
        model.hear(News::NoEvents("away".to_owned()));
        assert_eq!(model.shown().fault.as_deref(), Some("away"));
        assert_eq!(model.shown().answered, None);
        model.hear(News::Figures(Box::default()));
        happens(&mut model, EventKind::Heartbeat, "");
        assert_eq!(model.shown().fault, None);
        assert_eq!(model.shown().events_fault, None);
        assert!(model.shown().answered.is_some());
    }

    #[test]
    fn lists_are_turned_sorted_and_scrolled_within_their_bounds() {
        let mut model = model();
        press(&mut model, &[Key::PreviousList]);
        assert_eq!(model.list, List::NearMisses);
        press(&mut model, &[Key::NextList, Key::Sort]);
        assert_eq!((model.list, model.order().column), (List::Events, 0));
        press(&mut model, &[Key::Down, Key::PageDown]);
        assert_eq!(model.scrolled, 0, "there is nothing below");
        for _ in 0..3 {
            happens(&mut model, EventKind::Archived, "");
        }
        press(&mut model, &[Key::PageDown]);
        assert_eq!(model.scrolled, 2);
        press(&mut model, &[Key::List(1), Key::Sort, Key::Reverse]);
        assert_eq!((model.list, model.scrolled), (List::Instances, 0));
        let order = Order {
            column: 1,
            descending: true,
        };
        assert_eq!(model.order(), order);
    }

    #[test]
    fn escape_leaves_the_help_first() {
        let mut model = model();
        press(&mut model, &[Key::Help, Key::Escape]);
        assert!(!model.help);
        assert!(model.press(Key::Escape).is_break());
        assert!(model.press(Key::Quit).is_break());
    }
}
