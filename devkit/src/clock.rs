//! A wall clock of a mongod's own, which a test can set forward and back.
//!
//! Neither root nor a package is needed: a few lines of C, compiled by the `cc` that Rust links
//! with, are loaded into mongod and shift what it is told of the time. They reach whatever asks for
//! the time through the C library, as every mongod does that is linked dynamically;
//! [`Node::shift_clock`](crate::Node::shift_clock) makes sure that this one does.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const SHIM: &str = include_str!("clock.c");

/// The wall clock of one mongod.
#[derive(Debug)]
pub(crate) struct Clock {
    shim: PathBuf,
    /// Holds the shift in seconds; mongod has it mapped into its memory.
    shift: PathBuf,
}

impl Clock {
    /// A clock that shows the time; its files lie in this folder.
    pub(crate) fn new(home: &Path) -> Result<Clock> {
        fs::create_dir_all(home)?;
        let (source, shim) = (home.join("clock.c"), home.join("clock.so"));
        fs::write(&source, SHIM)?;
        let cc = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&shim, &source])
            .arg("-ldl")
            .output()
            .context("a clock of mongod's own takes a C compiler by the name of `cc` (on Debian: apt-get install gcc)")?;
        ensure!(
            cc.status.success(),
            "`cc` can't compile the clock: {}",
            String::from_utf8_lossy(&cc.stderr)
        );
        let shift = home.join("clock.shift");
        fs::write(&shift, 0_i64.to_ne_bytes())?;
        Ok(Clock { shim, shift })
    }

    /// What stands in front of mongod on its command line.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let mut preload = OsString::from("LD_PRELOAD=");
        preload.push(&self.shim);
        let mut shift = OsString::from("CLOCK_SHIFT=");
        shift.push(&self.shift);
        vec!["env".into(), preload, shift]
    }

    /// Shows the time so many seconds later than it is, or earlier.
    pub(crate) fn set(&self, seconds: i64) -> Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.shift)?;
        // In place and at once: a file that is emptied first would have mongod read beyond its end.
        file.write_all(&seconds.to_ne_bytes())
            .context("the clock can't be set")
    }
}
