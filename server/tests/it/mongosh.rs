//! The shell that people mend a database with: `mongosh`, installed once into the user's cache.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::{process::Command, sync::OnceCell};

use crate::{
    install::{installed, npm_install},
    support::within,
};

const PACKAGE: &str = include_str!("../mongosh/package.json");
/// The one thing to do when it can't be installed.
const ADVICE: &str = "mongosh needs Node 20 and npm: on Debian, `apt-get install nodejs npm`; on macOS, `brew install node`";

/// Runs these commands in one shell, as somebody would who follows an advice.
pub(crate) async fn mongosh(uri: &str, commands: &[String]) {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let program = PROGRAM
        .get_or_init(|| async { tokio::task::spawn_blocking(shell).await.unwrap().unwrap() });
    // It keeps a history and a log in the home folder.
    let home = tempfile::tempdir().unwrap();
    let mut shell = Command::new(program.await);
    shell
        .args(["--quiet", "--norc", uri])
        .env("HOME", home.path());
    for command in commands {
        shell.arg("--eval").arg(command);
    }
    let output = within(shell.kill_on_drop(true).output()).await.unwrap();
    assert!(
        output.status.success(),
        "{commands:#?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The lines of an advice that are commands.
pub(crate) fn commands(advice: &str) -> Vec<String> {
    let lines = advice.lines().filter(|line| line.starts_with("db."));
    lines.map(str::to_owned).collect()
}

/// Where the program is.
fn shell() -> Result<PathBuf> {
    let install = |folder: &Path| npm_install(folder, PACKAGE, ADVICE);
    let folder = installed("mongosh", &[PACKAGE], install)?;
    Ok(folder.join("node_modules/.bin/mongosh"))
}
