//! What a verification costs beside the batch that archived the orders, and beside what somebody
//! would write by hand; whether a batch beside it is slowed down; whether it finds exactly what was
//! spoiled.
//!
//! `cargo bench --bench verify` measures and prints what [REPORT.md](../REPORT.md) shows; options
//! follow `--`, and `--help` names them. Under `cargo test` it makes one short round to show that
//! it still works. Everything runs on one mongod, on orders made up from one seed.

#![allow(missing_docs, reason = "a bench has no readers of its documentation")]
#![allow(clippy::print_stdout, reason = "the figures are its data")]

#[path = "../support"]
#[allow(dead_code, reason = "the benches share it, and each uses a part")]
mod support {
    pub(crate) mod ground;
    pub(crate) mod machine;
    pub(crate) mod platform;
    pub(crate) mod process;
    pub(crate) mod verdict;
}

mod beside;
mod by_hand;
mod chaos;
mod options;
mod speed;
mod spoiled;
mod verification;

use anyhow::Result;
use bson::doc;
use options::Part;
use support::platform::Platform;

/// The storage engine's cache, in gigabytes: enough for a million orders and their archive, as in
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
    for part in [Part::Speed, Part::Spoiled, Part::Chaos, Part::Beside] {
        if !size.has(part) {
            continue;
        }
        // Of its own: what was archived once before has another history.
        let platform = Platform::seeded(&set, size.seed, size.orders).await?;
        match part {
            Part::Speed => speed::measure(&platform, &size).await?,
            Part::Spoiled => spoiled::find(&platform, &size).await?,
            Part::Chaos => chaos::survive(&platform, &size).await?,
            Part::Beside => beside::compare(&platform, &size).await?,
        }
        platform.close().await?;
    }
    Ok(())
}
