//! What goes to a terminal: text of other people made safe for it, colours where it takes them, and
//! below the log the bar of a batch.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressStyle};
use order_archiver_api::{
    progress::{BAR, BLOCKS, HELD_BACK, without_throttle},
    v1 as pb,
};
use terminal_size::{Width, terminal_size_of};

pub use order_archiver_api::{
    paint,
    text::{one_line, tame, tame_json},
};

/// The escape that begins the log's own colours.
const ESCAPE: &str = "\u{1b}";

/// The bar that is drawn, if one is.
static BAR_BELOW: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The progress of a batch on standard error, where that is a terminal; it goes when this is dropped.
#[derive(Debug)]
pub struct BatchBar(ProgressBar);

impl BatchBar {
    /// Begins with nothing to show.
    pub fn new() -> BatchBar {
        let bar = ProgressBar::new(0);
        *below() = Some(bar.clone());
        BatchBar(bar)
    }

    /// Shows how far the batch is.
    pub fn show(&self, batch: impl FnOnce() -> pb::Batch) {
        if self.0.is_hidden() {
            return;
        }
        let batch = batch();
        let count = |orders: i64| u64::try_from(orders).unwrap_or(0);
        let found = batch.counts.unwrap_or_default().found;
        let held_back = one_line(&batch.throttle);
        let template = if held_back.is_empty() { BAR } else { HELD_BACK };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.set_style(style.progress_chars(BLOCKS));
        self.0.set_prefix(held_back);
        self.0.set_length(count(batch.estimated_total.max(found)));
        self.0.set_position(count(found));
        self.0.set_message(without_throttle(&batch));
    }
}

impl Default for BatchBar {
    fn default() -> Self {
        BatchBar::new()
    }
}

impl Drop for BatchBar {
    fn drop(&mut self) {
        *below() = None;
        self.0.finish_and_clear();
    }
}

fn below() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    BAR_BELOW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether standard output is a terminal that takes colours, and nobody has refused them by
/// NO_COLOR.
pub fn has_colours() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// How wide the terminal is that standard output goes to, if it goes to one that says so.
pub fn columns() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(io::stdout())?;
    (columns > 0).then_some(columns.into())
}

/// Standard error for the log: each event is written at once and in one line, above the bar.
#[derive(Debug)]
pub struct Log {
    /// Whether events are JSON.
    pub json: bool,
}

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = match self.json {
            true => tame_json(text.trim_end()),
            false => one_line_of_log(text.trim_end()),
        };
        let write = || writeln!(io::stderr(), "{line}");
        match below().as_ref() {
            Some(bar) => bar.suspend(write)?,
            None => write()?,
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The log escapes what others wrote of this one character itself, so what is left of it are its own colours.
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
