//! The file of the identities: read at the start, and again when what it says has changed.

use std::{
    fmt, fs, io,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    AUDIT,
    identities::{BadLine, Identities},
};
use crate::hangups::Hangups;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(10);
/// How long what it says must be the same before it counts: a file may be met while it is written,
/// and half a file would be somebody less.
const SETTLED: Duration = Duration::from_millis(200);
/// The most that it may hold, in bytes.
const MOST_BYTES: usize = 1024 * 1024;
/// The most faults that are told of at once.
const MOST_FAULTS: usize = 10;

/// A file that can't be gone by.
#[derive(Debug, thiserror::Error)]
#[error("the file of identities, {}, {fault}", path.display())]
pub struct BadFile {
    path: PathBuf,
    fault: Fault,
}

#[derive(Debug)]
enum Fault {
    Unreadable(io::Error),
    TooLarge,
    Bad(Vec<BadLine>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreadable(error) => write!(f, "can't be read: {error}"),
            Fault::TooLarge => write!(f, "is larger than {MOST_BYTES} bytes"),
            Fault::Bad(lines) => {
                f.write_str("can't be used")?;
                for (at, line) in lines.iter().take(MOST_FAULTS).enumerate() {
                    let before = if at == 0 { ": " } else { "; " };
                    write!(f, "{before}{line}")?;
                }
                match lines.len().saturating_sub(MOST_FAULTS) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
        }
    }
}

/// What a file says: its bytes, and who there is by them.
type Read = Result<(Vec<u8>, Identities), BadFile>;

/// Reads who there is.
pub(super) fn read(path: &Path) -> Read {
    let bad = |fault| BadFile {
        path: path.to_owned(),
        fault,
    };
    let bytes = fs::read(path).map_err(|error| bad(Fault::Unreadable(error)))?;
    if bytes.len() > MOST_BYTES {
        return Err(bad(Fault::TooLarge));
    }
    // What is no text stands in a comment, or is told of with its line.
    let text = String::from_utf8_lossy(&bytes);
    let identities = Identities::parse(&text).map_err(|lines| bad(Fault::Bad(lines)))?;
    Ok((bytes, identities))
}

/// Tells by what the server goes from now on.
pub(super) fn tell(path: &Path, identities: &Identities) {
    let (path, number) = (path.display(), identities.len());
    match identities.is_empty() {
        true => {
            warn!(target: AUDIT, %path, "the file of identities names nobody, so everything but health is refused")
        }
        false => {
            info!(target: AUDIT, %path, identities = number, "callers are known by the file of identities")
        }
    }
}

/// Follows the file until `stop` is cancelled. One with a fault is told of once, and what was known
/// before stays.
pub(super) async fn follow(
    path: PathBuf,
    mut known: Vec<u8>,
    sender: watch::Sender<Arc<Identities>>,
    stop: CancellationToken,
) {
    let mut look = interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hangups = Hangups::listen();
    let mut told = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
            () = hangups.next() => {}
        }
        match settled(&path, &known).await {
            Ok((bytes, _)) if bytes == known => told = None,
            Ok((bytes, identities)) => {
                tell(&path, &identities);
                (known, told) = (bytes, None);
                sender.send_replace(Arc::new(identities));
            }
            Err(bad) => {
                let fault = bad.to_string();
                if told.as_ref() != Some(&fault) {
                    warn!(target: AUDIT, "{fault}; what it said before stays in force");
                    told = Some(fault);
                }
            }
        }
    }
}

/// What the file says, which is what is known, or stays the same for a while.
async fn settled(path: &Path, known: &[u8]) -> Read {
    let mut before = None;
    loop {
        let path = path.to_owned();
        let now = spawn_blocking(move || read(&path)).await;
        let now = now.unwrap_or_else(|panic| resume_unwind(panic.into_panic()));
        let bytes = now.as_ref().ok().map(|(bytes, _)| bytes.clone());
        if bytes.as_deref() == Some(known) || before.as_ref() == Some(&bytes) {
            return now;
        }
        before = Some(bytes);
        sleep(SETTLED).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "san a.internal read\n";

    #[test]
    fn a_file_that_cant_be_gone_by_is_named_with_its_faults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identities");
        let fault = || read(&path).unwrap_err().to_string();
        assert!(fault().contains("can't be read"), "{}", fault());
        fs::write(&path, "nobody\n".repeat(12)).unwrap();
        let told = fault();
        assert!(told.contains(&*path.to_string_lossy()), "{told}");
        assert!(told.contains("can't be used: line 1: "), "{told}");
        assert!(
            told.contains("; line 10: ") && told.ends_with("; and 2 more"),
            "{told}"
        );
        fs::write(&path, "#".repeat(MOST_BYTES + 1)).unwrap();
        assert!(fault().contains("is larger than"), "{}", fault());
        fs::write(&path, [LINE.as_bytes(), b"# caf\xe9\n"].concat()).unwrap();
        assert_eq!(read(&path).unwrap().1.len(), 1);
    }

    #[tokio::test]
    async fn half_a_file_is_not_gone_by() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identities");
        fs::write(&path, LINE).unwrap();
        let whole = format!("{LINE}san b.internal read\n");
        let reading = settled(&path, b"");
        let writing = async {
            sleep(SETTLED / 2).await;
            fs::write(&path, &whole).unwrap();
        };
        let (read, ()) = tokio::join!(reading, writing);
        assert_eq!(read.unwrap().0, whole.as_bytes());
    }
}
