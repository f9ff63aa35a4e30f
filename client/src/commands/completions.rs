//! `archctl completions`: the completion script of a shell.

use clap_complete::Shell;

use crate::{exit::Exit, fault::Fault, output::Output};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell that will read the script
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  archctl completions bash > ~/.local/share/bash-completion/completions/archctl
  archctl completions zsh > ~/.zfunc/_archctl
  archctl completions fish > ~/.config/fish/completions/archctl.fish
  archctl completions powershell >> $PROFILE";

/// Prints the script for this command line.
pub(crate) fn run(output: Output, args: &Args, mut cli: clap::Command) -> Result<Exit, Fault> {
    let mut script = Vec::new();
    // clap_complete panics when its writer fails; a vector never does.
    clap_complete::generate(args.shell, &mut cli, "archctl", &mut script);
    output.text(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
