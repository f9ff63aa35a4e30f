//! What it costs to be watched: metrics that are scraped and spans that are sent, readers of the
//! page, and a crowd on the HTTP port.
//!
//! `cargo bench --bench observe` measures and prints what [REPORT.md](../REPORT.md) shows; options
//! follow `--`, and `--help` names them. Under `cargo test` it makes one short round to show that
//! it still works.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "../support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod honest;
    pub(crate) mod machine;
    pub(crate) mod server;
    pub(crate) mod verdict;
}

mod cost;
mod crowd;
mod readers;
mod sink;

use std::env;

use anyhow::Result;
use clap::{Parser, ValueEnum, builder::RangedU64ValueParser};
use devkit::ReplicaSet;

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The CPU time of an order, with metrics and spans and without.
    Cost,
    /// The latency of `ArchiveOrder` beside readers of the page's events.
    Readers,
    /// The same beside connections to the HTTP port that are left open.
    Crowd,
}

/// Measures what it costs to be watched.
#[derive(Parser)]
struct Size {
    /// Measure nothing but this, or these
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Part::value_variants().to_vec())]
    only: Vec<Part>,
    /// Orders of a batch, and of a burst before the watcher
    #[arg(long, default_value_t = 50_000, value_parser = RangedU64ValueParser::<usize>::new().range(100..=1_000_000))]
    orders: usize,
    /// Rounds of each; the median counts
    #[arg(long, default_value_t = 9, value_parser = RangedU64ValueParser::<usize>::new().range(1..=100))]
    rounds: usize,
    /// How many seconds of calls are measured at a time
    #[arg(long, default_value_t = 15, value_parser = RangedU64ValueParser::<usize>::new().range(1..=600))]
    seconds: usize,
    /// Readers of the page's events
    #[arg(long, default_value_t = 1_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000))]
    readers: usize,
    /// Connections that are left open
    #[arg(long, default_value_t = 10_000, value_parser = RangedU64ValueParser::<usize>::new().range(1..=20_000))]
    crowd: usize,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let measured = env::args().any(|argument| ["--bench", "--help"].contains(&argument.as_str()));
    let size = if measured {
        Size::parse()
    } else {
        let short = "observe --orders=2000 --rounds=1 --seconds=1 --readers=20 --crowd=100";
        Size::parse_from(short.split(' '))
    };
    println!("{}", support::machine::size()?);
    let set = ReplicaSet::start().await?;
    for part in &size.only {
        match part {
            Part::Cost => cost::compare(&set, &size).await?,
            Part::Readers => readers::compare(&set, &size).await?,
            Part::Crowd => crowd::stand(&set, &size).await?,
        }
    }
    Ok(())
}
