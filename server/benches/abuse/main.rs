//! What misbehaving callers cost the honest ones: 200 orders a second beside each attack, and
//! beside a process that only burns as much CPU time as the attacker did.
//!
//! `cargo bench --bench abuse` measures; options follow `--`, and `--help` names them. Under `cargo
//! test` it makes one short round of some attacks to show that it still works.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "../support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod honest;
    pub(crate) mod machine;
    pub(crate) mod server;
}

/// What the tests attack with too.
#[path = "../../tests/it/support/frames.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod frames;

mod attack;
mod attacker;
mod burner;
mod raw;
mod stage;

use std::{env, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::{attack::Attack, stage::Stage, support::honest};

/// An attack may make the slowest honest answers so many times slower than a process that burns as
/// much CPU time.
const AIM: f64 = 1.5;

/// Measures what misbehaving callers cost the honest ones.
#[derive(Parser)]
struct Arguments {
    /// Measure nothing but this, or these
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Attack::value_variants().to_vec())]
    only: Vec<Attack>,
    /// How many seconds of honest orders are measured beside each
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Rounds of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: u64,
    /// What cargo says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it starts itself again: a process of its own, whose CPU time can be
/// told.
#[derive(Subcommand)]
enum Role {
    /// Attacks a server until it is killed.
    #[command(hide = true)]
    Attacker(attacker::Arguments),
    /// Burns a share of CPU time until it is killed.
    #[command(hide = true)]
    Burner(burner::Arguments),
}

fn main() -> Result<()> {
    let measured = env::args()
        .skip(1)
        .any(|argument| ["--bench", "--help", "attacker", "burner"].contains(&argument.as_str()));
    let arguments = if measured {
        Arguments::parse()
    } else {
        let some = "--only=deadlines,bodies,streams,resets,pings";
        Arguments::parse_from(["abuse", "--seconds=1", "--rounds=1", some])
    };
    match arguments.role {
        Some(Role::Burner(burner)) => burner::burn(&burner),
        Some(Role::Attacker(attacker)) => runtime()?.block_on(attacker::attack(attacker)),
        None => runtime()?.block_on(measure(&arguments)),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Runtime::new()?)
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let span = Duration::from_secs(arguments.seconds);
    let stage = Stage::new().await?;
    println!(
        "{} orders a second by `ArchiveOrder` for {} s, {} rounds; {}",
        honest::RATE,
        arguments.seconds,
        arguments.rounds,
        support::machine::size()?,
    );
    println!(
        "\n| attack | p50 ms | p99 ms | p99 ms beside a burner | times | refused | attacker's CPU | `archd`'s peak MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let (mut worst, mut refused) = (0_f64, 0);
    for attack in &arguments.only {
        let mut rounds = Vec::new();
        for _ in 0..arguments.rounds {
            rounds.push(stage.round(*attack, span).await?);
        }
        rounds.sort_by(|one, other| one.times().total_cmp(&other.times()));
        let round = &rounds[(rounds.len() - 1) / 2];
        let times = round.times();
        worst = worst.max(times);
        refused += rounds
            .iter()
            .map(|round| round.attacked.refused)
            .sum::<usize>();
        println!(
            "| {} | {:.1} | {:.1} | {:.1} | {times:.2} | {} | {:.0} % | {:.0} |",
            attack.describe(),
            round.attacked.at(0.5),
            round.attacked.at(0.99),
            round.burning.at(0.99),
            round.attacked.refused,
            round.share * 100.0,
            round.peak,
        );
    }
    let reached = worst <= AIM && refused == 0;
    let verdict = if reached { "reached" } else { "missed" };
    println!(
        "\n- the worst of them: **{worst:.2}**, aim at most {AIM}, and {refused} orders refused, aim none: {verdict}"
    );
    Ok(())
}
