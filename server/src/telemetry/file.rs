//! The log's file: begun anew each day of UTC and at a size, with a bounded number kept.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{DateTime, NaiveDate, Utc};

use crate::{config::LogFileSettings, log_queue::Place};

/// The pause after the file could not be begun anew.
const PAUSE: Duration = Duration::from_secs(60);

/// The log's file, and those of before: `archd.log`, `archd.log.1` and so on, the newest first.
#[derive(Debug)]
pub(super) struct LogFile {
    settings: LogFileSettings,
    file: File,
    /// The day of UTC that its lines are of.
    day: NaiveDate,
    /// When it may be tried again to begin anew, after that failed.
    wait_until: Option<Instant>,
    /// Keeps other processes from the same files.
    _lock: File,
}

impl LogFile {
    /// Opens the file, and goes on where an earlier process has stopped. None while another process
    /// has it.
    ///
    /// # Errors
    ///
    /// When it, or the folder that it is in, can't be written.
    pub(super) fn open(settings: &LogFileSettings) -> io::Result<Option<LogFile>> {
        let lock = numbered(&settings.path, "lock");
        let lock = OpenOptions::new().append(true).create(true).open(lock)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let file = opened(&settings.path)?;
        let written = DateTime::<Utc>::from(file.metadata()?.modified()?);
        // There may be more of them than are kept now.
        let more = (settings.kept..).map(|number| numbered(&settings.path, number));
        for surplus in more.take_while(|path| path.exists()) {
            fs::remove_file(surplus)?;
        }
        Ok(Some(LogFile {
            settings: settings.clone(),
            file,
            day: written.date_naive(),
            wait_until: None,
            _lock: lock,
        }))
    }

    fn write_on(&mut self, line: &str, today: NaiveDate) -> io::Result<Option<String>> {
        if self.was_taken_away() {
            self.file = opened(&self.settings.path)?;
        }
        let line = format!("{line}\n");
        let mut size = self.file.metadata()?.len();
        let is_full = size + line.len() as u64 > self.settings.most_bytes;
        let mut remark = None;
        if size > 0
            && (is_full || today != self.day)
            && self.wait_until.is_none_or(|until| Instant::now() >= until)
        {
            match self.begin_anew() {
                Ok(()) => (size, self.wait_until) = (0, None),
                Err(error) => {
                    let is_news = self.wait_until.is_none();
                    self.wait_until = Some(Instant::now() + PAUSE);
                    remark = is_news.then(|| {
                        format!(
                            "the log's file can't be begun anew, so it grows until it can: {error}"
                        )
                    });
                }
            }
        }
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // The beginning of a line would spoil the one that comes after it.
            let _ = self.file.set_len(size);
            return Err(error);
        }
        if self.wait_until.is_none() {
            self.day = today;
        }
        Ok(remark)
    }

    /// Moves each file to the next number, as far as one is free, else the last one over the oldest.
    fn begin_anew(&mut self) -> io::Result<()> {
        let path = &self.settings.path;
        let last = self.settings.kept - 1;
        if last == 0 {
            return self.file.set_len(0);
        }
        let free = (1..last).find(|number| !numbered(path, number).exists());
        for number in (1..free.unwrap_or(last)).rev() {
            fs::rename(numbered(path, number), numbered(path, number + 1))?;
        }
        fs::rename(path, numbered(path, 1))?;
        self.file = opened(path)?;
        Ok(())
    }

    /// Whether somebody has moved or removed the file.
    #[cfg(unix)]
    fn was_taken_away(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let here = self.file.metadata().map(identity).ok();
        here != fs::metadata(&self.settings.path).map(identity).ok()
    }

    /// An open file can't be moved or removed here.
    #[cfg(not(unix))]
    fn was_taken_away(&self) -> bool {
        false
    }
}

impl Place for LogFile {
    fn write(&mut self, line: &str) -> io::Result<Option<String>> {
        self.write_on(line, Utc::now().date_naive())
    }
}

fn opened(path: &Path) -> io::Result<File> {
    if path.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// The path with something behind it: `archd.log.1`.
fn numbered(path: &Path, what: impl std::fmt::Display) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{what}"));
    name.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(folder: &Path, most_bytes: u64, kept: usize) -> LogFileSettings {
        LogFileSettings {
            path: folder.join("archd.log"),
            most_bytes,
            kept,
        }
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 3, day).unwrap()
    }

    /// What stands in the files, the newest first.
    fn files(settings: &LogFileSettings) -> Vec<String> {
        let older = (1..).map(|number| numbered(&settings.path, number));
        std::iter::once(settings.path.clone())
            .chain(older)
            .map_while(|path| fs::read_to_string(path).ok())
            .collect()
    }

    #[test]
    fn a_file_is_begun_anew_at_its_size_and_on_a_new_day_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 10, 3);
        let mut log = LogFile::open(&settings).unwrap().unwrap();
        for (line, today) in [
            ("1234", day(1)),
            ("5678", day(1)),
            ("9", day(1)),
            ("next", day(2)),
            ("long line", day(2)),
            ("even longer than a file", day(2)),
        ] {
            assert_eq!(log.write_on(line, today).unwrap(), None);
        }
        assert_eq!(
            files(&settings),
            ["even longer than a file\n", "long line\n", "next\n"]
        );
    }

    #[test]
    fn it_goes_on_where_it_stopped_and_keeps_no_more_than_it_is_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 5, 3);
        for line in ["1", "2"] {
            let mut log = LogFile::open(&settings).unwrap().unwrap();
            let today = log.day;
            log.write_on(line, today).unwrap();
        }
        assert_eq!(files(&settings), ["1\n2\n"]);
        let mut log = LogFile::open(&settings).unwrap().unwrap();
        let today = log.day;
        for line in ["34", "56"] {
            log.write_on(line, today).unwrap();
        }
        assert_eq!(files(&settings), ["56\n", "34\n", "1\n2\n"]);
        drop(log);
        let fewer = LogFileSettings {
            kept: 1,
            ..settings
        };
        let mut log = LogFile::open(&fewer).unwrap().unwrap();
        log.write_on("78", today).unwrap();
        assert_eq!(files(&fewer), ["78\n"]);
    }

    #[test]
    fn a_file_that_another_process_has_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 5, 3);
        let first = LogFile::open(&settings).unwrap();
        assert!(first.is_some());
        assert!(LogFile::open(&settings).unwrap().is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_was_taken_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 100, 3);
        let mut log = LogFile::open(&settings).unwrap().unwrap();
        let today = log.day;
        log.write_on("1", today).unwrap();
        fs::remove_file(&settings.path).unwrap();
        log.write_on("2", today).unwrap();
        assert_eq!(files(&settings), ["2\n"]);
    }

    #[test]
    fn one_that_cannot_be_begun_anew_grows_and_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), 3, 2);
        // A folder with something in it can't be written over.
        fs::create_dir_all(numbered(&settings.path, 1).join("in the way")).unwrap();
        let mut log = LogFile::open(&settings).unwrap().unwrap();
        let today = log.day;
        let mut remarks = ["12", "34", "56"].map(|line| log.write_on(line, today).unwrap());
        let told = remarks[1].take().unwrap();
        assert!(told.contains("can't be begun anew"), "{told}");
        assert_eq!(remarks, [None, None, None]);
        assert_eq!(fs::read_to_string(&settings.path).unwrap(), "12\n34\n56\n");
    }
}
