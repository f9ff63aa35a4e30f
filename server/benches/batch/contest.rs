//! The contest: every contender archives the same orders into an empty archive, in turns, for several rounds.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bson::RawDocumentBuf;

use crate::{
    options::Size,
    peers,
    platform::Platform,
    process,
    support::machine,
    verdict::{at_least, each, median, spread},
};

/// Who archives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contender {
    Archd,
    Brief,
    Merge,
    Join,
    Insert { in_flight: usize },
}

const CONTENDERS: [Contender; 6] = [
    Contender::Archd,
    Contender::Brief,
    Contender::Merge,
    Contender::Join,
    Contender::Insert { in_flight: 1 },
    Contender::Insert { in_flight: 4 },
];

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Contender::Archd => "`archd batch`",
            Contender::Brief => "the brief's flow: an aggregation an order",
            Contender::Merge => "one `$lookup … $merge` over all",
            Contender::Join => "client-side join, four finds a thousand",
            Contender::Insert { in_flight: 1 } => "raw insert, one at a time",
            Contender::Insert { .. } => "raw insert, four in flight",
        }
    }
}

/// One turn of a contender.
struct Turn {
    orders: usize,
    took: Duration,
    /// The CPU time of mongod.
    database: Duration,
    /// The CPU time of `archd`, or of the bench where it does the work itself.
    client: Duration,
    /// Of `archd` alone: the wall clock of the process, and its peak memory in MiB.
    process: Option<(Duration, f64)>,
}

/// Medians, in orders a second.
pub(crate) struct Rates {
    pub(crate) archd: f64,
    pub(crate) brief: f64,
}

/// Holds the contest, and prints its table and verdicts.
pub(crate) async fn hold(platform: &Platform, size: &Size) -> Result<Rates> {
    // This warms the database up as well, for all alike.
    platform.empty_archive().await?;
    process::batch(platform).await?;
    let finished = platform.archived_documents().await?;
    let mut turns: [Vec<Turn>; CONTENDERS.len()] = Default::default();
    for round in 0..size.rounds {
        for place in 0..CONTENDERS.len() {
            let place = (place + round) % CONTENDERS.len();
            let turn = turn(platform, size, CONTENDERS[place], &finished).await?;
            turns[place].push(turn);
        }
    }

    println!(
        "\n## The batch of {} orders, {} rounds\n",
        platform.delivered, size.rounds
    );
    println!(
        "| contender | orders | orders/s | lowest–highest | `archd` is | mongod µs/order | client µs/order | peak MiB |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    let rate = |turns: &[Turn]| median(&rates(turns));
    let archd = rate(&turns[0]);
    for (contender, turns) in CONTENDERS.iter().zip(&turns) {
        row(contender.name(), turns, &rates(turns), archd);
        if turns.iter().all(|turn| turn.process.is_some()) {
            let whole = turns
                .iter()
                .filter_map(|turn| Some(turn.orders as f64 / turn.process?.0.as_secs_f64()));
            row(
                "the same, from the start of the process to its end",
                turns,
                &whole.collect::<Vec<_>>(),
                archd,
            );
        }
    }
    let [_, brief, merge, _, one, four] = turns.each_ref().map(|turns| rate(turns));
    println!();
    at_least("times the brief's flow", archd / brief, 40.0);
    at_least("times `$merge`", archd / merge, 3.5);
    at_least("of the raw insert limit", archd / one.max(four), 0.7);
    Ok(Rates { archd, brief })
}

async fn turn(
    platform: &Platform,
    size: &Size,
    contender: Contender,
    finished: &[RawDocumentBuf],
) -> Result<Turn> {
    platform.empty_archive().await?;
    let database = &platform.database;
    let work = async {
        let (start, cpu) = (Instant::now(), machine::own_cpu()?);
        let mut batch = None;
        match contender {
            Contender::Archd => batch = Some(process::batch(platform).await?),
            Contender::Brief => drop(peers::brief::archive(database, size.brief).await?),
            Contender::Merge => peers::merge::archive(database).await?,
            Contender::Join => drop(peers::join::archive(database).await?),
            Contender::Insert { in_flight } => {
                peers::insert::archive(database, finished, in_flight).await?;
            }
        }
        anyhow::Ok((batch, start.elapsed(), machine::own_cpu()? - cpu))
    };
    let ((batch, took, client), database) = platform.costing(work).await?;
    let orders = platform.archived().await?;
    let due = if contender == Contender::Brief {
        size.brief
    } else {
        platform.delivered
    };
    ensure!(
        orders == due,
        "{} archived {orders} of {due} orders",
        contender.name()
    );
    Ok(Turn {
        orders,
        took: batch.as_ref().map_or(took, |batch| batch.duration),
        database,
        client: batch.as_ref().map_or(client, |batch| batch.cpu),
        process: batch.map(|batch| (batch.wall, batch.peak)),
    })
}

fn rates(turns: &[Turn]) -> Vec<f64> {
    let rate = |turn: &Turn| turn.orders as f64 / turn.took.as_secs_f64();
    turns.iter().map(rate).collect()
}

fn row(name: &str, turns: &[Turn], rates: &[f64], archd: f64) {
    let of = |figure: fn(&Turn) -> f64| median(&turns.iter().map(figure).collect::<Vec<_>>());
    let peak = of(|turn| turn.process.map_or(f64::NAN, |(_, peak)| peak));
    let peak = if peak.is_nan() {
        String::new()
    } else {
        format!("{peak:.0}")
    };
    println!(
        "| {name} | {} | {:.0} | {} | {:.2} × | {:.1} | {:.1} | {peak} |",
        turns.first().map_or(0, |turn| turn.orders),
        median(rates),
        spread(rates),
        archd / median(rates),
        of(|turn| each(turn.database, turn.orders)),
        of(|turn| each(turn.client, turn.orders)),
    );
}
