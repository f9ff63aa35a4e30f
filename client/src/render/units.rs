//! Lengths, sizes, limits and moments as people write them.

use chrono::DateTime;
use order_archiver_api::statistics::{length, thousands};
use prost_types::{Duration, Timestamp};

use super::screen::screen;
use crate::zone::Zone;

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

/// A length to the second, for what is not known or not worth telling more closely: `3s`, `1m 21s`.
pub(crate) fn whole_length(duration: &Duration) -> String {
    match duration.seconds {
        seconds @ ..60 => format!("{seconds}s"),
        _ => length(duration),
    }
}

/// A limit of the rate that somebody chose; 0 stands for none.
pub(crate) fn rate_limit(orders_per_second: i32) -> String {
    match orders_per_second {
        0 => "off".to_owned(),
        most => format!("{} orders/s", thousands(most.into())),
    }
}

/// A text, if there is any.
pub(crate) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// In the zone of the reader's choice, to the second, with what it is ahead of UTC: `2025-10-16
/// 16:23:45+02`, or `2025-10-16 14:23:45Z`.
pub(crate) fn moment(time: &Timestamp) -> String {
    moment_in(screen().zone, time)
}

fn moment_in(zone: Zone, time: &Timestamp) -> String {
    u32::try_from(time.nanos)
        .ok()
        .and_then(|nanos| DateTime::from_timestamp(time.seconds, nanos))
        .map_or_else(
            || format!("{} s since 1970", time.seconds),
            |time| {
                let time = zone.at(time);
                let ahead = match time.offset().local_minus_utc() {
                    0 => "Z",
                    seconds if seconds % 3_600 == 0 => "%:::z",
                    _ => "%:z",
                };
                time.format(&format!("%Y-%m-%d %H:%M:%S{ahead}"))
                    .to_string()
            },
        )
}

/// The same for a moment that may not be: a dash.
pub(crate) fn moment_or_dash(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "-".to_owned(), moment)
}

/// An amount with two decimals, as money is written; what is no number stays as it is.
pub(crate) fn euros(amount: &str) -> String {
    // Beyond this a float does not hold every cent.
    const EXACT: f64 = 1e13;
    match amount.parse::<f64>() {
        Ok(number) if number.abs() < EXACT => format!("{number:.2} €"),
        _ => format!("{amount} €"),
    }
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
    fn moments_are_in_the_readers_zone() {
        use chrono_tz::{Asia, Europe, Tz};
        let winter = 1_768_400_625;
        for (zone, seconds, wanted) in [
            (Tz::UTC, 1_760_624_625, "2025-10-16 14:23:45Z"),
            (Europe::Paris, 1_760_624_625, "2025-10-16 16:23:45+02"),
            (Europe::Paris, winter, "2026-01-14 15:23:45+01"),
            (Europe::London, winter, "2026-01-14 14:23:45Z"),
            (Asia::Kolkata, 1_760_624_625, "2025-10-16 19:53:45+05:30"),
        ] {
            let time = Timestamp { seconds, nanos: 0 };
            assert_eq!(moment_in(Zone::Named(zone), &time), wanted);
        }
    }

    #[test]
    fn amounts_have_two_decimals() {
        for (amount, wanted) in [
            ("24.9", "24.90 €"),
            ("12", "12.00 €"),
            ("0.5", "0.50 €"),
            ("24.900000000000002", "24.90 €"),
            ("-3", "-3.00 €"),
            ("1e400", "1e400 €"),
            ("NaN", "NaN €"),
            ("99999999999999.99", "99999999999999.99 €"),
        ] {
            assert_eq!(euros(amount), wanted);
        }
    }

    #[test]
    fn moments_that_no_calendar_has_are_told_too() {
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
    fn whole_lengths_have_no_fraction() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (81, "1m 21s")] {
            let nanos = 999_000_000;
            assert_eq!(whole_length(&Duration { seconds, nanos }), text);
        }
    }

    #[test]
    fn sizes_round() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(16 << 20), "16.0 MiB");
    }
}
