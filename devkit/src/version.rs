//! Asks a program whether it is a mongod that will do.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// The oldest major version whose change streams and aggregations the product is written for.
pub(crate) const OLDEST_MAJOR: u32 = 6;

/// Runs the program to see that it is a mongod, that this machine can execute it, and that it is
/// recent enough.
pub(crate) fn check(program: &Path) -> Result<()> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .context("it does not run")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "`--version` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let Some(version) = said
        .lines()
        .find_map(|line| line.strip_prefix("db version v"))
    else {
        bail!("it is not a mongod: `--version` does not name a database version");
    };
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major >= Some(OLDEST_MAJOR),
        "it is mongod {version}, and {OLDEST_MAJOR}.0 is the oldest that will do"
    );
    Ok(())
}
