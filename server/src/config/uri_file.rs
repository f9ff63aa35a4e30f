//! The file that `MONGODB_URI_FILE` names: it is read again while the server runs, because the
//! password in it may change.

use std::{io, path::Path, str::FromStr};

use super::uri::MongodbUri;
use crate::files;

/// Why the file gives no URI, said without repeating what it holds.
#[derive(Debug, thiserror::Error)]
pub enum BadUriFile {
    /// It can't be read.
    #[error("the file can't be read: {0}")]
    Unreadable(#[from] io::Error),
    /// What it holds is no URI.
    #[error(transparent)]
    Bad(<MongodbUri as FromStr>::Err),
}

impl MongodbUri {
    /// Reads the URI from a file, whose last line may end.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or holds something else.
    pub fn read(path: &Path) -> Result<MongodbUri, BadUriFile> {
        let text = files::read_text(path)?;
        text.trim_end_matches(['\n', '\r'])
            .parse()
            .map_err(BadUriFile::Bad)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_gives_what_it_holds_now_and_its_faults_say_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("uri");
        let unreadable = MongodbUri::read(&path).unwrap_err().to_string();
        assert!(unreadable.contains("can't be read"), "{unreadable}");
        for password in ["first", "second"] {
            let uri = format!("mongodb://archd:{password}@127.0.0.1");
            fs::write(&path, format!("{uri}\r\n")).unwrap();
            assert_eq!(MongodbUri::read(&path).unwrap().expose(), uri);
        }
        fs::write(&path, "archd:secret@127.0.0.1").unwrap();
        let bad = MongodbUri::read(&path).unwrap_err().to_string();
        assert!(!bad.contains("secret"), "{bad}");
    }
}
