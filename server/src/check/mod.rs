//! `archd check`: says in one go whether archd can do its work on a database, and what mends what
//! keeps it from it. Writes nothing there.

use std::{io, process::ExitCode, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    config::{CheckArgs, Config, Deployment},
    domain::order::NUMERO,
    privileges::needs::{all_needs, needs},
    shutdown::{CHECK_FAILED, DATABASE_UNAVAILABLE, FAILURE, INTERRUPTED},
    store::{
        Inspector, Store,
        archive::{look::Archive, repeated::Repeated, unique_index::Guard},
        deployment::{
            access::Access,
            indexes::AbsentIndex,
            inspector::{Kind, Server},
        },
    },
};

mod archive;
mod collation;
mod data;
mod deployment;
mod finding;
mod ids;
mod print;
mod privileges;
mod reach;
mod state;

pub use self::state::state;

use self::{
    finding::{CheckReport, Finding, Verdict},
    reach::reach,
};

/// Checks the database of the settings, and prints a verdict a line; or prints the role that archd's
/// user is to have, and asks nobody.
pub async fn check(config: Config, args: CheckArgs, stop: CancellationToken) -> ExitCode {
    if let Some(deployment) = args.create_role {
        let role = privileges::role(&config, &kind_of(deployment));
        let at_atlas = config.mongodb_uri.is_of_atlas();
        let printed = print::print_role(&role, at_atlas, args.output);
        return ended(printed, ExitCode::SUCCESS);
    }
    let report = tokio::select! {
        () = stop.cancelled() => return ExitCode::from(INTERRUPTED),
        report = report(&config, args.wait) => report,
    };
    let code = match report.verdict() {
        _ if report.away => ExitCode::from(DATABASE_UNAVAILABLE),
        Verdict::Failed => ExitCode::from(CHECK_FAILED),
        _ => ExitCode::SUCCESS,
    };
    ended(print::print(&report, args.output), code)
}

/// This code, unless what was found could not be printed.
fn ended(printed: io::Result<()>, code: ExitCode) -> ExitCode {
    match printed {
        Ok(()) => code,
        Err(error) => {
            error!(%error, "what was found can't be printed");
            ExitCode::from(FAILURE)
        }
    }
}

fn kind_of(deployment: Deployment) -> Kind {
    match deployment {
        Deployment::ReplicaSet => Kind::ReplicaSet(String::new()),
        Deployment::Standalone => Kind::Standalone,
        Deployment::Sharded => Kind::Sharded,
    }
}

async fn report(config: &Config, wait: Duration) -> CheckReport {
    let mut report = CheckReport::default();
    let store = match Store::new(config).await {
        Ok(store) => store,
        Err(error) => {
            report.findings.push(deployment::no_connection(&error));
            report.break_off("there is no connection");
            return report;
        }
    };
    let inspector = store.inspector();
    match reach(&inspector, wait).await {
        // Whoever breaks off has said so.
        Ok(server) => drop(examine(config, &inspector, &server, &mut report).await),
        Err(error) => {
            report.away = error.is_transient();
            report.findings.push(deployment::no_connection(&error));
            report.break_off("there is no connection");
        }
    }
    store.close().await;
    report
}

/// Looks at one thing after the other; none when it broke off.
async fn examine(
    config: &Config,
    inspector: &Inspector,
    server: &Server,
    report: &mut CheckReport,
) -> Option<()> {
    report.findings.push(deployment::connection(server));
    report
        .findings
        .push(deployment::replica_set(config, server));
    if !server.writable {
        report.break_off("there is no primary to ask");
        return None;
    }
    let is_set = matches!(server.kind, Kind::ReplicaSet(_));
    if is_set {
        let majority = inspector.majority().await;
        report.note("majority writes", majority, deployment::majority)?;
    }

    // Which indexes are missing decides which privileges are wanted.
    let absent = inspector.absent_indexes().await;
    let needs = match &absent {
        Ok(absent) => {
            let mut incomplete: Vec<&str> = absent.iter().map(|it| &*it.collection).collect();
            incomplete.dedup();
            needs(config, &server.kind, incomplete)
        }
        Err(_) => all_needs(config, &server.kind),
    };
    let access = inspector.access().await;
    let (mut nobody, mut others) = (false, Vec::new());
    report.note("privileges", access, |access| {
        nobody = access == Access::Nobody;
        others.extend(privileges::optional(config, &access, &needs));
        others.extend(privileges::beyond(config, &access, &server.kind));
        privileges::needed(config, &access, &needs)
    })?;
    report.findings.extend(others);
    if nobody {
        report.break_off("nobody may look without being a user");
        return None;
    }

    let (live, archive) = data::read(config);
    let names: Vec<&str> = live
        .iter()
        .map(|(name, _)| *name)
        .chain([archive])
        .collect();
    let summaries = inspector.summaries(&names).await;
    report.note("collections", summaries, |(summaries, others)| {
        data::collections(config, &summaries, &others)
    })?;
    let documents = inspector.own_documents().await;
    report.note("state", documents, |faults| data::state(&faults))?;
    if server.kind != Kind::Standalone {
        let opened = inspector.open_changes().await;
        report.note("change stream", opened, |()| {
            Finding::ok("change stream", "it opens")
        })?;
    }
    let archive = inspector.archive(server.kind == Kind::Sharded).await;
    let guard = archive.as_ref().ok().map(Archive::guard);
    // Without an index it takes all of the archive to see what one would refuse.
    let repeated = match guard {
        Some(Guard::Missing) => inspector.repeated().await,
        _ => Ok(Repeated::default()),
    };
    let progress = match guard {
        Some(Guard::Building) => inspector.build_progress().await,
        _ => None,
    };
    report.note("archive", archive.clone(), |it| archive::shape(config, &it))?;
    let other = archive.as_ref().ok();
    let other = other.and_then(|it| archive::other_unique_indexes(config, it));
    report.note("unique index", archive, |it| {
        archive::unique_index(config, &it, repeated, progress)
    })?;
    report.findings.extend(other);
    // Whoever may not see it has been told of that privilege.
    if let Ok(Some(collation)) = inspector.archive_collation().await {
        report
            .findings
            .push(collation::of_archive(config, &collation));
    }
    let by_number = |index: &AbsentIndex| index.key.contains_key(NUMERO);
    let indexed = absent
        .as_ref()
        .is_ok_and(|absent| !absent.iter().any(by_number));
    report.note("indexes", absent, |absent| data::indexes(config, &absent))?;
    // Of what is no collection of its own there is nothing to say.
    if let Ok(commands) = inspector.list_indexes_to_make().await {
        report.findings.push(data::lists(&commands));
    }
    let unjoinable = inspector.unjoinable_ids().await;
    report.note("ids", unjoinable, |(ids, looked_at)| {
        ids::ids(&ids, looked_at)
    })?;
    if is_set {
        report.note("history", inspector.history().await, deployment::history)?;
    }
    report.findings.push(deployment::clocks(server.ahead));
    if !indexed {
        let why = "without an index on the number it would read all of the orders";
        report
            .findings
            .push(Finding::not_checked("archived orders", why));
        return Some(());
    }
    report.note("archived orders", inspector.sample().await, |sample| {
        data::archived_ids(config, &sample)
    })
}
