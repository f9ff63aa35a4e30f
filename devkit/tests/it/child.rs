//! Runs a part of a test in a process of its own: this test program again, told by its environment
//! which part to play.

use std::env;
use std::fmt::Display;
use std::future::pending;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use devkit::{Options, ReplicaSet, Sources};

/// What a part says is on a line that has this in front; the rest is the test harness talking.
const SAYS: &str = "child says: ";
/// Where a part that needs one finds its cache; what tells a part that it is wanted at all.
const CACHE: &str = "DEVKIT_TEST_CACHE";

/// The command that plays the part, with its output piped.
pub(crate) fn play(part: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([
        "--exact",
        &format!("child::{part}"),
        "--ignored",
        "--nocapture",
    ]);
    command
        .env(CACHE, "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// The command that plays the part on this cache.
pub(crate) fn play_on(cache: &Path, part: &str) -> Result<Command> {
    let mut command = play(part)?;
    command.env(CACHE, cache);
    Ok(command)
}

/// What the part says on this line of its output, if anything.
pub(crate) fn said(line: &str) -> Option<&str> {
    line.split_once(SAYS).map(|(_, what)| what)
}

fn say(what: impl Display) -> Result<()> {
    writeln!(stdout(), "{SAYS}{what}").context("nobody listens")
}

/// Owns a frozen mongod in a set and one by itself, a killed one and an ordinary one, and waits to
/// be killed.
#[tokio::test]
#[ignore = "a part in another test"]
async fn owner() -> Result<()> {
    if env::var_os(CACHE).is_none() {
        return Ok(());
    }
    let set = ReplicaSet::start_nodes(3).await?;
    let alone = Options::new().start_standalone().await?;
    set.nodes()[1].freeze()?;
    alone.node().freeze()?;
    set.nodes()[2].kill().await?;
    for node in set.nodes() {
        say(format!("{} {}", node.port(), set.folder().display()))?;
    }
    say(format!(
        "{} {}",
        alone.node().port(),
        alone.folder().display()
    ))?;
    pending().await
}

/// Says where it has located a mongod, with nothing but the cache to look in.
#[test]
#[ignore = "a part in another test"]
fn locator() -> Result<()> {
    let Some(cache) = env::var_os(CACHE) else {
        return Ok(());
    };
    let sources = Sources {
        cache: Some(PathBuf::from(cache)),
        ..Sources::default()
    };
    say(sources.locate()?.display())
}

/// Says why a set does not start in this environment.
#[tokio::test]
#[ignore = "a part in another test"]
async fn starter() -> Result<()> {
    if env::var_os(CACHE).is_none() {
        return Ok(());
    }
    match ReplicaSet::start().await {
        Ok(_) => say("it has started"),
        Err(error) => say(format!("{error:#}")),
    }
}

/// Takes Ctrl-C as the wish for an orderly end, which includes a last write.
#[cfg(unix)]
#[tokio::test]
#[ignore = "a part in another test"]
async fn interrupted() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    if env::var_os(CACHE).is_none() {
        return Ok(());
    }
    let set = ReplicaSet::start().await?;
    let orders = set.fresh_database().await?.collection("orders");
    let mut interrupt = signal(SignalKind::interrupt())?;
    say("ready")?;
    interrupt.recv().await;
    orders.insert_one(bson::doc! { "last": true }).await?;
    say("the last write is done")
}
