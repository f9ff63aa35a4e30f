//! How much is measured.

use std::{env, time::Duration};

use clap::Parser;

/// How much is measured.
pub(crate) struct Size {
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
    /// Delivered orders of the large batch, unless it is left out.
    pub(crate) grown: Option<usize>,
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
    /// Leave the batch of a million orders out
    #[arg(long)]
    no_million: bool,
    /// What the orders are made up from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// The size that was asked for: a short round unless cargo says that this is a bench, whatever `cargo test` passes on.
pub(crate) fn read() -> Size {
    let asked = env::args().skip(1);
    if !asked
        .into_iter()
        .any(|argument| ["--bench", "--help"].contains(&argument.as_str()))
    {
        return Size {
            seed: 1,
            orders: 1_000,
            brief: 100,
            rounds: 1,
            span: Duration::from_millis(100),
            grown: Some(2_000),
        };
    }
    let arguments = Arguments::parse();
    Size {
        seed: arguments.seed,
        orders: arguments.orders,
        brief: arguments.orders.min(5_000),
        rounds: arguments.rounds,
        span: Duration::from_secs(3),
        grown: (!arguments.no_million).then_some(1_000_000),
    }
}
