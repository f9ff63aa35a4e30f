//! How much is measured.

use std::{env, time::Duration};

use clap::{Parser, ValueEnum};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The batch beside its peers.
    Contest,
    /// `ArchiveOrder`, with one caller and with many.
    Callers,
    /// The two ways to gather.
    Gathering,
    /// The batch of a million orders, and others that find nothing new.
    Million,
    /// Limits on the rate of a batch.
    Rates,
}

/// How much is measured.
pub(crate) struct Size {
    /// What is measured at all.
    pub(crate) parts: Vec<Part>,
    /// Where the orders come from.
    pub(crate) seed: u64,
    /// Delivered orders that the contenders archive.
    pub(crate) orders: usize,
    /// How many of them the brief's flow archives, which takes its time.
    pub(crate) brief: usize,
    /// Rounds of the contest.
    pub(crate) rounds: usize,
    /// How long callers call, and either way of gathering is tried, in each round.
    pub(crate) span: Duration,
    /// Delivered orders of the large batch.
    pub(crate) grown: usize,
    /// How long each limited batch runs.
    pub(crate) limited: Duration,
    /// Delivered orders that the limited batches meet.
    pub(crate) met: usize,
}

impl Size {
    /// Whether a part is measured.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }
}

/// Measures the batch beside its peers.
#[derive(Parser)]
struct Arguments {
    /// Delivered orders that the contenders archive
    #[arg(long, default_value_t = 100_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1_000..=1_000_000))]
    orders: usize,
    /// Rounds of the contest
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
    let asked = env::args().skip(1);
    if !asked
        .into_iter()
        .any(|argument| ["--bench", "--help"].contains(&argument.as_str()))
    {
        return Size {
            parts: Part::value_variants().to_vec(),
            seed: 1,
            orders: 1_000,
            brief: 100,
            rounds: 1,
            span: Duration::from_millis(100),
            grown: 2_000,
            limited: Duration::from_millis(300),
            met: 8_000,
        };
    }
    let arguments = Arguments::parse();
    Size {
        parts: arguments.only,
        seed: arguments.seed,
        orders: arguments.orders,
        brief: arguments.orders.min(5_000),
        rounds: arguments.rounds,
        span: Duration::from_secs(3),
        grown: 1_000_000,
        limited: Duration::from_secs(14),
        met: 300_000,
    }
}
