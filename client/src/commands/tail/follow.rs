//! Reading events from one stream after another, each from where the one before ended.

use order_archiver_api::v1::{EventKind, TailEventsRequest};
use tonic::Status;

use super::{lost, place::Place};
use crate::{
    connect::Session,
    fault::{self, Fault},
    output::say,
    reconnect::Reconnect,
    render::{self, text},
};

/// One reader of the events.
pub(super) struct Tail<'a> {
    session: &'a Session,
    place: Place,
    kinds: Vec<i32>,
    heartbeats: bool,
    reconnect: Reconnect,
    /// Whether it was said what is waited for.
    said: bool,
}

impl<'a> Tail<'a> {
    pub(super) fn new(
        session: &'a Session,
        place: Place,
        kinds: Vec<EventKind>,
        heartbeats: bool,
    ) -> Self {
        Self {
            session,
            place,
            kinds: kinds.into_iter().map(Into::into).collect(),
            heartbeats,
            reconnect: Reconnect::endless(),
            said: false,
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Prints events until `limit` of them were printed.
    pub(super) async fn follow(&mut self, limit: Option<u64>) -> Result<(), Fault> {
        let mut left = limit;
        loop {
            let status = match self.listen(&mut left).await {
                Err(Fault::Refused(status)) => *status,
                end => return end,
            };
            if let Some(cursor) = fault::cursor_to_come_back_with(&status) {
                self.place.fall_back(&cursor);
            }
            if let Some(report) = lost::report(&status, &self.place) {
                return Err(Fault::Told(report));
            }
            self.reconnect.lost(status).await?;
        }
    }

    async fn listen(&mut self, left: &mut Option<u64>) -> Result<(), Fault> {
        let meanwhile = match self.place.start {
            Some(_) => "; nothing was missed",
            None => "; events of the meantime are not shown",
        };
        let request = TailEventsRequest {
            start: self.place.start.clone(),
            kinds: self.kinds.clone(),
            heartbeat_interval: None,
        };
        let mut events = self
            .session
            .events()
            .tail_events(request)
            .await?
            .into_inner();
        while let Some(event) = events.message().await? {
            // A stream that ends before its first message was never of use.
            self.reconnect.opened(meanwhile);
            if !self.said {
                say(&waiting(&self.kinds));
                self.said = true;
            }
            let shown = event.kind() != EventKind::Heartbeat || self.heartbeats;
            if shown {
                let output = self.session.output;
                // Asked each time: a terminal may change while it is followed.
                output.line(&event, |event| {
                    render::event::line(event, output.columns_of_line())
                })?;
            }
            // Only now: an event that was not printed is to come again.
            self.place.advance(event);
            if shown && let Some(left) = left {
                *left -= 1;
                if *left == 0 {
                    return Ok(());
                }
            }
        }
        // A tail has no end of its own: a server that stops may end it without a word.
        Err(Status::unavailable("the server ended the stream").into())
    }
}

/// What a tail waits for, now that it is there: nothing may happen for hours.
fn waiting(kinds: &[i32]) -> String {
    let names = kinds
        .iter()
        .filter_map(|kind| EventKind::try_from(*kind).ok());
    let names: Vec<String> = names
        .map(|kind| text::words(kind.as_str_name(), "EVENT_KIND_"))
        .collect();
    let what = match names.as_slice() {
        [] => "all kinds of events".to_owned(),
        names => format!("events of the kind {}", names.join(", ")),
    };
    format!("Waiting for {what} on every instance; Ctrl-C ends it.")
}
