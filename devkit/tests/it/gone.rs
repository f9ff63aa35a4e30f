//! No mongod and no file is left behind, however the owner of a deployment goes.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use devkit::{ReplicaSet, Standalone};
use tokio::time::sleep;

use crate::child;

fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn is_gone(port: u16, folder: &Path) -> bool {
    !is_open(port) && !folder.exists()
}

#[tokio::test]
async fn after_a_drop() -> Result<()> {
    let set = ReplicaSet::start().await?;
    let (port, folder) = (set.nodes()[0].port(), set.folder().to_owned());
    assert!(is_open(port) && folder.exists());
    drop(set);
    assert!(is_gone(port, &folder));
    Ok(())
}

#[tokio::test]
async fn after_a_drop_while_frozen() -> Result<()> {
    let alone = Standalone::start().await?;
    let (port, folder) = (alone.node().port(), alone.folder().to_owned());
    alone.node().freeze()?;
    assert!(is_open(port), "a frozen process keeps its port");
    drop(alone);
    assert!(is_gone(port, &folder));
    Ok(())
}

#[tokio::test]
async fn after_the_owner_is_killed() -> Result<()> {
    let mut owner = child::play("owner")?.spawn()?;
    let lines = BufReader::new(owner.stdout.take().context("it is piped")?).lines();
    let mut mongods: Vec<(u16, PathBuf)> = Vec::new();
    for line in lines {
        let line = line?;
        if let Some((port, folder)) = child::said(&line).and_then(|said| said.split_once(' ')) {
            mongods.push((port.parse()?, PathBuf::from(folder)));
        }
        if mongods.len() == 4 {
            break;
        }
    }
    ensure!(mongods.len() == 4, "the owner has ended before its time");
    let open: Vec<_> = mongods.iter().map(|(port, _)| is_open(*port)).collect();
    assert_eq!(
        open,
        [true, true, false, true],
        "the third was killed by its owner"
    );
    assert!(mongods.iter().all(|(_, folder)| folder.exists()));

    owner.kill()?;
    owner.wait()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while !mongods.iter().all(|(port, folder)| is_gone(*port, folder)) {
        assert!(Instant::now() < deadline, "still there: {mongods:?}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A terminal sends Ctrl-C to the whole process group: the owner has to be the only one to take
/// notice.
#[cfg(unix)]
#[test]
fn not_before_the_owner_has_dealt_with_an_interruption() -> Result<()> {
    use std::os::unix::process::CommandExt;
    let mut owner = child::play("interrupted")?.process_group(0).spawn()?;
    let lines = BufReader::new(owner.stdout.take().context("it is piped")?).lines();
    let mut said = Vec::new();
    for line in lines {
        let line = line?;
        let Some(what) = child::said(&line) else {
            continue;
        };
        said.push(what.to_owned());
        if what == "ready" {
            let group = format!("-{}", owner.id());
            let kill = ["-c", r#"kill -s INT -- "$1""#, "interrupt", &group];
            ensure!(Command::new("sh").args(kill).status()?.success());
        }
    }
    assert!(owner.wait()?.success());
    assert_eq!(said, ["ready", "the last write is done"]);
    Ok(())
}
