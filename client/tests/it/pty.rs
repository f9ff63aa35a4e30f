//! A terminal on which `archctl` runs: what stands on it, and keys to press.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Instant,
};

use crate::program::{PATIENCE, on_terminal_does, words};

/// A terminal and what runs on it.
pub(crate) struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    written: Receiver<Vec<u8>>,
    parser: vt100::Parser,
    /// All that was ever written to it.
    raw: String,
}

impl Terminal {
    /// `archctl` on a terminal of so many columns and rows, alone.
    pub(crate) fn with(size: (u16, u16), endpoint: &str, args: &[&str]) -> Self {
        Self::does(size, endpoint, &format!("exec {}", words(args)))
    }

    /// A line of a shell on such a terminal.
    pub(crate) fn does((columns, rows): (u16, u16), endpoint: &str, line: &str) -> Self {
        let line = format!("stty cols {columns} rows {rows}; {line}");
        let mut child = on_terminal_does(endpoint, &line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, written) = channel();
        let mut stdout = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keys: child.stdin.take(),
            child,
            written,
            parser: vt100::Parser::new(rows, columns, 0),
            raw: String::new(),
        }
    }

    /// Waits until these words stand on the screen.
    pub(crate) fn shows(&mut self, words: &str) {
        self.until(words, |screen| screen.contains(words));
    }

    /// Waits until the screen is so.
    pub(crate) fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(&self.screen()) {
            let left = end.saturating_duration_since(Instant::now());
            match self.written.recv_timeout(left) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("never so: {what}\n{}", self.screen())
                }
            }
        }
    }

    /// What stands on the screen now.
    pub(crate) fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// All that was ever written to it.
    pub(crate) fn raw(&self) -> &str {
        &self.raw
    }

    /// Whether a program has taken the whole screen.
    pub(crate) fn is_taken(&self) -> bool {
        self.parser.screen().alternate_screen() || self.parser.screen().hide_cursor()
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        let pipe = self.keys.as_mut().unwrap();
        pipe.write_all(keys.as_bytes()).unwrap();
        pipe.flush().unwrap();
    }

    /// Waits for the end, and gives the exit code.
    pub(crate) fn end(&mut self) -> i32 {
        while let Ok(bytes) = self.written.recv_timeout(PATIENCE) {
            self.take(&bytes);
        }
        self.keys.take();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.raw.push_str(&String::from_utf8_lossy(bytes));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
