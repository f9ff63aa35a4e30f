//! `archd verify` as the process that it is in production.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::support::{platform::Platform, process};

/// A verification that has ended with a verdict.
pub(crate) struct Verification {
    /// All that it says of itself.
    pub(crate) said: Value,
    /// Whether it says that all is well.
    pub(crate) verified: bool,
    /// How long it took, by what it says of itself.
    pub(crate) duration: Duration,
    /// The most memory that it ever held, in MiB.
    pub(crate) peak: f64,
}

impl Verification {
    /// One of its counts.
    pub(crate) fn count(&self, name: &str) -> Result<u64> {
        let count = self.said[name].as_u64();
        count.with_context(|| format!("no {name} in {}", self.said))
    }
}

/// Runs `archd verify` to its end, with no limit on its rate.
pub(crate) async fn verify(platform: &Platform, arguments: &[&str]) -> Result<Verification> {
    let always = [
        "verify",
        "--output=json",
        "--log=warn",
        "--verify-max-rate=0",
        "--settle=1s",
    ];
    let ended = process::run(platform, &[&always, arguments].concat()).await?;
    let seconds = ended.said["duration_seconds"].as_f64();
    let verdict = ended.said["verdict"].as_str();
    Ok(Verification {
        verified: verdict.context("a verification without a verdict")? == "VERDICT_VERIFIED",
        duration: Duration::from_secs_f64(seconds.context("a verification without a duration")?),
        peak: ended.peak,
        said: ended.said,
    })
}
