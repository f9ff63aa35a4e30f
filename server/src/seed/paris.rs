//! The calendar of Europe/Paris, by arithmetic: when people are hungry is a matter of local time.

/// Milliseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000;
/// Milliseconds in a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// The weekday (0 is Monday) and the hour of day in Paris at an instant in milliseconds since 1970.
pub(super) fn weekday_and_hour(millis: i64) -> (usize, usize) {
    let local = millis + offset(millis);
    let weekday = weekday(local.div_euclid(DAY));
    let hour = local.rem_euclid(DAY) / HOUR;
    (weekday as usize, hour as usize)
}

/// The year in UTC, as MongoDB's own `$year` would answer.
pub(super) fn year(millis: i64) -> i64 {
    // Days are counted from 1 March of the year 0, so that a leap day is the last day of its year.
    let days = millis.div_euclid(DAY) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // January begins 306 days after the 1st of March.
    era * 400 + year_of_era + i64::from(day_of_year >= 306)
}

/// How far Paris is ahead of UTC: two hours from the last Sunday of March to that of October, else
/// one.
fn offset(millis: i64) -> i64 {
    let year = year(millis);
    let summer = last_sunday(year, 3) * DAY + HOUR..last_sunday(year, 10) * DAY + HOUR;
    if summer.contains(&millis) {
        2 * HOUR
    } else {
        HOUR
    }
}

/// The day, counted from 1970, of the last Sunday of a month with 31 days from March on.
fn last_sunday(year: i64, month: i64) -> i64 {
    let last = days_before_march(year) + (153 * (month - 3) + 2) / 5 + 30;
    last - (weekday(last) + 1) % 7
}

/// The days from 1970 to the 1st of March of a year.
fn days_before_march(year: i64) -> i64 {
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) - 719_468
}

/// The weekday of a day counted from 1970, whose first day was a Thursday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
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
