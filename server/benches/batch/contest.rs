//! The contest: every contender archives the same orders into an empty archive, in turns, for
//! several rounds.

use anyhow::{Result, ensure};
use bson::RawDocumentBuf;

use crate::{
    options::Size,
    peers,
    support::{
        platform::{Cost, Platform},
        process::{self, Batch},
        verdict::{at_least, each, median, spread},
    },
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
    cost: Cost,
    /// Of `archd` alone.
    batch: Option<Batch>,
}

impl Turn {
    /// The rate from the first order to the last: of `archd`, what the batch says of itself.
    fn rate(&self) -> f64 {
        let took = self
            .batch
            .as_ref()
            .map_or(self.cost.took, |batch| batch.duration);
        self.orders as f64 / took.as_secs_f64()
    }

    /// The rate with the start and the end of a process.
    fn whole_rate(&self) -> f64 {
        self.orders as f64 / self.cost.took.as_secs_f64()
    }
}

/// Medians, in orders a second.
pub(crate) struct Rates {
    pub(crate) archd: f64,
    pub(crate) brief: f64,
    /// Of raw inserts, one at a time.
    pub(crate) insert: f64,
    /// Of raw inserts, four in flight.
    pub(crate) inserts: f64,
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
        "\n### The batch of {} orders, medians of {} rounds\n",
        platform.delivered, size.rounds
    );
    println!(
        "| contender | orders | orders/s | lowest–highest | `archd` is | mongod µs/order | client µs/order | peak MiB | others |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
    let archd = of(&turns[0], Turn::rate);
    for (contender, turns) in CONTENDERS.iter().zip(&turns) {
        row(contender.name(), turns, Turn::rate, archd);
        if *contender == Contender::Archd {
            let name = "the same, from the start of the process to its end";
            row(name, turns, Turn::whole_rate, archd);
        }
    }
    let [_, brief, merge, _, insert, inserts] = turns.each_ref().map(|turns| of(turns, Turn::rate));
    println!();
    at_least("times the brief's flow", archd / brief, 40.0);
    at_least("times `$merge`", archd / merge, 3.5);
    at_least("of the raw insert limit", archd / insert.max(inserts), 0.7);
    Ok(Rates {
        archd,
        brief,
        insert,
        inserts,
    })
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
        match contender {
            Contender::Archd => return Ok(Some(process::batch(platform).await?)),
            Contender::Brief => peers::brief::archive(database, size.brief).await?,
            Contender::Merge => peers::merge::archive(database).await?,
            Contender::Join => peers::join::archive(database).await?,
            Contender::Insert { in_flight } => {
                peers::insert::archive(database, finished, in_flight).await?;
            }
        }
        Ok(None)
    };
    let (batch, cost) = platform.costing(work).await?;
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
        cost,
        batch,
    })
}

/// The median of a figure of several turns.
fn of(turns: &[Turn], figure: impl Fn(&Turn) -> f64) -> f64 {
    median(&turns.iter().map(figure).collect::<Vec<_>>())
}

fn row(name: &str, turns: &[Turn], rate: fn(&Turn) -> f64, archd: f64) {
    let Some(first) = turns.first() else {
        return;
    };
    let peak = of(turns, |turn| {
        turn.batch.as_ref().map_or(0.0, |batch| batch.peak)
    });
    println!(
        "| {name} | {} | {:.0} | {} | {:.2} × | {:.1} | {:.1} | {} | {:.0} % |",
        first.orders,
        of(turns, rate),
        spread(&turns.iter().map(rate).collect::<Vec<_>>()),
        archd / of(turns, rate),
        of(turns, |turn| each(turn.cost.mongod, turn.orders)),
        of(turns, |turn| each(turn.cost.client, turn.orders)),
        first
            .batch
            .as_ref()
            .map_or(String::new(), |_| format!("{peak:.0}")),
        of(turns, |turn| turn.cost.others * 100.0),
    );
}
