//! Numbers, shares, lengths, sizes and moments as people write them.

use chrono::DateTime;
use prost_types::{Duration, Timestamp};

/// `1234567` is `1,234,567`.
pub(crate) fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0 {
        grouped.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A rate without its fraction, which `thousands` has no room for.
pub(crate) fn rate(number: f64) -> String {
    // A float becomes the nearest integer that there is, NaN becomes 0.
    thousands(number.round() as i64)
}

/// The share of a whole with one decimal; nothing of nothing is `0.0%`.
pub(crate) fn percent(part: i64, whole: i64) -> String {
    let share = if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64 * 100.0
    };
    format!("{share:.1}%")
}

/// `340ms`, `12.3s`, `12m 34s`, `2h 0m 5s`, `3d 4h 0m`.
pub(crate) fn length(duration: &Duration) -> String {
    let (seconds, nanos) = (duration.seconds, i64::from(duration.nanos));
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        ..1 => format!(
            "{}ms",
            seconds
                .saturating_mul(1_000)
                .saturating_add(nanos / 1_000_000)
        ),
        1..60 => format!("{seconds}.{}s", nanos / 100_000_000),
        60..3_600 => format!("{minutes}m {}s", seconds % 60),
        3_600..86_400 => format!("{hours}h {}m {}s", minutes % 60, seconds % 60),
        _ => format!("{days}d {}h {}m", hours % 24, minutes % 60),
    }
}

/// A length that somebody chose, in the unit they chose it in: `24h`, `15m`, `31d`, `1h 30m`.
pub(crate) fn chosen_length(duration: &Duration) -> String {
    let seconds = duration.seconds;
    match seconds {
        172_800.. if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        3_600.. if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        60..3_600 if seconds % 60 == 0 => format!("{}m", seconds / 60),
        _ => length(duration),
    }
}

/// In UTC, to the second: `2025-10-16 14:23:45Z`.
pub(crate) fn moment(time: &Timestamp) -> String {
    u32::try_from(time.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
        .map_or_else(
            || format!("{} s since 1970", time.seconds),
            |time| time.format("%Y-%m-%d %H:%M:%SZ").to_string(),
        )
}

/// The same for a moment that may not be: a dash.
pub(crate) fn moment_or_dash(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), moment)
}

/// `512 B`, `1.5 KiB`, `16.0 MiB`.
pub(crate) fn bytes(size: i64) -> String {
    match size {
        ..1_024 => format!("{size} B"),
        1_024..1_048_576 => format!("{:.1} KiB", size as f64 / 1_024.0),
        _ => format!("{:.1} MiB", size as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
            (-1_000, "-1,000"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn shares_have_one_decimal() {
        assert_eq!(percent(1_220, 1_234), "98.9%");
        assert_eq!(percent(8, 1_234), "0.6%");
        assert_eq!(percent(5, 5), "100.0%");
        assert_eq!(percent(0, 0), "0.0%");
    }

    #[test]
    fn lengths_are_short() {
        for (seconds, nanos, text) in [
            (0, 340_000_000, "340ms"),
            (1, 0, "1.0s"),
            (12, 390_000_000, "12.3s"),
            (754, 0, "12m 34s"),
            (7_205, 0, "2h 0m 5s"),
            (273_600, 0, "3d 4h 0m"),
        ] {
            assert_eq!(length(&Duration { seconds, nanos }), text);
        }
    }

    #[test]
    fn chosen_lengths_keep_their_unit() {
        for (seconds, text) in [
            (60, "1m"),
            (900, "15m"),
            (3_600, "1h"),
            (5_400, "1h 30m 0s"),
            (86_400, "24h"),
            (31 * 86_400, "31d"),
        ] {
            assert_eq!(chosen_length(&Duration { seconds, nanos: 0 }), text);
        }
    }

    #[test]
    fn moments_are_in_utc() {
        assert_eq!(
            moment(&Timestamp {
                seconds: 1_760_624_625,
                nanos: 999_000_000
            }),
            "2025-10-16 14:23:45Z"
        );
        assert_eq!(
            moment(&Timestamp {
                seconds: i64::MAX,
                nanos: 0
            }),
            "9223372036854775807 s since 1970"
        );
        assert_eq!(moment_or_dash(None), "-");
    }

    #[test]
    fn sizes_and_rates_round() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(16 << 20), "16.0 MiB");
        assert_eq!(rate(97.08), "97");
        assert_eq!(rate(f64::NAN), "0");
        assert_eq!(rate(1_234_567.8), "1,234,568");
    }
}
