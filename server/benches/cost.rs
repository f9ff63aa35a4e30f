//! What an order of a batch costs in CPU time, of mongod and of `archd`, beside its raw insert in
//! the same run; more than before is a failure.
//!
//! `cargo test` measures it as it measures everything, `cargo bench --bench cost` with optimised
//! programs. Times say little on a machine that others use, so CPU time is what counts, and it is
//! told as multiples of what mongod takes for a raw insert, by which machines of other speed can be
//! compared. `history.csv` keeps these ratios by commit: to add a line, take the one that is
//! printed.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

mod peers {
    pub(crate) mod insert;
}
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod machine;
    pub(crate) mod platform;
    pub(crate) mod process;
    pub(crate) mod verdict;
}

use anyhow::{Result, bail, ensure};
use bson::RawDocumentBuf;

use crate::support::{
    platform::Platform,
    process,
    verdict::{each, median},
};

/// Ratios by commit: the day, the commit, how the programs were built, the ratio of mongod, that of
/// `archd`.
const HISTORY: &str = include_str!("history.csv");
/// How the programs of this run were built.
const BUILD: &str = if cfg!(debug_assertions) {
    "dev"
} else {
    "bench"
};
/// Delivered orders.
const ORDERS: usize = 20_000;
const ROUNDS: usize = 3;
/// How much more an order may cost than by the median of the history.
const MORE: f64 = 1.35;
/// How often it is measured until it is found to cost more: somebody else may use the machine.
const TRIES: usize = 3;

/// What an order costs, as multiples of what mongod takes for its raw insert.
#[derive(Clone, Copy, Debug)]
struct Ratios {
    mongod: f64,
    archd: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let known = recorded()?;
    let set = devkit::ReplicaSet::start().await?;
    let platform = Platform::seeded(&set, 1, ORDERS).await?;
    platform.empty_archive().await?;
    process::batch(&platform).await?;
    let finished = platform.archived_documents().await?;
    for attempt in 1.. {
        let now = measure(&platform, &finished).await?;
        let today = chrono::Utc::now().date_naive();
        println!("{today},COMMIT,{BUILD},{:.2},{:.2}", now.mongod, now.archd);
        let Some(known) = known else {
            println!("no figures of a build like this one are kept to compare with");
            break;
        };
        let more = [
            ("mongod", now.mongod / known.mongod),
            ("archd", now.archd / known.archd),
        ];
        let Some((who, times)) = more.into_iter().find(|(_, times)| *times > MORE) else {
            break;
        };
        ensure!(
            attempt < TRIES,
            "an order of a batch costs {who} {times:.2} times what it did by the median of server/benches/history.csv, and {MORE} is the most; if that is meant, take the lines out that it replaces"
        );
    }
    platform.close().await
}

async fn measure(platform: &Platform, finished: &[RawDocumentBuf]) -> Result<Ratios> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        platform.empty_archive().await?;
        let inserting = peers::insert::archive(&platform.database, finished, 1);
        let ((), insert) = platform.costing(inserting).await?;
        platform.empty_archive().await?;
        let (batch, cost) = platform.costing(process::batch(platform)).await?;
        ensure!(
            batch.archived == ORDERS as u64,
            "{} archived",
            batch.archived
        );
        let insert = each(insert.mongod, ORDERS);
        rounds.push(Ratios {
            mongod: each(cost.mongod, ORDERS) / insert,
            archd: each(cost.client, ORDERS) / insert,
        });
    }
    Ok(middle(&rounds))
}

/// What orders cost so far, by builds like this one.
fn recorded() -> Result<Option<Ratios>> {
    let mut known = Vec::new();
    for line in HISTORY.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [_, _, build, mongod, archd] = fields[..] else {
            bail!("server/benches/history.csv has five fields, and not {line:?}");
        };
        if build == BUILD {
            known.push(Ratios {
                mongod: mongod.parse()?,
                archd: archd.parse()?,
            });
        }
    }
    Ok((!known.is_empty()).then(|| middle(&known)))
}

/// The medians.
fn middle(ratios: &[Ratios]) -> Ratios {
    let of = |figure: fn(&Ratios) -> f64| median(&ratios.iter().map(figure).collect::<Vec<_>>());
    Ratios {
        mongod: of(|ratios| ratios.mongod),
        archd: of(|ratios| ratios.archd),
    }
}
