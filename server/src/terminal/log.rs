//! The log on its way to standard error: written by a thread of its own, so that a pipe that nobody
//! reads holds up nothing else.

use std::{
    cell::Cell,
    collections::VecDeque,
    io::{self, Write},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use order_archiver_api::text::{one_line, tame_json};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::warn;

use super::bar::shown_bar;

/// The escape that begins the log's own colours.
const ESCAPE: &str = "\u{1b}";
/// Lines that wait to be written, in bytes. What comes when they are that many is left out and
/// counted, until half of them have been written.
const WAITING: usize = 1024 * 1024;
/// How long somebody waits for lines that are not being read.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that were left out since the process began.
static DROPPED: AtomicU64 = AtomicU64::new(0);

static QUEUE: LazyLock<Queue> = LazyLock::new(Queue::default);

thread_local! {
    /// Whether this is the thread that writes.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// The log's place on standard error: each event is one line, above the bar.
#[derive(Debug)]
pub(crate) struct Log {
    /// Whether events are JSON.
    pub json: bool,
}

impl Log {
    /// Starts the thread that writes, once for a process.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start() -> io::Result<()> {
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(|| QUEUE.write()).map(drop)
    }
}

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = match self.json {
            true => tame_json(text.trim_end()),
            false => one_line_of_log(text.trim_end()),
        };
        match WRITES.get() {
            true => print(&line),
            false => QUEUE.push(line),
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until what was logged has been written, but not long if nobody reads it. For whoever
/// prints something below the log, or ends the process.
pub fn flush_log() {
    QUEUE.flush();
}

/// How many lines were left out since the process began.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Lines that wait to be written.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Whether a line that was here is still on its way.
    is_writing: bool,
}

#[derive(Debug, PartialEq)]
enum Line {
    Event(String),
    /// So many that there was no room for.
    LeftOut(u64),
}

impl Waiting {
    fn push(&mut self, line: String) {
        let most = match self.lines.back() {
            Some(Line::LeftOut(_)) => WAITING / 2,
            _ => WAITING,
        };
        if self.bytes + line.len() <= most {
            self.bytes += line.len();
            self.lines.push_back(Line::Event(line));
            return;
        }
        DROPPED.fetch_add(1, Ordering::Relaxed);
        if let Some(Line::LeftOut(lines)) = self.lines.back_mut() {
            *lines += 1;
        } else {
            self.lines.push_back(Line::LeftOut(1));
        }
    }

    fn pop(&mut self) -> Option<Line> {
        let line = self.lines.pop_front();
        if let Some(Line::Event(line)) = &line {
            self.bytes -= line.len();
        }
        self.is_writing = line.is_some();
        line
    }
}

impl Queue {
    fn push(&self, line: String) {
        self.waiting().push(line);
        self.changed.notify_all();
    }

    fn flush(&self) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let mut waiting = self.waiting();
        self.changed.wait_while_for(&mut waiting, is_busy, PATIENCE);
    }

    /// Writes what comes, for as long as the process lives.
    fn write(&self) {
        WRITES.set(true);
        let mut waiting = self.waiting();
        loop {
            let line = waiting.pop();
            let Some(line) = line else {
                self.changed.notify_all();
                self.changed.wait(&mut waiting);
                continue;
            };
            drop(waiting);
            match line {
                Line::Event(line) => print(&line),
                Line::LeftOut(left_out) => {
                    warn!(
                        left_out,
                        "log lines were left out, because nobody read them"
                    );
                }
            }
            waiting = self.waiting();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

/// Writes a line above the bar. One that can't be written is lost: there is no other place for it.
fn print(line: &str) {
    let write = || writeln!(io::stderr(), "{line}");
    let _ = match shown_bar() {
        Some(bar) => bar.suspend(write),
        None => write(),
    };
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

    #[test]
    fn lines_without_room_are_counted_where_they_would_stand_until_half_is_written() {
        const LENGTH: usize = WAITING / 4;
        let line = |name: char| name.to_string().repeat(LENGTH);
        let mut waiting = Waiting::default();
        for name in "abcdef".chars() {
            waiting.push(line(name));
        }
        let event = |name| Some(Line::Event(line(name)));
        assert_eq!(waiting.pop(), event('a'));
        assert_eq!(waiting.pop(), event('b'));
        waiting.push(line('g'));
        assert_eq!(waiting.pop(), event('c'));
        waiting.push(line('h'));
        assert_eq!(waiting.pop(), event('d'));
        assert_eq!(waiting.pop(), Some(Line::LeftOut(3)));
        assert_eq!(waiting.pop(), event('h'));
        assert_eq!(
            (waiting.pop(), waiting.bytes, waiting.is_writing),
            (None, 0, false)
        );
    }
}
