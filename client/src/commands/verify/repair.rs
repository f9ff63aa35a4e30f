//! `archctl verify repair`: repairing differences, once somebody has seen what would be replaced and
//! said yes.

use std::collections::BTreeMap;

use clap::builder::NonEmptyStringValueParser;
use order_archiver_api::v1::{
    Difference, DifferenceClass, ListDifferencesRequest, RepairOrdersRequest, RepairOrdersResponse,
    RepairOutcome,
};

use super::class::Failing;
use crate::{
    connect::Session,
    exit::Exit,
    fault::Fault,
    output::say,
    pages,
    render::{self, repair::Plan},
};

/// How many differences are shown of what would be repaired.
const SHOWN: usize = 20;

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The orders whose differences are to be repaired, by their numbers
    #[arg(
        value_name = "NUMERO",
        required_unless_present = "classes",
        conflicts_with = "classes"
    )]
    numbers: Vec<String>,

    /// Repair all differences of this class that nobody has acknowledged; may be given more than once
    #[arg(long = "class", value_name = "CLASS")]
    classes: Vec<Failing>,

    /// The verification that found them: its id, the first characters of it, or `latest`
    #[arg(long, value_name = "ID", default_value = "latest")]
    verification: String,

    /// Replace archived documents; without it nothing is done but for missing orders
    #[arg(short, long, requires = "reason")]
    yes: bool,

    /// Why; kept with each document that is replaced
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    reason: Option<String>,

    /// Who asks; the address of this machine unless given
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    by: String,
}

const EXAMPLES: &str = "\
Each difference is looked at anew before: what is not so any more is left alone. Missing orders are archived like any other. What is \
altered, damaged or doubled is replaced by what the order of today makes, only with --yes, and the document before is kept. An \
archived order whose live order is gone is never touched. Exits with 1 when one was refused or its order could not be archived again, and with 6 when nothing was done for \
want of a --yes.

Examples:
  archctl verify repair --class missing
  archctl verify repair --class altered --class damaged --yes --reason 'ticket 4711'
  archctl verify repair CMD-2025-000001 --yes --reason 'edited by hand' --by marie";

pub(crate) async fn run(session: &Session, args: Args) -> Result<Exit, Fault> {
    // Missing orders are archived like any other, which replaces nothing.
    let only_missing = |classes: &[Failing]| {
        !classes.is_empty() && classes.iter().all(|class| *class == Failing::Missing)
    };
    if !args.yes && !only_missing(&args.classes) {
        let (plan, first) = look_ahead(session, &args).await?;
        if plan.replaces() {
            session.output.all(&first, render::difference::examples)?;
            say(&render::repair::unconfirmed(&plan));
            return Ok(Exit::Conflict);
        }
    }
    repair(session, args).await
}

/// What there is to repair, and the first of it, as the verification found it.
async fn look_ahead(session: &Session, args: &Args) -> Result<(Plan, Vec<Difference>), Fault> {
    let classes = match args.classes.as_slice() {
        [] => &[
            Failing::Missing,
            Failing::Altered,
            Failing::Damaged,
            Failing::Doubled,
        ],
        classes => classes,
    };
    let classes = wire(classes);
    let (mut plan, mut first) = (Plan::default(), Vec::new());
    let mut client = session.verification();
    let fetch = async |page_size, page_token| {
        let request = ListDifferencesRequest {
            verification_id: args.verification.clone(),
            classes: classes.clone(),
            page_size,
            page_token,
        };
        let page = client.list_differences(session.unary(request)).await?;
        let page = page.into_inner();
        Ok((page.differences, page.next_page_token))
    };
    let is_meant = |difference: &Difference| match args.numbers.as_slice() {
        // As the server takes a class.
        [] => difference.acknowledgement.is_none(),
        numbers => numbers.contains(&difference.numero_commande),
    };
    pages::each(fetch, |differences| {
        for difference in differences.into_iter().filter(is_meant) {
            plan.add(difference.class());
            if first.len() < SHOWN {
                first.push(difference);
            }
        }
        Ok(())
    })
    .await?;
    Ok((plan, first))
}

/// Prints each outcome as it comes, but a JSON array whole.
async fn repair(session: &Session, args: Args) -> Result<Exit, Fault> {
    let request = RepairOrdersRequest {
        verification_id: args.verification,
        classes: wire(&args.classes),
        numeros_commande: args.numbers,
        confirmed: args.yes,
        reason: args.reason.unwrap_or_default(),
        by: args.by,
    };
    let mut outcomes = session
        .verification()
        .repair_orders(request)
        .await?
        .into_inner();
    let mut counts = BTreeMap::<RepairOutcome, i64>::new();
    let mut kept: Vec<RepairOrdersResponse> = Vec::new();
    let end = loop {
        let outcome = match outcomes.message().await {
            Ok(Some(outcome)) => outcome,
            end => break end,
        };
        *counts.entry(outcome.outcome()).or_default() += 1;
        if session.output.is_json() {
            kept.push(outcome);
        } else {
            session.output.line(&outcome, render::repair::outcome)?;
        }
    };
    // What was repaired before the stream broke stays so.
    if session.output.is_json() {
        session.output.all(&kept, |_| String::new())?;
    }
    say(&render::repair::summary(&counts));
    if end.is_err() {
        say("What was repaired stays so; the same command again repairs the rest.");
    }
    end?;
    let failed = [RepairOutcome::Refused, RepairOutcome::TakenOut];
    Ok(
        match failed.iter().any(|outcome| counts.contains_key(outcome)) {
            true => Exit::Failure,
            false => Exit::Done,
        },
    )
}

fn wire(classes: &[Failing]) -> Vec<i32> {
    let classes = classes.iter().copied().map(DifferenceClass::from);
    classes.map(Into::into).collect()
}
