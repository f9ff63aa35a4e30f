//! Cursors: places in the history of one database, for callers to keep.

use bson::RawDocumentBuf;
use sha2::{Digest, Sha256};

use crate::domain::checkpoint::time_of;

/// The cursor of a place. `identity` names the database.
pub(crate) fn cursor(identity: &str, position: &RawDocumentBuf) -> String {
    format!(
        "{}.{}",
        hex::encode(position.as_bytes()),
        hex::encode(&seal(identity, position)[..8])
    )
}

/// The place of a cursor; none when it is garbage, was altered, or belongs to another database.
pub(crate) fn place(identity: &str, cursor: &str) -> Option<RawDocumentBuf> {
    let (position, _) = cursor.split_once('.')?;
    let position = RawDocumentBuf::from_bytes(hex::decode(position).ok()?).ok()?;
    (time_of(&position).is_some() && self::cursor(identity, &position) == cursor)
        .then_some(position)
}

fn seal(identity: &str, position: &RawDocumentBuf) -> [u8; 32] {
    Sha256::new()
        .chain_update(identity)
        .chain_update([0])
        .chain_update(position.as_bytes())
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    #[test]
    fn a_cursor_is_good_for_its_own_database_only() {
        let position = rawdoc! { "_data": "82000003E8000000072B0229296E04" };
        let cursor = cursor("one", &position);
        assert_eq!(place("one", &cursor), Some(position));
        assert_eq!(place("two", &cursor), None);
        for bad in [
            "",
            ".",
            "nonsense",
            &cursor[1..],
            &format!("{cursor}0"),
            &cursor.replacen('2', "3", 1),
        ] {
            assert_eq!(place("one", bad), None, "{bad}");
        }
    }
}
