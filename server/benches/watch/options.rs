//! How much is measured.

use std::env;

use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// How soon an order is archived while they come at a rate.
    Steady,
    /// How fast many drain that are delivered at once.
    Burst,
}

/// Measures the watcher beside its peers.
#[derive(Parser)]
pub(crate) struct Size {
    /// Orders that are delivered at once in a burst
    #[arg(long, default_value_t = 100_000, value_parser = RangedU64ValueParser::<usize>::new().range(50..=1_000_000))]
    pub(crate) orders: usize,
    /// For how many seconds orders come at each rate
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Rounds of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    pub(crate) rounds: usize,
    /// Measure nothing but this
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    pub(crate) only: Vec<Part>,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The size that was asked for: a short round unless cargo says that this is a bench, whatever
/// `cargo test` passes on.
pub(crate) fn read() -> Size {
    let measures = |argument: String| ["--bench", "--help"].contains(&argument.as_str());
    match env::args().skip(1).any(measures) {
        true => Size::parse(),
        false => Size::parse_from(["watch", "--orders=500", "--seconds=1", "--rounds=1"]),
    }
}
