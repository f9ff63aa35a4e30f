//! Findings: a verdict on one thing, what was found, and what mends it; and all of them together.

use crate::store::Error;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    NotChecked,
    /// `archd` works, but for what the finding says.
    Warning,
    /// `archd` can't do its work.
    Failed,
}

impl Verdict {
    /// Its name for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::NotChecked => "not_checked",
            Verdict::Warning => "warning",
            Verdict::Failed => "failed",
        }
    }
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) name: &'static str,
    /// How it stands.
    pub(super) verdict: Verdict,
    /// What was found, in a sentence.
    pub(super) found: String,
    /// What mends it: a command where there is one, a line each.
    pub(super) fix: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Finding {
        Finding {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            fix: None,
        }
    }

    /// Something is worse than it could be.
    pub(super) fn warning(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            verdict: Verdict::Warning,
            fix: Some(fix.into()),
            ..Finding::ok(name, found)
        }
    }

    /// Something keeps `archd` from its work.
    pub(super) fn failed(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        Finding {
            verdict: Verdict::Failed,
            fix: Some(fix.into()),
            ..Finding::ok(name, found)
        }
    }

    /// Nobody looked, for this reason.
    pub(super) fn not_checked(name: &'static str, why: impl Into<String>) -> Finding {
        Finding {
            verdict: Verdict::NotChecked,
            ..Finding::ok(name, why)
        }
    }
}

/// Everything that was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckReport {
    /// In the order in which it was looked at.
    pub(super) findings: Vec<Finding>,
    /// Whether the database could not be reached in time, or went away meanwhile.
    pub(super) away: bool,
}

impl CheckReport {
    /// The worst verdict.
    pub(super) fn verdict(&self) -> Verdict {
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.max().unwrap_or(Verdict::NotChecked)
    }

    /// How many findings have a verdict.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        let alike = |finding: &&Finding| finding.verdict == verdict;
        self.findings.iter().filter(alike).count()
    }

    /// Says that nothing else was looked at.
    pub(super) fn break_off(&mut self, why: &str) {
        self.findings
            .push(Finding::not_checked("everything else", why));
    }

    /// Notes the finding on an answer of the database, or on an answer that did not come; none when
    /// the database is away.
    pub(super) fn note<T>(
        &mut self,
        name: &'static str,
        answer: Result<T, Error>,
        judge: impl FnOnce(T) -> Finding,
    ) -> Option<()> {
        let finding = match answer {
            Ok(fact) => judge(fact),
            Err(Error::Denied { command }) => Finding::not_checked(
                name,
                format!("the database user may not run `{command}`; see the privileges"),
            ),
            Err(error) if error.is_transient() => {
                self.away = true;
                let fix = "look at the database's log, then check again";
                self.findings
                    .push(Finding::failed(name, error.to_string(), fix));
                self.break_off("the database went away");
                return None;
            }
            Err(error) => Finding::failed(
                name,
                error.to_string(),
                "look for this code in MongoDB's documentation",
            ),
        };
        self.findings.push(finding);
        Some(())
    }
}
