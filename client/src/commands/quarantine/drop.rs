//! `archctl quarantine drop`: dropping entries, once a person or a flag has said yes.

use std::io::{self, IsTerminal};

use order_archiver_api::{statistics::thousands, v1::DropQuarantinedRequest};

use crate::{
    connect::Session,
    exit::Exit,
    fault::Fault,
    output::{ask, say},
};

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The entries to drop: their ids, or the first characters of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    /// Don't ask; required where nobody can be asked
    #[arg(short, long)]
    yes: bool,
}

const EXAMPLES: &str = "\
While an order is delivered, the next batch quarantines it again.

Examples:
  archctl quarantine drop q65f0c3
  archctl quarantine drop --yes q65f0c3 q65f0c4";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    if !args.yes && !confirmed(args.ids.len())? {
        say("Nothing was dropped.");
        return Ok(Exit::Failure);
    }
    let request = session.unary(DropQuarantinedRequest { ids: args.ids });
    let answer = session
        .quarantine()
        .drop_quarantined(request)
        .await?
        .into_inner();
    session.output.one(&answer, |answer| {
        format!("{} dropped", thousands(answer.dropped.into()))
    })?;
    Ok(Exit::Done)
}

fn confirmed(entries: usize) -> Result<bool, Fault> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Fault::told(
            Exit::Usage,
            "dropping needs a yes, and nobody is here to ask",
            "add --yes",
        ));
    }
    let entries = if entries == 1 {
        "this entry".to_owned()
    } else {
        format!("these {entries} entries")
    };
    Ok(is_yes(&ask(&format!(
        "Drop {entries} and the bytes kept with them? [y/N]"
    ))?))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y\n", "YES\n", " yes "].into_iter().all(is_yes));
        assert!(!["", "\n", "n\n", "yeah\n", "oui\n"].into_iter().any(is_yes));
    }
}
