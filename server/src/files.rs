//! Files that are read again while the server runs: when they are looked at, and when what they hold
//! counts.

use std::{
    fs::File,
    io::{self, Read},
    panic::resume_unwind,
    path::Path,
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use crate::hangups::Hangups;

/// The most that a file may hold, in bytes.
pub(crate) const MOST_BYTES: u64 = 1024 * 1024;
/// How often files are looked at. By what they hold, since Kubernetes replaces whole folders.
const EVERY: Duration = Duration::from_secs(10);
/// For how long they have to stay as they are: somebody may be writing them, and half a file of
/// identities would be somebody less.
pub(crate) const SETTLED: Duration = Duration::from_millis(250);

/// Reads a whole file, which holds no more than [`MOST_BYTES`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other(format!(
            "it is larger than {MOST_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

/// Reads a whole file of text, which holds no more than [`MOST_BYTES`].
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// What files hold, with that by which it is recognised, once it is what is known or stays the same
/// for a while.
pub(crate) async fn settled<T, K>(
    known: &K,
    read: impl Fn() -> (T, K) + Clone + Send + 'static,
) -> (T, K)
where
    T: Send + 'static,
    K: PartialEq + Send + 'static,
{
    let mut before = None;
    loop {
        let now = spawn_blocking(read.clone()).await;
        let (read, now) = now.unwrap_or_else(|panic| resume_unwind(panic.into_panic()));
        if now == *known || before.as_ref() == Some(&now) {
            return (read, now);
        }
        before = Some(now);
        sleep(SETTLED).await;
    }
}

/// When files are looked at: at once, every now and then, and when a SIGHUP asks for it.
#[derive(Debug)]
pub(crate) struct Looks {
    look: Interval,
    hangups: Hangups,
}

impl Looks {
    /// From now on a SIGHUP no longer ends the process.
    pub(crate) fn begin() -> Looks {
        let mut look = interval(EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Looks {
            look,
            hangups: Hangups::listen(),
        }
    }

    /// Waits until it is time, and says whether somebody has asked for it.
    pub(crate) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.look.tick() => false,
            () = self.hangups.next() => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_too_large_is_not_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let most = usize::try_from(MOST_BYTES).unwrap();
        fs::write(&path, vec![b'#'; most]).unwrap();
        assert_eq!(read(&path).unwrap().len(), most);
        fs::write(&path, vec![b'#'; most + 1]).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("larger than 1048576 bytes"), "{refused}");
        // One without an end.
        assert!(!cfg!(unix) || read(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_file_of_text_is_utf_8() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "livrée\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "livrée\n");
        fs::write(&path, b"livr\xe9e").unwrap();
        assert_eq!(read_text(&path).unwrap_err().to_string(), "it is not UTF-8");
    }

    #[tokio::test]
    async fn half_a_file_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "half").unwrap();
        let (from, known) = (path.clone(), Vec::new());
        let reading = settled(&known, move || ((), read(&from).unwrap()));
        let writing = async {
            sleep(SETTLED / 2).await;
            fs::write(&path, "half and half").unwrap();
        };
        let ((_, bytes), ()) = tokio::join!(reading, writing);
        assert_eq!(bytes, b"half and half");
    }
}
