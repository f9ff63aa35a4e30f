//! The command line, against a server of these tests.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::process::Command;

use super::{TestServer, within};

/// What `archctl` said and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The first line.
    pub(crate) fn first(&self) -> &str {
        self.stdout.lines().next().unwrap_or_default()
    }
}

/// A program of the workspace: they stand side by side, and `cargo test --workspace` builds all.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_archd"))
        .with_file_name(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Runs `archctl` against a server at this address, with a line as somebody types it; its words
/// hold no blanks.
pub(crate) async fn archctl(endpoint: &str, line: &str) -> Ended {
    let mut archctl = Command::new(program("archctl"));
    archctl
        .args(line.split_whitespace())
        .env("ARCHCTL_ENDPOINT", endpoint)
        .env("ARCHCTL_TIME_ZONE", "UTC")
        .env(
            "XDG_CONFIG_HOME",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/no-config"),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = within(archctl.output()).await.unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl TestServer {
    /// Runs `archctl` against this server.
    pub(crate) async fn archctl(&self, line: &str) -> Ended {
        archctl(&self.address, line).await
    }
}
