//! `archd state`: lists the server's own documents that can't be worked with, and sets them aside
//! on demand.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::reach::reach;
use crate::{
    config::{Config, Output, StateArgs},
    shutdown::{CHECK_FAILED, DATABASE_UNAVAILABLE, FAILURE, INTERRUPTED},
    store::{Error, Store, set_aside::SetAside, state::fault::Fault},
    terminal::{flush_log, one_line, tame_json},
};

/// Every document at fault, as a word of `--set-aside`.
const ALL: &str = "all";

/// What became of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Left,
    Moved,
    Changed,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Fate::Left => "left",
            Fate::Moved => "set_aside",
            Fate::Changed => "changed",
        }
    }
}

/// Lists what can't be read, and sets aside what `--set-aside` names.
pub async fn state(config: Config, args: StateArgs, stop: CancellationToken) -> ExitCode {
    let done = tokio::select! {
        () = stop.cancelled() => return ExitCode::from(INTERRUPTED),
        done = settle(&config, &args) => done,
    };
    let documents = match done {
        Ok(documents) => documents,
        Err(error) => {
            error!(%error, "the state can't be looked at");
            return ExitCode::from(match error.is_transient() {
                true => DATABASE_UNAVAILABLE,
                false => FAILURE,
            });
        }
    };
    let unknown: Vec<&String> = args
        .set_aside
        .iter()
        .filter(|name| *name != ALL && documents.iter().all(|(fault, _)| fault.name() != **name))
        .collect();
    for name in &unknown {
        error!(
            document = name,
            "is not among the documents that can't be read; `archd state` lists those that there are"
        );
    }
    if let Err(error) = print(&documents, args.output) {
        error!(%error, "the documents can't be printed");
        return ExitCode::from(FAILURE);
    }
    let settled = |(_, fate): &(Fault, Fate)| *fate == Fate::Moved;
    match (unknown.is_empty(), documents.iter().all(settled)) {
        (false, _) => ExitCode::from(FAILURE),
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(CHECK_FAILED),
    }
}

/// Sets a document aside. One that is written to all the while may change under the hand that moves
/// it.
async fn set_aside(store: &Store, fault: &Fault) -> Result<Fate, Error> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        if store.set_document_aside(fault).await? == SetAside::Moved {
            return Ok(Fate::Moved);
        }
    }
    Ok(Fate::Changed)
}

async fn settle(config: &Config, args: &StateArgs) -> Result<Vec<(Fault, Fate)>, Error> {
    let store = Store::new(config).await?;
    timeout(args.wait, reach(&store.inspector(), args.wait))
        .await
        .unwrap_or(Err(Error::Timeout(args.wait)))?;
    let mut documents = Vec::new();
    for fault in store.all_faults().await? {
        let asked = args
            .set_aside
            .iter()
            .any(|name| *name == ALL || *name == fault.name());
        let fate = match asked && !fault.is_newer() {
            false => Fate::Left,
            true => set_aside(&store, &fault).await?,
        };
        documents.push((fault, fate));
    }
    store.close().await;
    Ok(documents)
}

fn print(documents: &[(Fault, Fate)], output: Output) -> io::Result<()> {
    flush_log();
    let mut stdout = io::stdout().lock();
    match output {
        Output::Json => {
            let documents: Vec<_> = documents
                .iter()
                .map(|(fault, fate)| {
                    json!({
                        "document": fault.name(), "problem": fault.to_string(),
                        "newer": fault.is_newer(), "outcome": fate.name(),
                    })
                })
                .collect();
            let documents = json!({ "documents": documents }).to_string();
            writeln!(stdout, "{}", tame_json(&documents))?;
        }
        Output::Text if documents.is_empty() => {
            writeln!(stdout, "every document of archd's own can be read")?;
        }
        Output::Text => {
            for (fault, fate) in documents {
                let name = fault.name();
                let line = match fate {
                    Fate::Left => fault.to_string(),
                    Fate::Moved => format!("{name}: set aside"),
                    Fate::Changed => format!(
                        "{name}: left, because it was changed at the same moment; look again"
                    ),
                };
                writeln!(stdout, "{}", one_line(&line))?;
            }
        }
    }
    stdout.flush()
}
