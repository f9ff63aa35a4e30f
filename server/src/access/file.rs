//! The file of the identities: read at the start, and again when what it says has changed.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    AUDIT,
    identities::{BadLine, Identities},
};
use crate::files::{self, Looks, settled};

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
    Bad(Vec<BadLine>),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreadable(error) => write!(f, "can't be read: {error}"),
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
    let bytes = files::read(path).map_err(|error| bad(Fault::Unreadable(error)))?;
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
    mut looks: Looks,
    stop: CancellationToken,
) {
    let mut told = None;
    while stop.run_until_cancelled(looks.next()).await.is_some() {
        let from = path.clone();
        let reading = move || {
            let now = read(&from);
            let bytes = now.as_ref().ok().map(|(bytes, _)| bytes.clone());
            (now, bytes)
        };
        match settled(&Some(known.clone()), reading).await.0 {
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

#[cfg(test)]
mod tests {
    use std::fs;

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
        fs::write(&path, "#".repeat(2 * 1024 * 1024)).unwrap();
        assert!(fault().contains("is larger than"), "{}", fault());
        fs::write(&path, [LINE.as_bytes(), b"# caf\xe9\n"].concat()).unwrap();
        assert_eq!(read(&path).unwrap().1.len(), 1);
    }
}
