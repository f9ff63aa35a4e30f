//! What somebody would write by hand to compare the orders with their archive: a merge of two
//! cursors in Python.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::support::platform::Platform;

/// The driver that it uses, from PyPI.
const DRIVER: &str = "pymongo==4.10.1";

/// Merges the two cursors over so many delivered orders, and says how long that took.
pub(crate) async fn merge(platform: &Platform, delivered: usize) -> Result<Duration> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pymongo");
    if !folder.join("pymongo").is_dir() {
        let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--target"];
        let installed = Command::new("python3")
            .args(pip)
            .arg(&folder)
            .arg(DRIVER)
            .status();
        ensure!(
            installed.await?.success(),
            "{DRIVER} can't be installed: it needs python3 and pip"
        );
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/two_cursors.py");
    let said = Command::new("python3")
        .arg(script)
        .arg(platform.config.mongodb_uri.expose())
        .arg(platform.database.name())
        .env("PYTHONPATH", folder)
        .output()
        .await?;
    ensure!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let said = String::from_utf8(said.stdout)?;
    let figures: Vec<f64> = said
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [compared, _, seconds] = figures[..] else {
        anyhow::bail!("it said {said:?}");
    };
    ensure!(compared as usize == delivered, "it compared {compared}");
    Duration::try_from_secs_f64(seconds).context("a time")
}
