//! Moments and lengths of time.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use bson::DateTime;
use prost_types::Timestamp;

/// A moment of BSON as one of protobuf; none beyond the years 1 to 9999, which a date of BSON can
/// be and one of protobuf can't.
pub(crate) fn timestamp(date: DateTime) -> Option<Timestamp> {
    let millis = date.timestamp_millis();
    let seconds = millis.div_euclid(1000);
    MOMENTS.contains(&seconds).then(|| Timestamp {
        seconds,
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0),
    })
}

/// What protobuf allows for the seconds of a moment: the years 1 to 9999.
const MOMENTS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// What protobuf allows for the seconds of a length of time.
const LENGTHS: RangeInclusive<i64> = 0..=315_576_000_000;
const NANOS: Range<i32> = 0..1_000_000_000;

/// A moment of protobuf as one of BSON, if it is one.
pub(crate) fn date(timestamp: &Timestamp) -> Option<DateTime> {
    let valid = MOMENTS.contains(&timestamp.seconds) && NANOS.contains(&timestamp.nanos);
    let millis = || timestamp.seconds * 1_000 + i64::from(timestamp.nanos) / 1_000_000;
    valid.then(|| DateTime::from_millis(millis()))
}

/// A length of time of protobuf as our own, if it is one and not negative.
pub(crate) fn length(duration: &prost_types::Duration) -> Option<Duration> {
    let valid = LENGTHS.contains(&duration.seconds) && NANOS.contains(&duration.nanos);
    let length = Duration::new(
        u64::try_from(duration.seconds).ok()?,
        u32::try_from(duration.nanos).ok()?,
    );
    valid.then_some(length)
}

/// A length of time in protobuf's form.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A moment of cluster time, to the second.
pub(crate) fn cluster_time(time: bson::Timestamp) -> Timestamp {
    Timestamp {
        seconds: time.time.into(),
        nanos: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_convert_both_ways() {
        for millis in [
            -1,
            0,
            1,
            -1_000,
            1_767_225_600_123,
            -62_135_596_800_000,
            253_402_300_799_999,
        ] {
            let moment = DateTime::from_millis(millis);
            assert_eq!(date(&timestamp(moment).unwrap()), Some(moment));
        }
    }

    #[test]
    fn moments_beyond_protobuf_are_none() {
        for millis in [-62_135_596_800_001, 253_402_300_800_000, i64::MIN, i64::MAX] {
            assert_eq!(timestamp(DateTime::from_millis(millis)), None, "{millis}");
        }
    }

    #[test]
    fn what_protobuf_calls_invalid_is_neither_moment_nor_length() {
        let table = [
            (i64::MAX, 0),
            (i64::MIN, 0),
            (253_402_300_800, -1),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, i32::MAX),
        ];
        for (seconds, nanos) in table {
            assert_eq!(date(&Timestamp { seconds, nanos }), None);
            assert_eq!(length(&prost_types::Duration { seconds, nanos }), None);
        }
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        assert_eq!(length(&negative), None);
    }
}
