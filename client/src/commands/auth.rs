//! `archctl auth`: what callers identify themselves by.

mod token;

use clap::Subcommand;

use crate::{exit::Exit, fault::Fault, output::Output};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the tokens that archd knows callers by
    #[command(subcommand, arg_required_else_help = true)]
    Token(token::Command),
}

pub(crate) fn run(output: Output, command: Command) -> Result<Exit, Fault> {
    match command {
        Command::Token(command) => token::run(output, command),
    }
}
