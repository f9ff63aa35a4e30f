//! A disk of a mongod's own, which a test can fill up and free again.
//!
//! Nothing here needs root. The ways are tried in this order:
//!
//! 1. A tmpfs that only mongod sees, in a user and a mount namespace of its own: the disk is really
//!    full, error 28 and all.
//! 2. Where namespaces are refused, as in most containers: a limit on the size of mongod's files,
//!    set while it runs. The kernel
//!    then refuses its writes with another error (27, file too large), and mongod ends the same way.
//!
//! Both take tools of util-linux, which every Debian has. Where there is neither, starting fails
//! and says so.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// What a new database takes is half of it, so that filling it up takes a moment.
const SIZE: &str = "96m";
/// How much mongod's log may still grow under a limit on its files.
const LOG_ROOM: u64 = 1 << 20;
/// Mounts a file system on the folder $1 and holds it until standard input ends.
const HOLD: &str = r#"mount -t tmpfs -o size="$2" none "$1" && echo mounted && exec cat"#;
/// Runs a program that is refused writes with errors rather than killed, and leaves no core file
/// when it aborts.
const HARDENED: &str = r#"ulimit -c 0; trap '' XFSZ; exec "$@""#;

/// A way to a disk of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// A tmpfs in namespaces.
    Tmpfs,
    /// A limit on the size of files.
    Limit,
}

impl Way {
    /// Every way, the best first.
    pub(crate) const ALL: &'static [Way] = &[Way::Tmpfs, Way::Limit];
}

/// The disk under one mongod's data. What it holds stays from start to start.
#[derive(Debug)]
pub(crate) struct Disk {
    mount: Option<Mount>,
}

/// A process that holds the namespaces in which the disk is mounted; they end with it and with
/// mongod.
#[derive(Debug)]
struct Mount {
    holder: Child,
    leash: Option<ChildStdin>,
    /// What takes the free space, as seen from here.
    ballast: PathBuf,
}

impl Disk {
    /// A disk for the data in this folder, by the first of these ways that works here.
    pub(crate) fn new(data: &Path, ways: &[Way]) -> Result<Disk> {
        let mut refusals = Vec::new();
        for way in ways {
            let made = match way {
                Way::Tmpfs => Mount::new(data).map(Some),
                Way::Limit => runs("prlimit").map(|()| None),
            };
            match made {
                Ok(mount) => return Ok(Disk { mount }),
                Err(refusal) => refusals.push(format!("{way:?}: {refusal:#}")),
            }
        }
        bail!(
            "mongod can't be given a disk to fill up here; it takes either unprivileged user namespaces with `unshare`, `mount` and \
             `nsenter`, or `prlimit` (on Debian: apt-get install util-linux mount): {}",
            refusals.join("; ")
        )
    }

    /// What stands in front of mongod on its command line.
    pub(crate) fn prefix(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["sh", "-c", HARDENED, "sh"].map(OsString::from).into();
        if let Some(mount) = &self.mount {
            let holder = mount.holder.id().to_string();
            let enter = ["nsenter", "--user", "--mount", "--preserve-credentials"];
            words.extend(enter.map(OsString::from));
            words.extend(["--target", &holder, "--"].map(OsString::from));
        }
        words
    }

    /// What mongod is told: to write little and soon, so that a small disk will do and a full one
    /// is noticed.
    pub(crate) fn arguments() -> [&'static str; 4] {
        [
            "--wiredTigerEngineConfigString",
            "log=(file_max=4MB)",
            "--syncdelay",
            "1",
        ]
    }

    /// Takes all the space that is left from the mongod of this process and this log.
    pub(crate) fn fill(&self, mongod: u32, log: &Path) -> Result<()> {
        match &self.mount {
            Some(mount) => mount.fill(),
            None => {
                let room = fs::metadata(log).map_or(0, |log| log.len()) + LOG_ROOM;
                let limit = [format!("--pid={mongod}"), format!("--fsize={room}:")];
                let status = Command::new("prlimit").args(limit).status();
                ensure!(
                    status.context("`prlimit` can't be started")?.success(),
                    "the files of mongod (process {mongod}) could not be limited"
                );
                Ok(())
            }
        }
    }

    /// Gives the space back. A limit has gone with its process.
    pub(crate) fn free(&self) -> Result<()> {
        match &self.mount {
            Some(mount) => fs::remove_file(&mount.ballast).context("the disk can't be freed"),
            None => Ok(()),
        }
    }
}

impl Mount {
    fn new(data: &Path) -> Result<Mount> {
        runs("nsenter")?;
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", HOLD])
            .args(["holder".as_ref(), data.as_os_str(), SIZE.as_ref()]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Like mongod, it is to see its owner end and not the owner's Ctrl-C.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut holder = command.spawn().context("`unshare` can't be started")?;
        let leash = holder.stdin.take();
        let mut said = String::new();
        let output = holder.stdout.take().context("the holder has no output")?;
        BufReader::new(output).read_line(&mut said)?;
        if said.trim() != "mounted" {
            let output = holder.wait_with_output()?;
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let root = format!("/proc/{}/root", holder.id());
        let inside = data
            .strip_prefix("/")
            .context("the folder is not absolute")?;
        let ballast = Path::new(&root).join(inside).join("ballast");
        let mount = Mount {
            holder,
            leash,
            ballast,
        };
        // What can't be seen from here can't be filled either.
        fs::write(&mount.ballast, "").context("the disk can't be seen from outside")?;
        fs::remove_file(&mount.ballast)?;
        Ok(mount)
    }

    fn fill(&self) -> Result<()> {
        let mut ballast = File::create(&self.ballast).context("the disk can't be filled")?;
        // Smaller and smaller pieces, until not even one byte fits.
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            match ballast.write(&piece) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    piece.truncate(piece.len() / 2);
                }
                Err(error) => return Err(error).context("the disk can't be filled"),
            }
        }
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.leash = None;
        let _ = self.holder.wait();
    }
}

/// That a tool is there.
fn runs(tool: &str) -> Result<()> {
    let said = Command::new(tool).arg("--version").output();
    ensure!(
        said.with_context(|| format!("there is no `{tool}`"))?
            .status
            .success(),
        "`{tool}` does not work"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bson::{Document, doc};
    use mongodb::options::WriteConcern;

    use super::*;
    use crate::Options;

    /// Starts a mongod on such a disk, fills that up, and waits until mongod has ended of it; then
    /// it must come back with its data.
    async fn ends_and_comes_back(way: &'static [Way]) {
        let mut options = Options::new();
        options.disk = Some(way);
        let set = options.start().await.unwrap();
        let node = &set.nodes()[0];
        let database = set.fresh_database().await.unwrap();
        let orders = database.collection::<Document>("orders");
        let first = orders.insert_one(doc! { "_id": 0 });
        first.write_concern(WriteConcern::majority()).await.unwrap();

        node.fill_disk().unwrap();
        let filling = async {
            let large = doc! { "text": "x".repeat(100_000) };
            while orders
                .insert_one(large.clone())
                .write_concern(WriteConcern::majority())
                .await
                .is_ok()
            {}
            while node.is_running() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let filled = tokio::time::timeout(Duration::from_secs(60), filling);
        filled.await.expect("mongod did not notice");
        let log = fs::read_to_string(node.log()).unwrap();
        let reason = match way {
            [Way::Tmpfs] => "No space left on device",
            _ => "File too large",
        };
        assert!(log.contains(reason), "{reason} is not in {log}");

        node.free_disk().unwrap();
        node.restart().await.unwrap();
        let found = orders.find_one(doc! { "_id": 0 }).await.unwrap();
        assert!(found.is_some());
    }

    /// Not every machine grants namespaces; that it does not is said, and the other way is proved
    /// below.
    #[tokio::test]
    #[allow(
        clippy::print_stderr,
        reason = "a way that was not proved must be seen to be so"
    )]
    async fn a_full_tmpfs_ends_mongod_and_keeps_its_data() {
        let folder = tempfile::tempdir().unwrap();
        match Disk::new(folder.path(), &[Way::Tmpfs]) {
            Ok(_) => ends_and_comes_back(&[Way::Tmpfs]).await,
            Err(refusal) => eprintln!("SKIPPED: {refusal:#}"),
        }
    }

    #[tokio::test]
    async fn a_limit_on_its_files_ends_mongod_and_keeps_its_data() {
        ends_and_comes_back(&[Way::Limit]).await;
    }

    #[test]
    fn without_a_way_it_is_said_what_one_takes() {
        let refusal = Disk::new(Path::new("/nowhere"), &[]).unwrap_err();
        assert!(refusal.to_string().contains("user namespaces"));
    }
}
