//! How fast a batch archives, beside what else somebody would write and beside the database's own
//! limit; what it costs; how it grows.
//!
//! `cargo bench --bench batch` measures and prints what [REPORT.md](../REPORT.md) shows; options
//! follow `--`, and `--help` names them. Under `cargo test` it makes one short round to show that
//! it still works. Everything runs on one mongod, on orders made up from one seed.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "../peers"]
mod peers {
    pub(crate) mod bare_call;
    pub(crate) mod brief;
    pub(crate) mod enriched;
    pub(crate) mod insert;
    pub(crate) mod join;
    pub(crate) mod merge;
}
#[path = "../support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod machine;
    pub(crate) mod platform;
    pub(crate) mod process;
    pub(crate) mod server;
    pub(crate) mod verdict;
}

mod callers;
mod contest;
mod gathering;
mod growth;
mod options;
mod rates;

use anyhow::Result;
use bson::doc;
use options::Part;
use support::platform::Platform;

/// The storage engine's cache, in gigabytes: enough for the million orders and their archive, as in
/// production.
const CACHE: f64 = 4.0;

#[tokio::main]
async fn main() -> Result<()> {
    let size = options::read();
    let set = devkit::Options::new().cache_gb(CACHE).start().await?;
    let version = set.nodes()[0].admin(doc! { "buildInfo": 1 }).await?;
    println!(
        "{}, {} shared by mongod {} (one node, {CACHE} GB of cache), archd and the bench; seed {}",
        chrono::Utc::now().date_naive(),
        support::machine::size()?,
        version.get_str("version")?,
        size.seed,
    );

    let mut rates = None;
    if [Part::Contest, Part::Callers, Part::Gathering]
        .iter()
        .any(|part| size.has(*part))
    {
        let platform = Platform::seeded(&set, size.seed, size.orders).await?;
        if size.has(Part::Contest) {
            rates = Some(contest::hold(&platform, &size).await?);
        }
        if size.has(Part::Callers) {
            callers::serve(&platform, &size, rates.as_ref()).await?;
        }
        if size.has(Part::Gathering) {
            gathering::compare(&platform, &size).await?;
        }
        platform.close().await?;
    }
    if size.has(Part::Million) {
        let grown = Platform::seeded(&set, size.seed, size.grown).await?;
        growth::measure(&grown, &size, rates.as_ref()).await?;
    }
    if size.has(Part::Rates) {
        let met = Platform::seeded(&set, size.seed, size.met).await?;
        rates::keep(&met, &size).await?;
        met.close().await?;
    }
    Ok(())
}
