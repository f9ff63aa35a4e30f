//! The log's lines made fit for people and programs, and its place on standard error: each event is
//! one line, above the bar.

use std::io::{self, Write};

use order_archiver_api::text::{one_line, tame_json};

use super::bar::shown_bar;
use crate::log_queue::{Place, Queue};

/// The escape that begins the log's own colours.
const ESCAPE: &str = "\u{1b}";

/// The way of events to one place of the log.
#[derive(Clone, Copy)]
pub(crate) struct Log {
    /// Where to.
    pub(crate) queue: &'static Queue,
    /// Whether events are JSON.
    pub(crate) json: bool,
}

impl Log {
    /// Starts the log on standard error, once for a process.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn on_standard_error() -> io::Result<&'static Queue> {
        Queue::start("standard error", StandardError)
    }
}

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.queue.push(match self.json {
            true => tame_json(text.trim_end()),
            false => one_line_of_log(text.trim_end()),
        });
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct StandardError;

impl Place for StandardError {
    fn write(&mut self, line: &str) -> io::Result<Option<String>> {
        let write = || writeln!(io::stderr(), "{line}");
        match shown_bar() {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(None)
    }
}

/// The log escapes what others wrote of this one character itself, so what is left of it are its
/// own colours.
fn one_line_of_log(event: &str) -> String {
    let parts: Vec<String> = event.split(ESCAPE).map(one_line).collect();
    parts.join(ESCAPE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_own_colours_alone() {
        assert_eq!(
            one_line_of_log("\u{1b}[32m INFO\u{1b}[0m archd: a\nb\u{202e}c"),
            "\u{1b}[32m INFO\u{1b}[0m archd: a\\nb\\u{202e}c"
        );
    }
}
