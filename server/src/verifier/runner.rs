//! The runner: a verification on this instance, from when it is taken up until it ends, is let go or
//! is lost.

use std::{sync::Arc, time::Duration};

use bson::Timestamp;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info, warn};

use super::{Verifier, conclude::Conclusion, ledger, log, pass::Pass, settle::Settling};
use crate::{
    domain::verify::{
        counts::Counts,
        days::Days,
        plan::{Plan, Scope},
        progress::Progress,
        verdict::sentence,
    },
    jobs::{Ending, REMINDER, Runner, Throttle, given_up},
    log_limit::LogLimit,
    store::{
        Error,
        jobs::{
            lease::{Lease, TakenUp},
            record::State,
        },
        verifications::{
            options::Options,
            progress::{Beginning, Ended},
            record::Verification,
        },
    },
};

/// How often a verification is saved: so it hears in time what is asked of it, and a run that takes
/// it up repeats no more than what was read since.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// One run of a verification.
struct Run<'a> {
    verifier: &'a Verifier,
    lease: &'a Lease,
    throttle: Arc<Throttle>,
    /// What was saved last.
    saved: Progress,
    /// How far the settling is, and how many differences had been read again at the last save.
    settling: Arc<Settling>,
    settled: usize,
    tick: Interval,
    /// How often the log tells how far it is.
    telling: LogLimit,
}

/// What a part of a run came to: what was waited for, or an ending that came before.
type Outcome<T> = Result<Result<T, Ending<Ended>>, Error>;

impl Verifier {
    pub(super) async fn run_verification(&self, taken: TakenUp<Verification>) {
        let Options { depth, scope, .. } = taken.job.options;
        let (depth, scope) = (depth.name(), scope.name());
        if taken.job.head.started.is_none() {
            info!(depth, scope, "verification started");
        } else {
            info!(
                depth,
                scope,
                runs_without_progress = taken.runs_without_progress,
                "verification taken up where it was left"
            );
        }
        let lease = taken.lease.clone();
        let work = self.run_to_its_end(&lease, taken);
        let Some(ended) = self.runner.see_through(&lease, work).await else {
            return;
        };
        log::end(&ended);
        let saved = self
            .runner
            .patiently(|| self.store.end_verification(&lease, &ended));
        if let Err(error) = saved.await {
            warn!(%error, "the end of the verification could not be saved; whoever takes it up saves it");
        }
        if let Err(error) = self.store.prune_differences().await {
            warn!(%error, "old differences could not be taken away; the next verification tries again");
        }
    }

    /// One run of a verification: from where it was left as far as it gets.
    async fn run_to_its_end(&self, lease: &Lease, taken: TakenUp<Verification>) -> Ending<Ended> {
        let counts = taken.job.counts;
        let failed = |message: String| Ended {
            message,
            ..without_verdict(State::Failed, counts)
        };
        if let Some(why) = given_up(taken.runs_without_progress) {
            let message = format!("{why}; see their logs, then start a new verification");
            return Ending::Job(failed(message));
        }
        let telling = LogLimit::new(1, REMINDER);
        // Not at the beginning.
        telling.admit(Instant::now());
        let mut tick = interval_at(Instant::now() + SAVE_EVERY, SAVE_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let limits = taken.job.options.limits;
        let run = Run {
            verifier: self,
            lease,
            throttle: Arc::new(Throttle::new(self.store.clone(), self.limits, limits)),
            saved: taken.progress,
            settling: Arc::default(),
            settled: 0,
            tick,
            telling,
        };
        match run.compare(taken.job).await {
            Ok(Ok(ended)) => Ending::Job(ended),
            Ok(Err(ending)) => ending,
            Err(error) if self.runner.leaves_after(&error) => Ending::Released,
            Err(error) => {
                let message = format!(
                    "{error}; mend that (`archd check` helps), then start another verification"
                );
                Ending::Job(failed(message))
            }
        }
    }

    /// What a verification looks at that begins for the first time.
    async fn beginning(&self, options: &Options) -> Result<Beginning, Error> {
        let all = |reason: &str| Beginning {
            scope: Scope::Full,
            scope_reason: reason.to_owned(),
            since: None,
            checked_from: None,
        };
        let mut beginning = match options.scope {
            Scope::Full => all(""),
            Scope::Changes => match self.store.latest_verified(options.depth).await? {
                // What it found is no change since the one before it.
                Some(before) if self.store.failed_full_since(&before).await? => {
                    all("the latest verification of everything was NOT VERIFIED")
                }
                Some(before) => Beginning {
                    scope: Scope::Changes,
                    since: before.checked_from,
                    ..all("")
                },
                None => all("no verification that looked as closely has ended VERIFIED yet"),
            },
        };
        // What a majority holds now is read by all who read later: what changes after it is the
        // next one's.
        beginning.checked_from = self.store.deployment().await?.majority;
        Ok(beginning)
    }
}

impl Run<'_> {
    async fn compare(mut self, taken: Verification) -> Outcome<Ended> {
        let (runner, store) = (&self.verifier.runner, &self.verifier.store);
        let options = &taken.options;
        let beginning = runner
            .patiently(|| self.verifier.beginning(options))
            .await?;
        let begun = runner.patiently(|| store.begin_verification(self.lease, &beginning));
        let Some(begun) = begun.await? else {
            return Ok(Err(Ending::Lost));
        };
        if begun.head.state == State::Cancelling {
            return Ok(Err(cancelled(&begun)));
        }
        if !begun.scope_reason.is_empty() {
            info!(reason = begun.scope_reason, "all orders are looked at");
        }
        let _expecting = self.expect_orders(&begun);
        let acknowledged = runner.patiently(|| store.anything_is_acknowledged());
        let plan = plan_of(&begun, !acknowledged.await?);
        let throttle = self.throttle.clone();
        let mut pass = self.verifier.pass(plan, self.saved.clone(), throttle);
        self.settling = pass.settling();
        while !pass.is_done() {
            let progress = pass.progress().clone();
            let step = advance(runner, &mut pass);
            if let Err(ending) = self.attend(step, &progress).await? {
                return Ok(Err(ending));
            }
        }
        let progress = pass.progress().clone();
        if let Some(ending) = self.save(&progress).await? {
            return Ok(Err(ending));
        }
        let trusted = runner.patiently(|| ledger::trusted_days(store)).await?;
        let conclusion = conclude(runner, &mut pass, &trusted);
        match self.attend(conclusion, &progress).await? {
            Ok(conclusion) => self.judged(&begun, conclusion).await.map(Ok),
            Err(ending) => Ok(Err(ending)),
        }
    }

    /// What a pass came to, as the end of its verification.
    async fn judged(
        &self,
        verification: &Verification,
        conclusion: Conclusion,
    ) -> Result<Ended, Error> {
        let (runner, store) = (&self.verifier.runner, &self.verifier.store);
        let append = || ledger::append(store, verification, &conclusion);
        let record = runner.patiently(append).await?;
        // A verification says what the ledger says of it.
        let known = (conclusion.verdict, conclusion.counts);
        let (verdict, counts) = record.said().unwrap_or(known);
        let scope = match conclusion.full_because {
            Some(_) => Scope::Full,
            None => verification.scope,
        };
        let (depth, as_of) = (verification.options.depth, moment(verification));
        let text = sentence(verdict, &counts, scope, depth, &as_of);
        Ok(Ended {
            verdict: Some((verdict, text)),
            warnings: conclusion.warnings,
            ledger_hash: record.hash,
            ..without_verdict(State::Succeeded, counts)
        })
    }

    /// Waits for a step of the pass; saves meanwhile how far it was before, and hears what is asked.
    async fn attend<T>(
        &mut self,
        step: impl Future<Output = Result<T, Error>>,
        progress: &Progress,
    ) -> Outcome<T> {
        let stop = self.verifier.runner.stop().clone();
        tokio::pin!(step);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    let ending = self.save(progress).await?;
                    return Ok(Err(ending.unwrap_or(Ending::Released)));
                }
                _ = self.tick.tick() => {
                    if let Some(ending) = self.save(progress).await? {
                        return Ok(Err(ending));
                    }
                }
                done = &mut step => return done.map(Ok),
            }
        }
    }

    /// Saves how far the verification is. How it ends, if it is not to go on.
    async fn save(&mut self, progress: &Progress) -> Result<Option<Ending<Ended>>, Error> {
        let (runner, store) = (&self.verifier.runner, &self.verifier.store);
        let settled = self.settling.settled();
        let moved = *progress != self.saved || settled > self.settled;
        let reason = self.settling.reason();
        let throttle = reason.unwrap_or_else(|| self.throttle.reason());
        let save = || store.save_verification(self.lease, progress, moved, &throttle);
        let Some(verification) = runner.patiently(save).await? else {
            return Ok(Some(Ending::Lost));
        };
        if moved {
            self.saved = progress.clone();
            self.settled = settled;
        }
        if self.telling.admit(Instant::now()).is_some() {
            log::progress(&verification);
        }
        let is_over = verification.head.state == State::Cancelling;
        Ok(is_over.then(|| cancelled(&verification)))
    }

    /// Looks beside the comparing how many orders there are; progress has no total until then.
    fn expect_orders(&self, verification: &Verification) -> Option<AbortOnDropHandle<()>> {
        let is_known = verification.head.estimated_total > 0;
        if is_known || verification.scope == Scope::Changes {
            return None;
        }
        let (store, lease) = (self.verifier.store.clone(), self.lease.clone());
        let look = async move {
            let delivered = store.delivered_orders(None).await?;
            store.expect_in_job(&lease, delivered).await
        };
        let look = async move {
            if let Err(error) = look.await {
                warn!(%error, "the delivered orders could not be counted; progress has no total");
            }
        };
        let look = tokio::spawn(look.in_current_span());
        Some(AbortOnDropHandle::new(look))
    }
}

async fn advance(runner: &Runner, pass: &mut Pass<Throttle>) -> Result<(), Error> {
    let mut patience = runner.patience();
    loop {
        match pass.advance().await {
            Err(error) if patience.bears(&error).await => {}
            done => return done,
        }
    }
}

async fn conclude(
    runner: &Runner,
    pass: &mut Pass<Throttle>,
    trusted: &Days,
) -> Result<Conclusion, Error> {
    let mut patience = runner.patience();
    loop {
        match pass.conclude(trusted).await {
            Err(error) if patience.bears(&error).await => {}
            done => return done,
        }
    }
}

fn plan_of(verification: &Verification, sound: bool) -> Plan {
    let Options { depth, settle, .. } = verification.options;
    let none = Timestamp {
        time: 0,
        increment: 0,
    };
    Plan {
        verification: verification.head.id.clone(),
        depth,
        settle,
        since: verification.since,
        sound,
        begun: verification.checked_from.unwrap_or(none),
    }
}

fn cancelled(verification: &Verification) -> Ending<Ended> {
    Ending::Job(without_verdict(State::Cancelled, verification.counts))
}

fn without_verdict(state: State, counts: Counts) -> Ended {
    Ended {
        state,
        message: String::new(),
        verdict: None,
        counts,
        warnings: Vec::new(),
        ledger_hash: String::new(),
    }
}

/// The moment that a verdict is of, to the second.
fn moment(verification: &Verification) -> String {
    let as_of = verification.as_of.unwrap_or(verification.head.created);
    let seconds = as_of.timestamp_millis().div_euclid(1_000);
    let whole = bson::DateTime::from_millis(seconds * 1_000);
    whole.try_to_rfc3339_string().unwrap_or_default()
}
