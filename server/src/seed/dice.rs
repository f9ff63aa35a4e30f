//! Seeded randomness: the only source of chance in the generator.

use rand::{Rng, SeedableRng, rngs::StdRng};

/// What a stream of chance is used for.
///
/// Every use has a stream of its own, so that asking for more of one thing leaves the others as
/// they are.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Clients = 1,
    Livreurs = 2,
    Restaurants = 3,
    Dates = 4,
    Orders = 5,
    Live = 6,
}

/// One stream of chance.
///
/// Each call takes the same number of words from the generator whatever the bounds are,
/// so a different bound changes one value and not the ones after it.
pub(super) struct Dice(StdRng);

impl Dice {
    /// The stream of `seed` for one use; `first` is the number of the first document,
    /// so that appended documents do not repeat the earlier ones.
    pub(super) fn new(seed: u64, stream: Stream, first: u32) -> Self {
        Self(StdRng::seed_from_u64(mix(seed, stream, first)))
    }

    /// A number from 0 up to, but not including, `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        scale(self.0.next_u32(), bound)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// A fraction from 0 up to, but not including, 1.
    pub(super) fn fraction(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0)
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// One entry of a table that is not empty.
    pub(super) fn pick<'a, T>(&mut self, table: &'a [T]) -> &'a T {
        &table[self.below(table.len() as u32) as usize]
    }

    /// The generator itself, for `fake`.
    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.0
    }
}

/// A number that is always the same for the same seed, use and document, without a stream.
pub(super) fn mix(seed: u64, stream: Stream, number: u32) -> u64 {
    splitmix(splitmix(seed ^ ((stream as u64) << 32)) ^ u64::from(number))
}

/// Brings a random word into `0..bound` with one multiplication.
pub(super) fn scale(word: u32, bound: u32) -> u32 {
    ((u64::from(word) * u64::from(bound)) >> 32) as u32
}

/// The SplitMix64 step: neighbouring inputs give unrelated outputs.
fn splitmix(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(seed: u64, stream: Stream, first: u32) -> Vec<u32> {
        let mut dice = Dice::new(seed, stream, first);
        (0..8).map(|_| dice.below(1_000_000)).collect()
    }

    #[test]
    fn a_stream_depends_on_seed_use_and_first_number_alone() {
        let reference = words(1, Stream::Clients, 1);
        assert_eq!(reference, words(1, Stream::Clients, 1));
        for (case, other) in [
            ("seed", words(2, Stream::Clients, 1)),
            ("use", words(1, Stream::Livreurs, 1)),
            ("first number", words(1, Stream::Clients, 2)),
        ] {
            assert_ne!(reference, other, "another {case} must give another stream");
        }
    }

    #[test]
    fn values_stay_within_their_bounds_and_reach_both_ends() {
        let mut dice = Dice::new(7, Stream::Orders, 1);
        let drawn: Vec<u32> = (0..1_000).map(|_| dice.between(3, 6)).collect();
        assert_eq!(drawn.iter().min(), Some(&3));
        assert_eq!(drawn.iter().max(), Some(&6));
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&dice.fraction())));
        assert!((0..1_000).all(|_| !dice.chance(0.0) && dice.chance(1.0)));
    }
}
