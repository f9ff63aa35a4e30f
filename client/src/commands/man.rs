//! `archctl man`: the manual pages, made of what the helps say.

use std::path::PathBuf;

use crate::{
    exit::Exit,
    fault::{Fault, Report},
};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The folder that a page for each command is written into, over what is there
    folder: PathBuf,
}

/// Writes the pages.
pub(crate) fn run(args: &Args, cli: clap::Command) -> Result<Exit, Fault> {
    let cli = cli.disable_help_subcommand(true);
    clap_mangen::generate_to(cli, &args.folder).map_err(|error| {
        Fault::Told(Report {
            exit: Exit::Failure,
            what: format!("no page can be written into {}", args.folder.display()),
            why: vec![error.to_string()],
            hint: Some("give a folder that is there, and that you may write in".to_owned()),
        })
    })?;
    Ok(Exit::Done)
}
