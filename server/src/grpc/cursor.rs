//! Cursors: places in the history of one database, for callers to keep.

use bson::{RawDocumentBuf, rawdoc};
use sha2::{Digest, Sha256};

use crate::bytes::checkpoint::time_of;

/// Begins the cursor of a long place, which is told by its digits alone: half as long as its bytes
/// in hexadecimal, and with the longest `_id` still below what clients take.
const DIGITS: &str = "d-";
/// The longest place that is told by its bytes.
const SHORT: usize = 4 * 1024;

/// The cursor of a place. `identity` names the database.
pub(crate) fn cursor(identity: &str, position: &RawDocumentBuf) -> String {
    let seal = hex::encode(&seal(identity, position)[..8]);
    match digits(position) {
        Some(digits) if position.as_bytes().len() > SHORT => format!("{DIGITS}{digits}.{seal}"),
        _ => format!("{}.{seal}", hex::encode(position.as_bytes())),
    }
}

/// What a place is beside its digits: nothing, for those that the database gives.
fn digits(position: &RawDocumentBuf) -> Option<&str> {
    let digits = position.get_str("_data").ok()?;
    (rawdoc! { "_data": digits } == *position).then_some(digits)
}

/// The place of a cursor; none when it is garbage, was altered, or belongs to another database.
pub(crate) fn place(identity: &str, cursor: &str) -> Option<RawDocumentBuf> {
    let (position, _) = cursor.rsplit_once('.')?;
    let position = match position.strip_prefix(DIGITS) {
        Some(digits) => rawdoc! { "_data": digits },
        None => RawDocumentBuf::from_bytes(hex::decode(position).ok()?).ok()?,
    };
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

    #[test]
    fn the_cursor_of_a_long_place_is_hardly_longer_than_its_digits() {
        let digits = format!("82000003E8000000072B0229296E04{}", "4A".repeat(4_000));
        let position = rawdoc! { "_data": digits.as_str() };
        let long = cursor("one", &position);
        assert_eq!(long, format!("d-{digits}.{}", &long[long.len() - 16..]));
        assert_eq!(place("one", &long).as_ref(), Some(&position));
        assert_eq!(place("two", &long), None);
        assert_eq!(place("one", &long.replacen('4', "5", 1)), None);
        let odd = rawdoc! { "_data": digits, "_typeBits": 1 };
        let cursor = cursor("one", &odd);
        assert_eq!(place("one", &cursor), Some(odd));
    }

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
