//! The verdict: when it is good, and what it says in one line.

use super::{
    class::Class,
    counts::Counts,
    plan::{Depth, Scope},
};

/// What a verification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every delivered order that it looked at is archived once, or in quarantine.
    Verified,
    /// At least one difference fails it, or there were too many to look at all orders.
    NotVerified,
}

/// What these counts come to; `all` says whether everything was looked at that was to be.
pub fn verdict(counts: &Counts, all: bool) -> Verdict {
    match all && counts.failing() == 0 {
        true => Verdict::Verified,
        false => Verdict::NotVerified,
    }
}

/// The verdict in one line, as of this moment. It says no more than was looked at.
pub fn sentence(
    verdict: Verdict,
    counts: &Counts,
    scope: Scope,
    depth: Depth,
    as_of: &str,
) -> String {
    match verdict {
        Verdict::Verified => {
            let which = match scope {
                Scope::Full => "",
                Scope::Changes => " that have changed",
            };
            let how = match depth {
                Depth::Presence => ", by their presence alone",
                Depth::Content | Depth::References => "",
            };
            format!(
                "VERIFIED {} of {} delivered orders{which}{how}, as of {as_of}",
                grouped(counts.verified),
                grouped(counts.delivered)
            )
        }
        Verdict::NotVerified => {
            let failing = Class::ALL.into_iter().filter(|class| class.fails());
            let failing = failing.filter(|class| counts.of(*class) > 0);
            let failing: Vec<String> = failing
                .map(|class| format!("{} {}", grouped(counts.of(class)), class.name()))
                .collect();
            match failing.is_empty() {
                true => format!("NOT VERIFIED: not all orders were looked at, as of {as_of}"),
                false => format!("NOT VERIFIED: {}, as of {as_of}", failing.join(", ")),
            }
        }
    }
}

/// A number with a comma between thousands.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(verdict: Verdict, counts: &Counts) -> String {
        sentence(verdict, counts, Scope::Full, Depth::Content, "noon")
    }

    #[test]
    fn what_was_not_looked_at_is_not_verified() {
        let counts = Counts::default();
        let of = |scope, depth| sentence(Verdict::Verified, &counts, scope, depth, "noon");
        assert_eq!(
            of(Scope::Changes, Depth::References),
            "VERIFIED 0 of 0 delivered orders that have changed, as of noon"
        );
        assert_eq!(
            of(Scope::Full, Depth::Presence),
            "VERIFIED 0 of 0 delivered orders, by their presence alone, as of noon"
        );
    }

    #[test]
    fn one_failing_difference_fails_it_and_others_do_not() {
        let mut counts = Counts {
            delivered: 1_234_567,
            verified: 1_234_567,
            ..Counts::default()
        };
        for class in Class::ALL.into_iter().filter(|class| !class.fails()) {
            *counts.of_mut(class) = 5;
        }
        counts.acknowledged = 3;
        assert_eq!(verdict(&counts, true), Verdict::Verified);
        assert_eq!(verdict(&counts, false), Verdict::NotVerified);
        assert_eq!(
            said(Verdict::Verified, &counts),
            "VERIFIED 1,234,567 of 1,234,567 delivered orders, as of noon"
        );
        assert_eq!(
            said(Verdict::NotVerified, &counts),
            "NOT VERIFIED: not all orders were looked at, as of noon"
        );
        for class in Class::ALL.into_iter().filter(|class| class.fails()) {
            let mut failed = counts;
            *failed.of_mut(class) = 1;
            assert_eq!(verdict(&failed, true), Verdict::NotVerified);
        }
        *counts.of_mut(Class::Missing) = 3;
        *counts.of_mut(Class::Damaged) = 1_000;
        assert_eq!(
            said(Verdict::NotVerified, &counts),
            "NOT VERIFIED: 3 missing, 1,000 damaged, as of noon"
        );
    }
}
