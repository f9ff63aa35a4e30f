//! The shell that people mend a database with: `mongosh`, installed once into the user's cache.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use devkit::Sources;
use sha2::{Digest, Sha256};
use tokio::{process::Command, sync::OnceCell};

use crate::support::within;

const PACKAGE: &str = include_str!("../mongosh/package.json");
/// The one thing to do when it can't be installed.
const ADVICE: &str = "mongosh needs Node 20 and npm: on Debian, `apt-get install nodejs npm`; on macOS, `brew install node`";

/// Runs these commands in one shell, as somebody would who follows an advice.
pub(crate) async fn mongosh(uri: &str, commands: &[String]) {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let program = PROGRAM.get_or_init(|| async {
        tokio::task::spawn_blocking(installed)
            .await
            .unwrap()
            .unwrap()
    });
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

/// Where the program is; installs it the first time, whoever asks for it at once.
fn installed() -> Result<PathBuf> {
    let cache = Sources::from_env()
        .cache
        .context("neither XDG_CACHE_HOME nor HOME says where to keep mongosh")?;
    let hash = hex::encode(Sha256::digest(PACKAGE));
    let folder = cache.join(format!("mongosh-{}", &hash[..16]));
    let program = folder.join("node_modules/.bin/mongosh");
    let finished = folder.join("finished");
    fs::create_dir_all(&cache)?;
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    if finished.exists() {
        return Ok(program);
    }
    // An installation that was killed is begun anew.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(&folder)?;
    fs::write(folder.join("package.json"), PACKAGE)?;
    let install = [
        "install",
        "--ignore-scripts",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--prefix",
    ];
    let output = std::process::Command::new("npm")
        .args(install)
        .arg(&folder)
        .output()
        .with_context(|| format!("npm does not run; {ADVICE}"))?;
    ensure!(
        output.status.success(),
        "npm failed; {ADVICE}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    File::create(finished)?;
    Ok(program)
}
