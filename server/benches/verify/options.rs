//! How much is measured.

use std::env;

use clap::{Parser, ValueEnum};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Each depth and scope beside the batch, and a merge by hand.
    Speed,
    /// Differences that were made on purpose: all are found, in their classes, and nothing else.
    Spoiled,
    /// The same while orders are delivered, batches run, and the verifier is killed.
    Chaos,
    /// A batch with a verification beside it, and without.
    Beside,
}

/// How much is measured.
pub(crate) struct Size {
    /// What is measured at all.
    parts: Vec<Part>,
    /// Where the orders come from.
    pub(crate) seed: u64,
    /// Delivered orders.
    pub(crate) orders: usize,
    /// Rounds of each.
    pub(crate) rounds: usize,
    /// How often the verifier is killed.
    pub(crate) kills: usize,
    /// Whether the merge by hand is measured, which needs Python and PyPI.
    pub(crate) by_hand: bool,
}

impl Size {
    /// Whether a part is measured.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// Measures verifications beside the batch and beside a merge by hand.
#[derive(Parser)]
struct Arguments {
    /// Delivered orders
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2_000..=10_000_000))]
    orders: usize,
    /// Rounds of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// Measure nothing but this, or these
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    /// What the orders are made up from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The size that was asked for: a short round unless cargo says that this is a bench, whatever
/// `cargo test` passes on.
pub(crate) fn read() -> Size {
    let is_bench = |argument: String| ["--bench", "--help"].contains(&argument.as_str());
    if !env::args().skip(1).any(is_bench) {
        return Size {
            // The others measure what a busy machine can't tell.
            parts: vec![Part::Speed, Part::Spoiled],
            seed: 1,
            orders: 4_000,
            rounds: 1,
            kills: 3,
            by_hand: false,
        };
    }
    let arguments = Arguments::parse();
    Size {
        parts: arguments.only,
        seed: arguments.seed,
        orders: arguments.orders,
        rounds: arguments.rounds,
        kills: 30,
        by_hand: true,
    }
}
