//! Stamps: by their `date_archivage`, a batch tells the orders that it has archived and
//! not counted from those that the archive held before.
//!
//! A stamp is saved with the batch before any order bears it, and until every order that may bear
//! it is counted.

use std::collections::VecDeque;

use bson::DateTime;

/// What the pages under way share.
pub(super) struct Stamps {
    /// The `date_archivage` of pages that begin now.
    stamp: DateTime,
    /// The pages under way, in their order.
    under_way: VecDeque<Entry>,
    /// The stamps that earlier runs may have used for orders that they did not count.
    earlier: Vec<DateTime>,
    /// How many of the next orders may be among those.
    doubtful: usize,
}

/// A page under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The `date_archivage` of its orders.
    pub(super) stamp: DateTime,
    /// Whether an earlier run may have archived some of them and not counted them.
    pub(super) doubtful: bool,
}

impl Stamps {
    /// The stamps of a run that begins `now`. So many of its first orders may bear one of the
    /// stamps of `earlier` runs.
    pub(super) fn new(now: DateTime, earlier: Vec<DateTime>, reach: usize) -> Stamps {
        Stamps {
            stamp: now,
            under_way: VecDeque::new(),
            doubtful: if earlier.is_empty() { 0 } else { reach },
            earlier,
        }
    }

    /// Whether a page that is read now may hold orders which an earlier run has archived and not
    /// counted.
    pub(super) fn in_doubt(&self) -> bool {
        self.doubtful > 0
    }

    /// Notes that a page of so many orders is under way; `doubtful` is what [`Stamps::in_doubt`]
    /// said when it was read.
    pub(super) fn begin_page(&mut self, orders: usize, doubtful: bool) -> Entry {
        // Not as soon as it is read: the stamps of earlier runs are forgotten once no doubtful
        // order is left.
        self.doubtful = self.doubtful.saturating_sub(orders);
        let entry = Entry {
            stamp: self.stamp,
            doubtful,
        };
        self.under_way.push_back(entry);
        entry
    }

    /// Notes that the oldest page under way is counted.
    pub(super) fn end_page(&mut self) {
        self.under_way.pop_front();
    }

    /// Every stamp that an order may bear which this batch has archived and not counted.
    pub(super) fn in_use(&self) -> Vec<DateTime> {
        let under_way = self.under_way.iter().map(|entry| entry.stamp);
        let mut in_use: Vec<DateTime> = self.earlier.iter().copied().chain(under_way).collect();
        in_use.push(self.stamp);
        in_use.dedup();
        in_use
    }

    /// The stamp of the pages after the next saving, and all that must be saved with the batch by
    /// then.
    pub(super) fn next(&mut self, now: DateTime) -> (DateTime, Vec<DateTime>) {
        if self.doubtful == 0 && !self.under_way.iter().any(|entry| entry.doubtful) {
            self.earlier.clear();
        }
        let next = now.max(DateTime::from_millis(self.stamp.timestamp_millis() + 1));
        let mut stamps = self.in_use();
        stamps.push(next);
        (next, stamps)
    }

    /// The stamp has been saved, so pages may begin with it.
    pub(super) fn saved(&mut self, stamp: DateTime) {
        self.stamp = stamp;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime {
        DateTime::from_millis(millis)
    }

    #[test]
    fn a_stamp_is_kept_until_the_last_of_its_pages_is_counted() {
        let mut stamps = Stamps::new(at(10), Vec::new(), 100);
        stamps.begin_page(5, stamps.in_doubt());
        stamps.begin_page(5, stamps.in_doubt());
        let (next, _) = stamps.next(at(20));
        stamps.saved(next);
        stamps.end_page();
        assert_eq!(stamps.in_use(), [at(10), at(20)]);
        stamps.end_page();
        assert_eq!(stamps.in_use(), [at(20)]);
    }

    #[test]
    fn a_stamp_is_saved_before_a_page_begins_with_it() {
        let mut stamps = Stamps::new(at(10), Vec::new(), 100);
        let (next, saved) = stamps.next(at(20));
        assert_eq!((next, &saved[..]), (at(20), &[at(10), at(20)][..]));
        assert_eq!(stamps.begin_page(1, false).stamp, at(10));
        stamps.saved(next);
        assert_eq!(stamps.begin_page(1, false).stamp, at(20));
    }

    #[test]
    fn stamps_are_never_alike_even_when_the_clock_stands_or_goes_back() {
        let mut stamps = Stamps::new(at(10), Vec::new(), 100);
        for (clock, stamp) in [(10, 11), (3, 12), (50, 50)] {
            let (next, _) = stamps.next(at(clock));
            assert_eq!(next, at(stamp));
            stamps.saved(next);
        }
    }

    #[test]
    fn the_stamps_of_earlier_runs_are_kept_until_no_order_can_bear_them() {
        let mut stamps = Stamps::new(at(10), vec![at(1), at(2)], 7);
        for _ in 0..2 {
            assert!(stamps.in_doubt());
            stamps.begin_page(4, true);
        }
        assert!(!stamps.in_doubt());
        stamps.end_page();
        assert_eq!(stamps.next(at(20)).1, [at(1), at(2), at(10), at(20)]);
        stamps.end_page();
        assert_eq!(stamps.next(at(20)).1, [at(10), at(20)]);
    }

    #[test]
    fn a_first_life_doubts_nothing() {
        assert!(!Stamps::new(at(10), Vec::new(), 7).in_doubt());
    }
}
