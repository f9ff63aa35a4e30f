//! Digests of the archive by days: what each day's archived documents come to, so that a later
//! verification can tell whether any of them has changed.
//!
//! The digest of a day is `h`, which begins as 32 zero bytes and becomes SHA-256(`h` followed by
//! SHA-256(document)) for each archived document of the day, in the order of `_id`. The day is that
//! of `date_archivage`, in UTC.

use std::collections::BTreeMap;

use bson::DateTime;
use sha2::{Digest, Sha256};

const DAY: i64 = 24 * 60 * 60 * 1_000;
/// What the day of documents without a date is called.
const NONE: &str = "none";

/// The digest of one document.
pub type DocumentDigest = [u8; 32];

/// A day: how many since 1970-01-01. Documents without a date have a day of their own, which comes
/// last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Day {
    /// So many days after 1970-01-01.
    On(i64),
    /// No day.
    None,
}

/// What the documents of a day come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayDigest {
    /// How many documents.
    pub count: i64,
    /// Their running hash.
    pub hash: [u8; 32],
}

/// The digests of all days that were met so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days(BTreeMap<Day, DayDigest>);

impl Day {
    /// The day of a date.
    pub fn of(date: Option<DateTime>) -> Day {
        date.map_or(Day::None, |date| {
            Day::On(date.timestamp_millis().div_euclid(DAY))
        })
    }

    /// The day of this name.
    pub fn of_name(name: &str) -> Option<Day> {
        if name == NONE {
            return Some(Day::None);
        }
        let mut parts = name.rsplitn(3, '-');
        let mut part = || parts.next()?.parse::<i64>().ok();
        let (day, month, year) = (part()?, part()?, part()?);
        let found = Day::On(days_of(year, month, day));
        (found.to_string() == name).then_some(found)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Day::None => to.write_str(NONE),
            Day::On(days) => {
                let (year, month, day) = date_of(*days);
                write!(to, "{year:04}-{month:02}-{day:02}")
            }
        }
    }
}

impl Days {
    /// Takes a document in, after all of its day that come before it.
    pub fn add(&mut self, day: Day, document: DocumentDigest) {
        let digest = self.0.entry(day).or_default();
        digest.count += 1;
        digest.hash = Sha256::new()
            .chain_update(digest.hash)
            .chain_update(document)
            .finalize()
            .into();
    }

    /// The digest of a day.
    pub fn get(&self, day: Day) -> Option<&DayDigest> {
        self.0.get(&day)
    }

    /// Puts a day where it was left.
    pub fn insert(&mut self, day: Day, digest: DayDigest) {
        self.0.insert(day, digest);
    }

    /// Every day with its digest, the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = (Day, &DayDigest)> {
        self.0.iter().map(|(day, digest)| (*day, digest))
    }

    /// How many days there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no document was taken in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The digest of a document.
pub fn digest(document: &[u8]) -> DocumentDigest {
    Sha256::digest(document).into()
}

/// The date of a day in the proleptic Gregorian calendar: dates of the database reach further than
/// the calendars of libraries do (<https://howardhinnant.github.io/date_algorithms.html>).
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_date_in_utc() {
        for (millis, name) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (1_780_358_400_000, "2026-06-02"),
            (951_782_400_000, "2000-02-29"),
            (-62_135_596_800_000, "0001-01-01"),
            (253_402_300_800_000, "10000-01-01"),
        ] {
            let day = Day::of(Some(DateTime::from_millis(millis)));
            assert_eq!(day.to_string(), name);
            assert_eq!(Day::of_name(name), Some(day));
        }
        for date in [DateTime::MIN, DateTime::MAX] {
            let day = Day::of(Some(date));
            assert_eq!(Day::of_name(&day.to_string()), Some(day), "{day}");
        }
        assert_eq!(Day::of(None).to_string(), "none");
        assert_eq!(Day::of_name("none"), Some(Day::None));
        for bad in ["", "2026", "2026-13-01", "2026-02-30", "2026-6-2"] {
            assert_eq!(Day::of_name(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_digest_of_a_day_is_that_of_its_documents_in_their_order() {
        let [a, b] = [b"a", b"b"].map(|document| digest(document));
        let of = |documents: &[DocumentDigest]| {
            let mut days = Days::default();
            for document in documents {
                days.add(Day::On(1), *document);
            }
            *days.get(Day::On(1)).unwrap()
        };
        assert_ne!(of(&[a, b]), of(&[b, a]));
        let first: [u8; 32] = Sha256::digest([&[0; 32][..], &a].concat()).into();
        let second: [u8; 32] = Sha256::digest([first, b].concat()).into();
        assert_eq!(
            of(&[a, b]),
            DayDigest {
                count: 2,
                hash: second
            }
        );
        // Taken up where it was left.
        let mut later = Days::default();
        later.insert(Day::On(1), of(&[a]));
        later.add(Day::On(1), b);
        assert_eq!(later.get(Day::On(1)), Some(&of(&[a, b])));
    }
}
