//! When the schedule is due: a cron expression in a time zone, through both clock changes of the
//! year.

use std::fmt;

use chrono::{DateTime, LocalResult, NaiveDateTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// When a batch is due.
///
/// An expression that leaves out at least one hour of the day names times of day, however many.
/// Each is due once on each of its days, when the clocks first show it or, where they are set
/// forward over it, when they first show a later time: at the end of the gap. Times that fall on
/// one moment are due together. An expression with all 24 hours recurs: its times are due as often
/// as the clocks show them, so that what recurs within the hour keeps its distance through both
/// changes.
#[derive(Clone)]
pub struct Schedule {
    cron: Cron,
    expression: String,
    zone: Tz,
    /// Whether it recurs in every hour.
    recurs: bool,
}

/// Why there is no schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSchedule {
    /// The expression can't be read.
    Expression,
    /// The expression can be read, but no day has it.
    Never,
    /// No time zone has this name.
    Zone,
}

impl BadSchedule {
    /// What is wrong, in words that follow the value's name.
    pub fn words(self) -> &'static str {
        match self {
            BadSchedule::Expression => "is not a cron expression",
            BadSchedule::Never => "is a time that never comes",
            BadSchedule::Zone => "is not the name of a time zone",
        }
    }
}

impl Schedule {
    /// Reads a cron expression of five fields (minute, hour, day of the month, month, day of the
    /// week), or of six with the second before them, and the IANA name of a time zone.
    ///
    /// # Errors
    ///
    /// When either can't be read, or when the expression never comes true.
    pub fn new(expression: &str, zone: &str) -> Result<Schedule, BadSchedule> {
        let zone = zone.parse().map_err(|_| BadSchedule::Zone)?;
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build()
            .parse(expression)
            .map_err(|_| BadSchedule::Expression)?;
        // The calendar repeats itself, so what does not come after this moment never comes.
        cron.find_next_occurrence(&DateTime::UNIX_EPOCH, true)
            .map_err(|_| BadSchedule::Never)?;
        let recurs = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        Ok(Schedule {
            cron,
            expression: expression.to_owned(),
            zone,
            recurs,
        })
    }

    /// The first time after a moment; none in the far future only, beyond the years of the cron
    /// expression.
    pub(crate) fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Tz>> {
        let moment = self.second(moment);
        if self.recurs {
            return self.cron.find_next_occurrence(&moment, false).ok();
        }
        let mut wall = moment.naive_local().and_utc();
        loop {
            wall = self.cron.find_next_occurrence(&wall, false).ok()?;
            let due = self.first_shown(wall.naive_utc())?;
            // In the second pass of an hour, what it shows again was due in the first one.
            if due > moment {
                return Some(due);
            }
        }
    }

    /// The last time that is not after a moment; none in the far past only.
    pub(crate) fn latest_until(&self, moment: DateTime<Utc>) -> Option<DateTime<Tz>> {
        let moment = self.second(moment);
        if self.recurs {
            return self.cron.find_previous_occurrence(&moment, true).ok();
        }
        let wall = moment.naive_local();
        // In the second pass of an hour, the first one has shown later times than the clocks show
        // now.
        let further = match self.zone.from_local_datetime(&wall) {
            LocalResult::Ambiguous(first, second) if second == moment => second - first,
            _ => TimeDelta::zero(),
        };
        let mut wall = (wall + further).and_utc();
        let mut inclusive = true;
        loop {
            wall = self.cron.find_previous_occurrence(&wall, inclusive).ok()?;
            let due = self.first_shown(wall.naive_utc())?;
            if due <= moment {
                return Some(due);
            }
            inclusive = false;
        }
    }

    /// When the clocks of the zone first show a time, or a later one where they are set forward
    /// over it.
    fn first_shown(&self, wall: NaiveDateTime) -> Option<DateTime<Tz>> {
        match self.zone.from_local_datetime(&wall) {
            LocalResult::Single(shown) | LocalResult::Ambiguous(shown, _) => Some(shown),
            LocalResult::None => GapInfo::new(&wall, &self.zone)?.end,
        }
    }

    /// The whole second of a moment, on the clocks of the zone.
    fn second(&self, moment: DateTime<Utc>) -> DateTime<Tz> {
        moment.trunc_subsecs(0).with_timezone(&self.zone)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schedule({self})")
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.expression, self.zone)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::Duration;

    use super::*;

    fn schedule(expression: &str, zone: &str) -> Schedule {
        Schedule::new(expression, zone).unwrap()
    }

    fn moment(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    /// The next times one after another, each of which has to be its own latest time.
    fn times(schedule: &Schedule, from: &str, count: usize) -> Vec<String> {
        let mut at = moment(from);
        (0..count)
            .map(|_| {
                let due = schedule.next_after(at).unwrap();
                let second = Duration::seconds(1);
                assert!(due > at, "{schedule}: {due} after {at}");
                assert_eq!(schedule.latest_until(due.to_utc()), Some(due));
                let before = schedule.latest_until(due.to_utc() - second).unwrap();
                assert!(
                    before <= at,
                    "{schedule}: {before} lies between {at} and {due}"
                );
                at = due.to_utc();
                due.to_rfc3339()
            })
            .collect()
    }

    #[test]
    fn the_next_times_are_the_ones_on_the_wall() {
        let paris = "Europe/Paris";
        let cases: &[(&str, &str, &str, &[&str])] = &[
            // An ordinary night, and the moment itself is not after itself.
            (
                "0 2 * * *",
                paris,
                "2026-11-24T02:00:00+01:00",
                &["2026-11-25T02:00:00+01:00", "2026-11-26T02:00:00+01:00"],
            ),
            // 02:00 to 03:00 does not exist on 29 March 2026: once, when the clocks are set.
            (
                "30 2 * * *",
                paris,
                "2026-03-28T00:00:00+01:00",
                &[
                    "2026-03-28T02:30:00+01:00",
                    "2026-03-29T03:00:00+02:00",
                    "2026-03-30T02:30:00+02:00",
                ],
            ),
            // 02:30 comes twice on 25 October 2026: once, at its first pass.
            (
                "30 2 * * *",
                paris,
                "2026-10-24T12:00:00+02:00",
                &["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
            ),
            // Lists of times are times of day too.
            (
                "0 2,14 * * *",
                paris,
                "2026-03-28T12:00:00+01:00",
                &[
                    "2026-03-28T14:00:00+01:00",
                    "2026-03-29T03:00:00+02:00",
                    "2026-03-29T14:00:00+02:00",
                    "2026-03-30T02:00:00+02:00",
                ],
            ),
            (
                "0 2,14 * * *",
                paris,
                "2026-10-24T20:00:00+02:00",
                &[
                    "2026-10-25T02:00:00+02:00",
                    "2026-10-25T14:00:00+01:00",
                    "2026-10-26T02:00:00+01:00",
                ],
            ),
            // Both fall on the end of the gap, where one batch does for both.
            (
                "0,30 2 * * *",
                paris,
                "2026-03-28T02:10:00+01:00",
                &[
                    "2026-03-28T02:30:00+01:00",
                    "2026-03-29T03:00:00+02:00",
                    "2026-03-30T02:00:00+02:00",
                ],
            ),
            (
                "0,30 2 * * *",
                paris,
                "2026-10-25T01:00:00+02:00",
                &[
                    "2026-10-25T02:00:00+02:00",
                    "2026-10-25T02:30:00+02:00",
                    "2026-10-26T02:00:00+01:00",
                ],
            ),
            (
                "0 1-4 * * *",
                paris,
                "2026-03-29T00:00:00+01:00",
                &[
                    "2026-03-29T01:00:00+01:00",
                    "2026-03-29T03:00:00+02:00",
                    "2026-03-29T04:00:00+02:00",
                    "2026-03-30T01:00:00+02:00",
                ],
            ),
            (
                "0 1-4 * * *",
                paris,
                "2026-10-25T00:00:00+02:00",
                &[
                    "2026-10-25T01:00:00+02:00",
                    "2026-10-25T02:00:00+02:00",
                    "2026-10-25T03:00:00+01:00",
                    "2026-10-25T04:00:00+01:00",
                    "2026-10-26T01:00:00+01:00",
                ],
            ),
            // Every other hour leaves hours out, so it names times of day.
            (
                "0 */2 * * *",
                paris,
                "2026-03-28T23:00:00+01:00",
                &[
                    "2026-03-29T00:00:00+01:00",
                    "2026-03-29T03:00:00+02:00",
                    "2026-03-29T04:00:00+02:00",
                ],
            ),
            (
                "*/20 2 * * *",
                paris,
                "2026-10-25T02:30:00+02:00",
                &["2026-10-25T02:40:00+02:00", "2026-10-26T02:00:00+01:00"],
            ),
            // The gap of 28 March 2026 in Nuuk reaches to midnight, and the day of the week is that
            // of the time it took away.
            (
                "30 23 * * 6",
                "America/Nuuk",
                "2026-03-22T12:00:00-02:00",
                &["2026-03-29T00:00:00-01:00", "2026-04-04T23:30:00-01:00"],
            ),
            // Half an hour comes twice on Lord Howe Island.
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                "2026-04-04T12:00:00+11:00",
                &["2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"],
            ),
            // Begun in the second pass, the first one is over.
            (
                "30 2 * * *",
                paris,
                "2026-10-25T02:10:00+01:00",
                &["2026-10-26T02:30:00+01:00"],
            ),
            // What recurs by the hour does so through both changes.
            (
                "0 * * * *",
                paris,
                "2026-03-29T00:30:00+01:00",
                &["2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"],
            ),
            (
                "0 * * * *",
                paris,
                "2026-10-25T01:30:00+02:00",
                &[
                    "2026-10-25T02:00:00+02:00",
                    "2026-10-25T02:00:00+01:00",
                    "2026-10-25T03:00:00+01:00",
                ],
            ),
            // What recurs within the hour keeps its distance.
            (
                "*/30 * * * *",
                paris,
                "2026-03-29T01:10:00+01:00",
                &["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00"],
            ),
            (
                "*/30 * * * *",
                paris,
                "2026-10-25T02:00:00+02:00",
                &[
                    "2026-10-25T02:30:00+02:00",
                    "2026-10-25T02:00:00+01:00",
                    "2026-10-25T02:30:00+01:00",
                    "2026-10-25T03:00:00+01:00",
                ],
            ),
            (
                "0 0 29 2 *",
                paris,
                "2026-01-01T00:00:00Z",
                &["2028-02-29T00:00:00+01:00", "2032-02-29T00:00:00+01:00"],
            ),
            (
                "0 0 31 * *",
                paris,
                "2026-03-31T12:00:00+02:00",
                &[
                    "2026-05-31T00:00:00+02:00",
                    "2026-07-31T00:00:00+02:00",
                    "2026-08-31T00:00:00+02:00",
                ],
            ),
            // West of UTC the date is still yesterday's.
            (
                "0 22 * * 5",
                "America/Los_Angeles",
                "2026-11-28T05:59:59Z",
                &["2026-11-27T22:00:00-08:00", "2026-12-04T22:00:00-08:00"],
            ),
            (
                "*/2 * * * * *",
                "UTC",
                "2026-11-24T23:59:57.9Z",
                &["2026-11-24T23:59:58+00:00", "2026-11-25T00:00:00+00:00"],
            ),
        ];
        for (expression, zone, from, expected) in cases {
            let schedule = schedule(expression, zone);
            let found = times(&schedule, from, expected.len());
            assert_eq!(&found, expected, "{schedule} from {from}");
        }
    }

    #[test]
    fn the_latest_time_is_the_one_that_was_missed() {
        for (expression, at, latest) in [
            (
                "0 2 * * *",
                "2026-11-24T02:00:00+01:00",
                "2026-11-24T02:00:00+01:00",
            ),
            (
                "0 2 * * *",
                "2026-11-24T01:59:59.999+01:00",
                "2026-11-23T02:00:00+01:00",
            ),
            (
                "30 2 * * *",
                "2026-03-29T03:10:00+02:00",
                "2026-03-29T03:00:00+02:00",
            ),
            (
                "30 2 * * *",
                "2026-03-29T01:59:59+01:00",
                "2026-03-28T02:30:00+01:00",
            ),
            // In the second pass of the hour, before and after the time shows again.
            (
                "30 2 * * *",
                "2026-10-25T02:10:00+01:00",
                "2026-10-25T02:30:00+02:00",
            ),
            (
                "30 2 * * *",
                "2026-10-25T02:50:00+01:00",
                "2026-10-25T02:30:00+02:00",
            ),
            (
                "0,30 2 * * *",
                "2026-03-29T03:10:00+02:00",
                "2026-03-29T03:00:00+02:00",
            ),
            (
                "0,30 2 * * *",
                "2026-10-25T02:10:00+01:00",
                "2026-10-25T02:30:00+02:00",
            ),
            (
                "0 2,14 * * *",
                "2026-10-25T13:00:00+01:00",
                "2026-10-25T02:00:00+02:00",
            ),
        ] {
            let schedule = schedule(expression, "Europe/Paris");
            let found = schedule.latest_until(moment(at)).unwrap();
            assert_eq!(found.to_rfc3339(), latest, "{schedule} at {at}");
        }
    }

    #[test]
    fn both_searches_know_the_same_times_around_every_change() {
        let changes = [
            ("Europe/Paris", "2026-03-29T01:00:00Z"),
            ("Europe/Paris", "2026-10-25T01:00:00Z"),
            ("America/Nuuk", "2026-03-29T01:00:00Z"),
            ("America/Nuuk", "2026-10-25T01:00:00Z"),
            ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
            ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
            ("Africa/Cairo", "2026-04-23T22:00:00Z"),
        ];
        let expressions = [
            "0 2 * * *",
            "*/10 0-2,23 * * *",
            "15,45 */2 * * *",
            "*/7 * * * *",
            "0 * * * *",
        ];
        for (zone, change) in changes {
            for expression in expressions {
                let schedule = schedule(expression, zone);
                let mut at = moment(change) - Duration::hours(3);
                let end = moment(change) + Duration::hours(3);
                while at < end {
                    let context = format!("{schedule} at {at}");
                    let next = schedule.next_after(at).unwrap().to_utc();
                    let latest = schedule.latest_until(at).unwrap().to_utc();
                    assert!(latest <= at && at < next, "{context}: {latest}, {next}");
                    let second = Duration::seconds(1);
                    for due in [latest, next] {
                        let [first, last] = [
                            schedule.next_after(due - second),
                            schedule.latest_until(due),
                        ];
                        assert_eq!(first, last, "{context}");
                        assert_eq!(first.map(|time| time.to_utc()), Some(due), "{context}");
                    }
                    assert_eq!(
                        schedule.next_after(latest).map(|time| time.to_utc()),
                        Some(next),
                        "{context}"
                    );
                    at += Duration::seconds(97);
                }
            }
        }
    }

    #[test]
    fn what_can_not_be_a_schedule_is_refused() {
        for (expression, zone, fault) in [
            ("0 0 30 2 *", "UTC", BadSchedule::Never),
            ("0 0 31 4,6,9,11 *", "UTC", BadSchedule::Never),
            ("", "UTC", BadSchedule::Expression),
            ("2 o'clock", "UTC", BadSchedule::Expression),
            ("60 * * * *", "UTC", BadSchedule::Expression),
            ("0 2 * *", "UTC", BadSchedule::Expression),
            ("0 0 2 * * * 2027", "UTC", BadSchedule::Expression),
            ("0 2 * * *", "Europe/Lutetia", BadSchedule::Zone),
            ("0 2 * * *", "", BadSchedule::Zone),
        ] {
            let found = Schedule::new(expression, zone).err();
            assert_eq!(found, Some(fault), "{expression} in {zone}");
        }
    }
}
