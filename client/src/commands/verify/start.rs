//! `archctl verify` itself: starting a verification and following it to its verdict.

use order_archiver_api::v1::{
    StartVerificationRequest, Verification, VerificationDepth, VerificationOptions,
    VerificationScope,
};
use prost_types::Duration;

use super::job::exit_of;
use crate::{connect::Session, exit::Exit, fault::Fault, follow, output::say, render, values};

#[derive(clap::Args, Debug, Default, PartialEq)]
pub(crate) struct Options {
    /// Only see whether each order is there, by the indexes: quick, and blind to altered ones
    #[arg(long, conflicts_with = "references")]
    presence: bool,

    /// Also see whether the names in the archive are still those of today's references
    #[arg(long)]
    references: bool,

    /// Only look at what has changed since the last verification that said VERIFIED; at everything
    /// where the database's history no longer reaches back to it
    #[arg(long)]
    changes: bool,

    /// Count a difference if it is still there so long after it was first seen; 1m unless given, at
    /// most 1h
    #[arg(long, value_name = "DURATION", value_parser = values::proto_length)]
    settle: Option<Duration>,

    /// Look at no more than this many orders a second; `off` for no limit, whatever the server's
    /// setting
    #[arg(long, value_name = "ORDERS", allow_negative_numbers = true, value_parser = values::rate)]
    max_rate: Option<i32>,

    /// Wait while a secondary is further behind than this
    #[arg(long, value_name = "DURATION", value_parser = values::proto_duration)]
    max_lag: Option<Duration>,

    /// Make a repeated command the same verification
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,

    /// Start it and don't wait for its verdict
    #[arg(long)]
    detach: bool,
}

pub(super) const EXAMPLES: &str = "\
Compares every byte of every delivered order with the archive, and says VERIFIED, or what is not as it should be. It only reads. \
Ctrl-C leaves it running. Exits with 9 when it says NOT VERIFIED, 7 when it failed, 1 when it was cancelled, and 6 when another one \
was running that looks at less than was asked for.

Examples:
  archctl verify
  archctl verify --presence
  archctl verify --changes --settle 10s --output json | jq -r .verification.verdict_text
  archctl verify --references --max-rate 5000 --max-lag 2s
  archctl verify --detach --request-id nightly-$(date +%F)";

impl Options {
    fn options(&self) -> VerificationOptions {
        let depth = match (self.presence, self.references) {
            (true, _) => VerificationDepth::Presence,
            (_, true) => VerificationDepth::References,
            _ => VerificationDepth::Content,
        };
        let scope = match self.changes {
            true => VerificationScope::Changes,
            false => VerificationScope::Full,
        };
        VerificationOptions {
            depth: depth.into(),
            scope: scope.into(),
            settle: self.settle,
            max_orders_per_second: self.max_rate,
            max_replication_lag: self.max_lag,
        }
    }
}

pub(super) async fn run(session: &Session, args: Options) -> Result<Exit, Fault> {
    let asked = args.options();
    let request = session.unary(StartVerificationRequest {
        options: Some(asked),
        request_id: args.request_id,
    });
    let answer = session.verification().start_verification(request).await?;
    let mut started = answer.into_inner();
    let verification = started
        .verification
        .as_ref()
        .ok_or_else(|| Fault::left_out("verification"))?;
    // What says less must not be taken for what was asked.
    let falls_short = started.already_running && falls_short(&asked, verification);
    if started.already_running {
        let short = match falls_short {
            true => " It looks at less than was asked for: start again when it has ended.",
            false => "",
        };
        let id = &verification.id;
        say(&format!(
            "Verification {id} was there already; this is that one.{short}"
        ));
    }
    let done = match falls_short {
        true => Exit::Conflict,
        false => Exit::Done,
    };
    if args.detach {
        let report = render::verification::report(verification);
        let advice = format!("`archctl verify watch {}` follows it.", verification.id);
        session.output.one(&started, |_| report)?;
        say(&advice);
        return Ok(done);
    }
    let id = verification.id.clone();
    let ended = follow::to_the_end(session, &id, |_: &Verification| Ok(())).await?;
    let Some(ended) = ended else {
        return Ok(Exit::Interrupted);
    };
    let exit = match exit_of(&ended) {
        Exit::Done => done,
        other => other,
    };
    let report = render::verification::report(&ended);
    started.verification = Some(ended);
    session.output.one(&started, |_| report)?;
    Ok(exit)
}

/// Whether a verification looks at less, or less closely, than was asked for.
fn falls_short(asked: &VerificationOptions, verification: &Verification) -> bool {
    let is_partial = verification.scope() == VerificationScope::Changes
        && asked.scope() != VerificationScope::Changes;
    let depth = match verification.options.unwrap_or_default().depth() {
        VerificationDepth::Unspecified => VerificationDepth::Content,
        depth => depth,
    };
    is_partial || depth < asked.depth()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_at_as_much_stands_for_what_was_asked() {
        use VerificationDepth::{Content, Presence, References, Unspecified};
        use VerificationScope::{Changes, Full};
        for (asked, there, short) in [
            ((Content, Full), (Content, Full), false),
            ((Content, Full), (References, Full), false),
            ((Content, Full), (Unspecified, Full), false),
            ((Content, Full), (Presence, Full), true),
            ((References, Full), (Content, Full), true),
            ((Content, Full), (Content, Changes), true),
            ((Content, Changes), (Content, Changes), false),
            ((Content, Changes), (Content, Full), false),
        ] {
            let options =
                |(depth, scope): (VerificationDepth, VerificationScope)| VerificationOptions {
                    depth: depth.into(),
                    scope: scope.into(),
                    ..VerificationOptions::default()
                };
            let verification = Verification {
                options: Some(options(there)),
                scope: there.1.into(),
                ..Verification::default()
            };
            let told = falls_short(&options(asked), &verification);
            assert_eq!(told, short, "{asked:?} {there:?}");
        }
    }
}
