//! `archctl auth token`: makes tokens. Nothing is asked of a server, which learns no more than the
//! hash.

use std::{fs::OpenOptions, io::Write, path::PathBuf};

use clap::Subcommand;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    exit::Exit,
    fault::Fault,
    output::{Output, say},
    values,
};

/// By which people, and programs that look for leaked secrets, know a token when they see one.
const PREFIX: &str = "archd_";
/// How many random bytes a token has.
const BYTES: usize = 32;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token, and the line by which archd knows it
    New(New),
}

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct New {
    /// Who is to have it, as the audit log will say
    #[arg(long, default_value = "caller", value_parser = values::caller)]
    name: String,

    /// What its bearer may do: read, archive, operate or destroy, or several with commas between them
    #[arg(long, default_value = "read", value_parser = values::rights)]
    right: String,

    /// Write the token to this new file, which nobody else can read, and do not print it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
The token is shown once and kept nowhere: give it to the caller. archd learns its line, which holds no secret, from the file of ARCHD_AUTH_FILE.

Examples:
  archctl auth token new --name billing --right archive
  archctl auth token new --name on-call --right operate --out ~/.config/archctl/token
  archctl auth token new --name prometheus --out token >> identities";

pub(super) fn run(output: Output, command: Command) -> Result<Exit, Fault> {
    let Command::New(New { name, right, out }) = command;
    let token = new()?;
    let hash = hex::encode(Sha256::digest(&token));
    let line = format!("token {name} {right} {hash}");
    match &out {
        Some(path) => {
            write(path, &token)?;
            say(&format!(
                "The token is in {}, for the caller alone.",
                path.display()
            ));
        }
        None if output.is_table() => say("The first line is the token, for the caller alone."),
        None => {}
    }
    let shown = out.is_none().then_some(&token);
    if !output.is_table() {
        output.value(&json!({
            "name": name, "right": right, "token": shown, "sha256": hash, "line": line,
        }))?;
        return Ok(Exit::Done);
    }
    say("By the line that begins with `token` archd knows it, from the file of ARCHD_AUTH_FILE.");
    if let Some(token) = shown {
        output.text(token)?;
    }
    output.text(&line)?;
    Ok(Exit::Done)
}

/// A token that nobody can guess.
fn new() -> Result<String, Fault> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        Fault::told(
            Exit::Failure,
            format!("the system gives no random bytes: {error}"),
            "a token without them could be guessed; make it on another machine",
        )
    })?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)))
}

/// Writes a token to a file that is not there yet.
fn write(path: &PathBuf, token: &str) -> Result<(), Fault> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(path)
        .and_then(|mut file| writeln!(file, "{token}"));
    written.map_err(|error| {
        Fault::told(
            Exit::Failure,
            format!("the token can't be written to {}: {error}", path.display()),
            "name a file that is not there yet, in a folder that is",
        )
    })
}
