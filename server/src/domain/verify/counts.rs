//! Counts of a verification: how many orders were looked at, and what they came to.

use super::class::Class;

/// What a verification has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Delivered orders that were looked at.
    pub delivered: i64,
    /// Of these, the ones that are archived once, without a difference that fails the verdict.
    pub verified: i64,
    /// Archived documents that were looked at.
    pub archived: i64,
    /// Differences that fail the verdict and were acknowledged: they are in no class.
    pub acknowledged: i64,
    /// Differences, by the rank of their class.
    pub by_class: [i64; Class::ALL.len()],
}

impl Counts {
    /// Differences of a class.
    pub fn of(&self, class: Class) -> i64 {
        self.by_class[class as usize]
    }

    /// The same, to change.
    pub fn of_mut(&mut self, class: Class) -> &mut i64 {
        &mut self.by_class[class as usize]
    }

    /// Differences that fail the verdict.
    pub fn failing(&self) -> i64 {
        let failing = Class::ALL.into_iter().filter(|class| class.fails());
        failing.map(|class| self.of(class)).sum()
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.delivered += other.delivered;
        self.verified += other.verified;
        self.archived += other.archived;
        self.acknowledged += other.acknowledged;
        for (own, more) in self.by_class.iter_mut().zip(other.by_class) {
            *own += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_counted_apart_from_what_does_not() {
        let mut counts = Counts::default();
        for class in Class::ALL {
            *counts.of_mut(class) += 1;
        }
        let mut twice = counts;
        twice += counts;
        assert_eq!((counts.failing(), twice.failing()), (4, 8));
        assert_eq!(twice.of(Class::NearMiss), 2);
    }
}
