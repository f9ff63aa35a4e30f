//! `archctl top`: all that goes on, on one screen that keeps itself up to date.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use crate::{
    connect::Session, exit::Exit, fault::Fault, globals::Globals, output::is_dumb, top, values,
};

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// How long after an answer the figures are read again
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = values::duration)]
    every: Duration,
}

const EXAMPLES: &str = "\
It takes a terminal of 60 columns and 16 lines at least, over ssh too. `?` shows the keys, `p` holds the screen still, `q` \
ends it. Where there is no terminal, `archctl status` and `archctl stats --watch` say the same.

Examples:
  archctl top
  archctl top --every 5s --time-zone Europe/Paris";

pub(crate) async fn run(session: &Session, globals: &Globals, args: &Args) -> Result<Exit, Fault> {
    if let Some(lacking) = lacking() {
        return Err(Fault::told(
            Exit::Usage,
            format!("archctl top draws on a terminal, and {lacking}"),
            "`archctl status` says in a line whether all is well, and `archctl stats --watch` goes on showing the figures",
        ));
    }
    top::follow(session, globals, args.every).await
}

/// What keeps it from drawing.
fn lacking() -> Option<&'static str> {
    if !io::stdout().is_terminal() {
        Some("standard output is none")
    } else if !io::stdin().is_terminal() {
        Some("standard input is none")
    } else if is_dumb() {
        Some("this one calls itself dumb (TERM)")
    } else {
        None
    }
}
