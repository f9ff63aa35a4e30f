//! Debian's Prometheus and its tools, unpacked without being installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::install::{installed, skip};

/// Whether there are Debian's packages here; where there are none a test of Prometheus is left out.
pub(crate) fn can_be_had() -> bool {
    let found = Command::new("apt-get").arg("--version").output().is_ok();
    if !found {
        skip("Prometheus is taken from Debian's packages, and there is no apt-get here");
    }
    found
}

/// The folder with `prometheus` and `promtool`.
pub(crate) fn programs() -> PathBuf {
    let folder = installed("prometheus", &["prometheus of Debian"], |folder| {
        if download(folder, &[]).is_err() {
            // Nobody has fetched the lists of packages yet, or long ago: they need a place where
            // anybody may write.
            let lists = folder.join("lists");
            std::fs::create_dir_all(lists.join("partial"))?;
            let lists = format!("Dir::State::lists={}", lists.display());
            let options = ["-o", &lists, "-o", "Debug::NoLocking=1"];
            run(
                folder,
                "apt-get",
                &[&options[..], &["-qq", "update"]].concat(),
            )?;
            download(folder, &options)?;
        }
        run(folder, "sh", &["-c", "dpkg-deb -x prometheus_*.deb ."])
    });
    folder.unwrap().join("usr/bin")
}

fn download(folder: &Path, options: &[&str]) -> Result<()> {
    let command = ["-qq", "download", "prometheus"];
    run(folder, "apt-get", &[options, &command].concat())
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {arguments:?}: {said}");
    Ok(())
}
