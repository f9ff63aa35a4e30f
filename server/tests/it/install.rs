//! Programs of others that tests run, each installed once into the user's cache.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use devkit::Sources;
use sha2::{Digest, Sha256};

/// Leaves a test out where there is not what it needs, and says so; in CI it has to be there.
pub(crate) fn skip(advice: &str) {
    assert!(env::var_os("CI").is_none(), "{advice}");
    // Not by a macro, whose text is kept back when a test passes.
    let _ = writeln!(io::stderr(), "skipped: {advice}");
}

/// The folder that holds what was installed of these parts; installs it the first time, whoever
/// asks for it at once.
pub(crate) fn installed(
    name: &str,
    parts: &[&str],
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let cache = Sources::from_env().cache.with_context(|| {
        format!("neither XDG_CACHE_HOME nor HOME says where to keep the {name}")
    })?;
    let hash = hex::encode(Sha256::digest(parts.concat()));
    let folder = cache.join(format!("{name}-{}", &hash[..16]));
    let finished = folder.join("finished");
    fs::create_dir_all(&cache)?;
    let lock = File::create(folder.with_extension("lock"))?;
    lock.lock()?;
    if finished.exists() {
        return Ok(folder);
    }
    // An installation that was killed is begun anew.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir(&folder)?;
    install(&folder)?;
    File::create(finished)?;
    Ok(folder)
}

/// Installs what a `package.json` names.
pub(crate) fn npm_install(folder: &Path, package: &str, advice: &str) -> Result<()> {
    fs::write(folder.join("package.json"), package)?;
    let install = [
        "install",
        "--ignore-scripts",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--prefix",
    ];
    run(Command::new("npm").args(install).arg(folder), advice)?;
    Ok(())
}

/// The folder with a virtual environment of these requirements, in `venv`. It belongs to the Python
/// that made it.
pub(crate) fn python_packages(name: &str, requirements: &str, advice: &str) -> Result<PathBuf> {
    let python = python(advice)?;
    installed(name, &[requirements, &python], |folder| {
        pip_install(folder, requirements, advice)
    })
}

/// The Python of this machine, in words.
pub(crate) fn python(advice: &str) -> Result<String> {
    let python = ["-c", "import sys; print(sys.executable, sys.version)"];
    run(Command::new("python3").args(python), advice)
}

/// Installs these requirements into a virtual environment, in `venv` of the folder.
pub(crate) fn pip_install(folder: &Path, requirements: &str, advice: &str) -> Result<()> {
    let file = folder.join("requirements.txt");
    fs::write(&file, requirements)?;
    let venv = folder.join("venv");
    run(
        Command::new("python3").args(["-m", "venv"]).arg(&venv),
        advice,
    )?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--requirement",
    ];
    let mut install = Command::new(venv.join("bin/python"));
    run(install.args(pip).arg(file), advice)?;
    Ok(())
}

/// Runs a program to its end and returns what it printed; `advice` says what it takes.
pub(crate) fn run(command: &mut Command, advice: &str) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("{command:?} does not run; {advice}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed; {advice}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether there are Debian's packages here; where there are none, a test of this is left out.
pub(crate) fn has_debian_packages(of: &str) -> bool {
    let found = Command::new("apt-get").arg("--version").output().is_ok();
    if !found {
        skip(&format!(
            "{of} is taken from Debian's packages, and there is no apt-get here"
        ));
    }
    found
}

/// Unpacks packages of Debian into a folder, without installing them.
pub(crate) fn debian_packages(folder: &Path, packages: &[&str]) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).current_dir(folder);
        run(&mut apt, "the packages are Debian's").map(drop)
    };
    let download = |options: &[&str]| apt(&[options, &["-qq", "download"], packages].concat());
    if download(&[]).is_err() {
        // Nobody has fetched the lists of packages yet, or long ago: they need a place where
        // anybody may write.
        let lists = folder.join("lists");
        fs::create_dir_all(lists.join("partial"))?;
        let lists = format!("Dir::State::lists={}", lists.display());
        let options = ["-o", &lists, "-o", "Debug::NoLocking=1"];
        apt(&[&options[..], &["-qq", "update"]].concat())?;
        download(&options)?;
    }
    let unpack = "for package in *.deb; do dpkg-deb -x \"$package\" .; done";
    let mut shell = Command::new("sh");
    shell.args(["-euc", unpack]).current_dir(folder);
    run(&mut shell, "dpkg-deb unpacks them").map(drop)
}
