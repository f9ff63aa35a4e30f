//! `archctl verify ledger`: the record of all verifications, its chain checked here and not by the
//! server.

use std::collections::VecDeque;

use order_archiver_api::v1::{LedgerEntry, ListLedgerRequest};

use crate::{
    connect::Session,
    exit::Exit,
    fault::Fault,
    ledger::{Broken, Chain},
    output::{say, say_unreadable},
    pages, render, values,
};

/// The most entries that are shown unless somebody says otherwise.
const USUAL: usize = 20;

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The hash that the newest entry has, or had when somebody noted it: fail if no entry has it
    #[arg(long, value_name = "HASH", value_parser = values::hash)]
    expect: Option<String>,

    /// The most entries to show, the newest; 20 unless given, and all of them with --output ndjson.
    /// All are checked
    #[arg(long, value_name = "ENTRIES", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

const EXAMPLES: &str = "\
Every entry holds the hash of the one before, so no entry can be changed without all after it. Whoever may write to the database can \
change them all: note the newest hash somewhere else, and check it with --expect. Exits with 10 when the ledger is not intact.

Examples:
  archctl verify ledger
  archctl verify ledger --expect $(archctl verify show latest --output json | jq -r .ledger_hash)
  archctl verify ledger --output ndjson | jq -r '.record | fromjson | .verdict'";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    let output = session.output;
    let streams = output.is_ndjson() && args.limit.is_none();
    let most = args.limit.map_or(USUAL, |limit| limit as usize);
    let mut chain = Chain::new(args.expect);
    let mut newest: VecDeque<LedgerEntry> = VecDeque::new();
    let mut client = session.verification();
    let fetch = async |page_size, page_token| {
        let request = ListLedgerRequest {
            page_size,
            page_token,
        };
        let page = client.list_ledger(session.unary(request)).await?;
        let page = page.into_inner();
        page.unreadable.iter().for_each(say_unreadable);
        Ok((page.entries, page.next_page_token))
    };
    let mut broken = None;
    pages::each(fetch, |entries| {
        for entry in entries {
            // The first fault is the one to look at: behind it every entry may be at fault.
            broken = broken.take().or_else(|| chain.take(&entry).err());
            if streams {
                output.line(&entry, |_| String::new())?;
                continue;
            }
            if newest.len() == most {
                newest.pop_front();
            }
            newest.push_back(entry);
        }
        Ok(())
    })
    .await?;
    let verdict = match broken {
        Some(broken) => Err(broken),
        None => chain.end(),
    };
    let newest = Vec::from(newest);
    match &verdict {
        Ok(intact) if output.is_table() => output.text(&render::ledger::intact(intact, &newest))?,
        Err(_) if output.is_table() && newest.is_empty() => {}
        _ if !streams => output.all(&newest, render::ledger::table)?,
        _ => {}
    }
    match verdict {
        Ok(intact) => {
            if !output.is_table() {
                say(&render::ledger::verdict(&intact));
            }
            if intact.expected.is_none() && intact.entries > 0 {
                say(
                    "Only a hash that was noted elsewhere proves that they were not all changed; --expect checks it.",
                );
            }
            Ok(Exit::Done)
        }
        Err(Broken { what, hint }) => Err(Fault::told(
            Exit::LedgerBroken,
            format!("the ledger is not intact: {what}"),
            hint,
        )),
    }
}
