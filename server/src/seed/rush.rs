//! When orders come in: lunch and dinner in Paris, more at week-ends, and a last busy hour.

use bson::DateTime;

use super::{
    Plan,
    dice::{Dice, Stream},
    paris::{self, HOUR},
};

/// The share of all orders that falls into the last hour.
///
/// No real hour is that busy; without it a set of a thousand orders would have no order under way.
/// No order takes longer than an hour, so all earlier orders have come to their end.
const LAST_HOUR_SHARE: f64 = 0.085;

/// How many orders come in by hour of day: lunch is at its height at noon, dinner at seven and
/// eight.
const BY_HOUR: [u32; 24] = [
    4, 1, 0, 0, 0, 0, 0, 1, 3, 3, 4, 14, 40, 30, 9, 4, 4, 6, 16, 42, 46, 26, 12, 7,
];

/// How many orders come in by weekday, from Monday on.
const BY_WEEKDAY: [u32; 7] = [8, 8, 9, 10, 13, 16, 15];

/// The dates of all orders of a plan, in order; the last one is `until` itself.
pub(super) fn dates(plan: &Plan) -> impl Iterator<Item = DateTime> + use<> {
    let orders = plan.orders;
    let recent = (f64::from(orders) * LAST_HOUR_SHARE).ceil() as u32;
    let earlier = orders - recent;
    let until = plan.until.timestamp_millis();
    let last_hour = until - HOUR;
    let mut curve = Curve::new(plan.start().timestamp_millis(), last_hour);
    let mut dice = Dice::new(plan.seed, Stream::Dates, plan.offset.orders);
    (0..orders).map(move |index| {
        // One date from each of as many equal parts: they come out sorted, without keeping any.
        let part =
            |rank: u32, parts: u32, chance: f64| (f64::from(rank) + chance) / f64::from(parts);
        let chance = dice.fraction();
        let millis = if index + 1 == orders {
            until
        } else if index < earlier {
            curve.at(part(index, earlier, chance))
        } else {
            last_hour + (part(index - earlier, recent, chance) * HOUR as f64) as i64
        };
        DateTime::from_millis(millis)
    })
}

/// The orders that have come in by a certain time, read backwards: from a share of them to the
/// time.
struct Curve {
    end: i64,
    total: u64,
    /// The hour that was read last, and what came in before it.
    hour: i64,
    before: u64,
}

impl Curve {
    fn new(start: i64, end: i64) -> Self {
        let total = (start..end).step_by(HOUR as usize).map(weight).sum();
        Self {
            end,
            total,
            hour: start,
            before: 0,
        }
    }

    /// The time at which a share of the orders has come in; shares must not fall from call to call.
    fn at(&mut self, share: f64) -> i64 {
        let target = share * self.total as f64;
        while self.hour + HOUR < self.end && (self.before + weight(self.hour)) as f64 <= target {
            self.before += weight(self.hour);
            self.hour += HOUR;
        }
        let within = (target - self.before as f64) / weight(self.hour).max(1) as f64;
        // The last hour may be cut short by the end.
        let length = HOUR.min(self.end - self.hour);
        self.hour + (within.min(1.0) * (length - 1) as f64) as i64
    }
}

/// How busy the hour that begins at an instant is.
fn weight(hour: i64) -> u64 {
    // The hours of the curve do not begin on the clock's, so their middle speaks for them.
    let (weekday, hour) = paris::weekday_and_hour(hour + HOUR / 2);
    u64::from(BY_WEEKDAY[weekday] * BY_HOUR[hour])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of a plan's orders whose weekday and hour in Paris fit.
    fn share(fits: impl Fn(usize, usize) -> bool) -> f64 {
        let plan = Plan::for_orders(20_000);
        let last_hour = plan.until.timestamp_millis() - HOUR;
        let earlier: Vec<_> = dates(&plan)
            .map(DateTime::timestamp_millis)
            .filter(|millis| *millis < last_hour)
            .collect();
        let fitting = earlier.iter().filter(|millis| {
            let (weekday, hour) = paris::weekday_and_hour(**millis);
            fits(weekday, hour)
        });
        fitting.count() as f64 / earlier.len() as f64
    }

    #[test]
    fn dates_rise_within_the_plan_and_end_at_until() {
        for orders in [1, 2, 10, 1_000, 20_000] {
            let plan = Plan::for_orders(orders);
            let dates: Vec<_> = dates(&plan).collect();
            assert_eq!(dates.len(), orders as usize);
            assert!(dates.is_sorted(), "{orders}");
            assert!(dates[0] >= plan.start(), "{orders}");
            assert_eq!(dates.last(), Some(&plan.until), "{orders}");
        }
    }

    #[test]
    fn people_order_at_lunch_and_dinner_and_at_week_ends() {
        for (what, share, expected) in [
            (
                "lunch",
                share(|_, hour| (11..14).contains(&hour)),
                0.25..0.38,
            ),
            (
                "dinner",
                share(|_, hour| (18..22).contains(&hour)),
                0.40..0.55,
            ),
            ("night", share(|_, hour| (3..6).contains(&hour)), 0.0..0.01),
            ("week-end", share(|weekday, _| weekday >= 5), 0.35..0.44),
        ] {
            assert!(expected.contains(&share), "{what}: {share}");
        }
    }

    #[test]
    fn the_whole_period_is_covered() {
        let plan = Plan::for_orders(20_000);
        let start = plan.start().timestamp_millis();
        let length = plan.until.timestamp_millis() - start;
        let mut tenths = [0; 10];
        for date in dates(&plan).take(18_000) {
            tenths[((date.timestamp_millis() - start) * 10 / length) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| *count > 1_000), "{tenths:?}");
    }
}
