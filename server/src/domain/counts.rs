//! How orders are counted, and what makes the books balance.

use std::ops::AddAssign;

/// What became of the orders that a source brought in, in orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Delivered orders that were met.
    pub found: i64,
    /// Orders written to the archive.
    pub archived: i64,
    /// Orders that the archive held already.
    pub duplicates: i64,
    /// Archived orders with a field missing.
    pub incomplete: i64,
    /// Orders that went to quarantine.
    pub errors: i64,
    /// Orders that were delivered and deleted before they were read; no part of those that were
    /// found.
    pub gone: i64,
}

impl Counts {
    /// Whether every order that was found is accounted for.
    pub fn balance(&self) -> bool {
        self.found == self.archived + self.duplicates + self.errors
            && self.incomplete <= self.archived
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.found += other.found;
        self.archived += other.archived;
        self.duplicates += other.duplicates;
        self.incomplete += other.incomplete;
        self.errors += other.errors;
        self.gone += other.gone;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn books_balance_only_when_every_order_is_accounted_for() {
        let balanced = Counts {
            found: 10,
            archived: 6,
            duplicates: 3,
            incomplete: 2,
            errors: 1,
            gone: 4,
        };
        assert!(balanced.balance());
        assert!(
            !Counts {
                found: 11,
                ..balanced
            }
            .balance()
        );
        assert!(
            !Counts {
                incomplete: 7,
                ..balanced
            }
            .balance()
        );
    }
}
