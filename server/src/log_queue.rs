//! Lines of the log on their way to one place: written by a thread of its own, so that a pipe that
//! nobody reads, or a slow disk, holds up nothing else.

use std::{
    cell::Cell,
    collections::VecDeque,
    io, ptr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tracing::warn;

/// Lines that wait to be written, in bytes. What comes when they are that many is left out and
/// counted, until half of them have been written.
const WAITING: usize = 1024 * 1024;
/// How long somebody waits for lines that are not being taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// Every place that this process logs to.
static QUEUES: Mutex<Vec<&'static Queue>> = Mutex::new(Vec::new());
/// Lines that did not reach a place.
static DROPPED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The queue that this is the thread of.
    static WRITES: Cell<Option<&'static Queue>> = const { Cell::new(None) };
}

/// Where lines are written.
pub(crate) trait Place: Send + 'static {
    /// Writes a line, and may have something to say of the place itself.
    ///
    /// # Errors
    ///
    /// When the line could not be written.
    fn write(&mut self, line: &str) -> io::Result<Option<String>>;
}

/// Lines on their way to a place.
pub(crate) struct Queue {
    /// What people call the place.
    name: &'static str,
    place: Mutex<Box<dyn Place>>,
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// Lines that could not be written since one last could.
    lost: AtomicU64,
}

impl Queue {
    /// Starts the thread that writes to a place, for as long as the process lives.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(crate) fn start(name: &'static str, place: impl Place) -> io::Result<&'static Queue> {
        let queue: &'static Queue = Box::leak(Box::new(Queue {
            name,
            place: Mutex::new(Box::new(place)),
            waiting: Mutex::default(),
            changed: Condvar::new(),
            lost: AtomicU64::new(0),
        }));
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(|| queue.write_on())?;
        QUEUES.lock().push(queue);
        Ok(queue)
    }

    /// Has a line written. What its own thread logs has its place here and now.
    pub(crate) fn push(&'static self, line: String) {
        if WRITES.get().is_some_and(|own| ptr::eq(own, self)) {
            return self.write(&line);
        }
        if !self.waiting().push(line) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    fn flush(&self) {
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.lines.is_empty();
        let mut waiting = self.waiting();
        self.changed.wait_while_for(&mut waiting, is_busy, PATIENCE);
    }

    /// Writes what comes.
    fn write_on(&'static self) {
        WRITES.set(Some(self));
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
                Line::Event(line) => self.write(&line),
                Line::LeftOut(left_out) => warn!(
                    left_out,
                    "log lines were left out, because {} did not take them in time", self.name
                ),
            }
            waiting = self.waiting();
        }
    }

    /// Writes a line. That one can't be written is told once, wherever else the log goes, and again
    /// when one can.
    fn write(&self, line: &str) {
        let outcome = self.place.lock().write(line);
        match outcome {
            Ok(remark) => {
                let left_out = self.lost.swap(0, Ordering::Relaxed);
                if left_out > 0 {
                    warn!(
                        left_out,
                        "log lines were left out, because {} could not be written", self.name
                    );
                }
                if let Some(remark) = remark {
                    warn!("{remark}");
                }
            }
            Err(error) => {
                DROPPED.fetch_add(1, Ordering::Relaxed);
                if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                    warn!(%error, "{} can't be written: its lines are left out until it can", self.name);
                }
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

/// Waits until what was logged has been written, but not long if nobody takes it. For whoever
/// prints something below the log, or ends the process.
pub fn flush_log() {
    let queues = QUEUES.lock().clone();
    for queue in queues {
        queue.flush();
    }
}

/// Lines of the log that were left out of one of its places since the process began.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
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
    /// Takes a line, or counts it if there is no room.
    fn push(&mut self, line: String) -> bool {
        let most = match self.lines.back() {
            Some(Line::LeftOut(_)) => WAITING / 2,
            _ => WAITING,
        };
        let has_room = self.bytes + line.len() <= most;
        if has_room {
            self.bytes += line.len();
            self.lines.push_back(Line::Event(line));
        } else if let Some(Line::LeftOut(lines)) = self.lines.back_mut() {
            *lines += 1;
        } else {
            self.lines.push_back(Line::LeftOut(1));
        }
        has_room
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_room_are_counted_where_they_would_stand_until_half_is_written() {
        const LENGTH: usize = WAITING / 4;
        let line = |name: char| name.to_string().repeat(LENGTH);
        let mut waiting = Waiting::default();
        let taken: Vec<bool> = "abcdef"
            .chars()
            .map(|name| waiting.push(line(name)))
            .collect();
        assert_eq!(taken, [true, true, true, true, false, false]);
        let event = |name| Some(Line::Event(line(name)));
        assert_eq!(waiting.pop(), event('a'));
        assert_eq!(waiting.pop(), event('b'));
        assert!(!waiting.push(line('g')));
        assert_eq!(waiting.pop(), event('c'));
        assert!(waiting.push(line('h')));
        assert_eq!(waiting.pop(), event('d'));
        assert_eq!(waiting.pop(), Some(Line::LeftOut(3)));
        assert_eq!(waiting.pop(), event('h'));
        assert_eq!(
            (waiting.pop(), waiting.bytes, waiting.is_writing),
            (None, 0, false)
        );
    }
}
