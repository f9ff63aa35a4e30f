//! The calendar of Europe/Paris: when people are hungry is a matter of local time.

use chrono::{DateTime, Datelike, Timelike, Utc};
use chrono_tz::Europe::Paris;

/// Milliseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000;
/// Milliseconds in a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// The weekday (0 is Monday) and the hour of day in Paris at an instant in milliseconds since 1970.
pub(super) fn weekday_and_hour(millis: i64) -> (usize, usize) {
    let local = utc(millis).with_timezone(&Paris);
    let weekday = local.weekday().num_days_from_monday();
    (weekday as usize, local.hour() as usize)
}

/// The year in UTC, as MongoDB's own `$year` would answer.
pub(super) fn year(millis: i64) -> i64 {
    utc(millis).year().into()
}

/// An instant that no calendar reaches counts as the beginning of 1970.
fn utc(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::DateTime;

    #[test]
    fn instants_are_read_in_local_time() {
        // Sundays of change: 30 March and 26 October 2025, both at 01:00 UTC.
        for (instant, expected_year, expected) in [
            ("1970-01-01T00:00:00Z", 1970, (3, 1)),
            ("2024-02-29T12:00:00Z", 2024, (3, 13)),
            ("2024-12-31T23:30:00Z", 2024, (2, 0)),
            ("2025-01-01T00:00:00Z", 2025, (2, 1)),
            ("2025-03-30T00:59:59Z", 2025, (6, 1)),
            ("2025-03-30T01:00:00Z", 2025, (6, 3)),
            ("2025-10-26T00:59:59Z", 2025, (6, 2)),
            ("2025-10-26T01:00:00Z", 2025, (6, 2)),
            ("2025-11-29T19:30:00Z", 2025, (5, 20)),
            ("2028-03-26T01:00:00Z", 2028, (6, 3)),
        ] {
            let millis = DateTime::parse_rfc3339_str(instant)
                .unwrap()
                .timestamp_millis();
            assert_eq!(year(millis), expected_year, "{instant}");
            assert_eq!(weekday_and_hour(millis), expected, "{instant}");
        }
    }
}
