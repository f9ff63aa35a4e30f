//! Identifiers: `_id`s, order numbers, and the ids that belong to nobody.

use bson::{DateTime, oid::ObjectId};

use super::paris;

/// Ids from here on belong to nobody, however many documents are appended later.
pub const NOBODY: u32 = 900_000_000;

/// An `_id` as a live platform would have it: it sorts by date, then by number.
///
/// The tag keeps collections apart; it stands where MongoDB's drivers put their process.
pub(super) fn object_id(date: DateTime, tag: [u8; 4], number: u32) -> ObjectId {
    let mut bytes = [0; 12];
    // An ObjectId counts 32 bits of seconds: it lasts until 2106.
    bytes[..4].copy_from_slice(&((date.timestamp_millis() / 1_000) as u32).to_be_bytes());
    bytes[4..8].copy_from_slice(&tag);
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// The number of an order: the year of its date in UTC, and a sequence that never starts again.
pub(super) fn numero_commande(date: DateTime, number: u32) -> String {
    format!("CMD-{}-{number:06}", paris::year(date.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_sort_by_date_then_number_and_carry_the_date() {
        let at = |seconds: i64, number| {
            object_id(DateTime::from_millis(seconds * 1_000 + 7), *b"test", number)
        };
        assert!(at(100, 300) < at(101, 1));
        assert!(at(100, 255) < at(100, 256));
        assert_eq!(at(100, 1).timestamp(), DateTime::from_millis(100_000));
    }

    #[test]
    fn order_numbers_have_six_digits_or_more() {
        for (instant, number, expected) in [
            ("2025-06-01T00:00:00Z", 1, "CMD-2025-000001"),
            ("2024-12-31T23:30:00Z", 999_999, "CMD-2024-999999"),
            ("2026-01-01T00:00:00Z", 1_234_567, "CMD-2026-1234567"),
        ] {
            let date = DateTime::parse_rfc3339_str(instant).unwrap();
            assert_eq!(numero_commande(date, number), expected);
        }
    }
}
