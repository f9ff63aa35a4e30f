//! How the partitions are spread over the instances: a pure decision, which each instance makes for
//! itself.

use std::cmp::Reverse;

/// How many partitions this instance is to have, of so many, where these hold so many each: as many
/// as any other, and where that does not come out even, one more for those that hold the most. All
/// who see the same come to shares that add up.
pub(super) fn share_of(me: &str, partitions: usize, holders: &[(&str, usize)]) -> usize {
    let mut order: Vec<(&str, usize)> = holders.to_vec();
    if !order.iter().any(|(name, _)| *name == me) {
        order.push((me, 0));
    }
    order.sort_by_key(|(name, held)| (Reverse(*held), *name));
    let rank = order.iter().position(|(name, _)| *name == me);
    let (even, odd) = (partitions / order.len(), partitions % order.len());
    even + usize::from(rank.is_some_and(|rank| rank < odd))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

    #[test]
    fn shares_are_even_and_those_that_hold_more_keep_more() {
        type Row = (usize, &'static [(&'static str, usize)], &'static [usize]);
        let table: &[Row] = &[
            (4, &[("a", 0)], &[4]),
            (4, &[("a", 4), ("b", 0)], &[2, 2]),
            (4, &[("a", 4), ("b", 0), ("c", 0)], &[2, 1, 1]),
            (4, &[("a", 2), ("b", 2), ("c", 0)], &[2, 1, 1]),
            (4, &[("a", 1), ("b", 2), ("c", 1)], &[1, 2, 1]),
            (2, &[("a", 0), ("b", 1), ("c", 1)], &[0, 1, 1]),
            (1, &[("a", 0), ("b", 1)], &[0, 1]),
            (64, &[("a", 64), ("b", 0), ("c", 0)], &[22, 21, 21]),
        ];
        for (partitions, holders, shares) in table {
            let own = holders
                .iter()
                .map(|(me, _)| share_of(me, *partitions, holders));
            assert_eq!(own.collect::<Vec<_>>(), *shares, "{partitions} {holders:?}");
        }
        assert_eq!(share_of("new", 4, &[("a", 4)]), 2);
    }

    /// However they begin, those who take and let go by their shares come to rest, with every
    /// partition held and none that holds two more than another.
    #[test]
    fn whoever_follows_the_shares_comes_to_an_even_spread_and_stays_there() {
        for partitions in 1..=16_usize {
            for instances in 1..=NAMES.len() {
                let mut held = vec![0; instances];
                held[instances / 2] = partitions;
                for _ in 0..=instances {
                    let holders: Vec<(&str, usize)> =
                        NAMES.iter().copied().zip(held.iter().copied()).collect();
                    held = holders
                        .iter()
                        .map(|(me, _)| share_of(me, partitions, &holders))
                        .collect();
                    assert_eq!(held.iter().sum::<usize>(), partitions, "{holders:?}");
                }
                let (least, most) = (held.iter().min(), held.iter().max());
                assert!(
                    most.zip(least)
                        .is_some_and(|(most, least)| most - least <= 1)
                );
                let rest: Vec<(&str, usize)> =
                    NAMES.iter().copied().zip(held.iter().copied()).collect();
                let again: Vec<usize> = rest
                    .iter()
                    .map(|(me, _)| share_of(me, partitions, &rest))
                    .collect();
                assert_eq!(again, held);
            }
        }
    }
}
