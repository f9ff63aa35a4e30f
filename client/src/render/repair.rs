//! Repairs: what there would be, each one's outcome on a line, and how many there were.

use std::collections::BTreeMap;

use order_archiver_api::{
    progress::words,
    statistics::thousands,
    v1::{DifferenceClass, RepairOrdersResponse, RepairOutcome},
};

use super::{paint, text::one_line};

/// How many differences of which class there are to repair.
#[derive(Debug, Default)]
pub(crate) struct Plan(BTreeMap<DifferenceClass, i64>);

impl Plan {
    pub(crate) fn add(&mut self, class: DifferenceClass) {
        *self.0.entry(class).or_default() += 1;
    }

    /// Whether archived documents would be replaced or taken out.
    pub(crate) fn replaces(&self) -> bool {
        self.0
            .keys()
            .any(|class| *class != DifferenceClass::Missing)
    }

    fn count(&self, classes: &[DifferenceClass]) -> i64 {
        classes.iter().filter_map(|class| self.0.get(class)).sum()
    }
}

/// That nothing was done, and what a yes would do.
pub(crate) fn unconfirmed(plan: &Plan) -> String {
    use DifferenceClass::{Altered, Damaged, Doubled, Missing};
    let done = [
        (&[Missing][..], "archived: missing from the archive"),
        (
            &[Altered, Damaged],
            "replaced by what the live order of today makes",
        ),
        (
            &[Doubled],
            "taken out of the archive, or replaced, so that one is left",
        ),
    ];
    let lines = done.into_iter().filter_map(|(classes, what)| {
        let count = plan.count(classes);
        (count > 0).then(|| format!("  {} to be {what}\n", thousands(count)))
    });
    let lines: String = lines.collect();
    format!(
        "Nothing was done. There are\n{lines}\
         Each archived document that is replaced or taken out is kept, with who asked, when and why.\n\
         --yes --reason TEXT does it."
    )
}

/// What became of one difference.
pub(crate) fn outcome(response: &RepairOrdersResponse) -> String {
    let number = match response.numero_commande.as_str() {
        "" => "-".to_owned(),
        number => one_line(number),
    };
    let class = words(response.class().as_str_name(), "DIFFERENCE_CLASS_");
    let outcome = match response.outcome() {
        RepairOutcome::Gone => "not so any more".to_owned(),
        outcome => paint::word(&word(outcome)),
    };
    let detail = match response.detail.as_str() {
        "" => String::new(),
        detail => format!(": {}", one_line(detail)),
    };
    let kept = match response.replaced_id.as_str() {
        "" => String::new(),
        id => format!("; kept as {}", one_line(id)),
    };
    format!("{number}  {class}  {outcome}{detail}{kept}")
}

/// How many of each outcome there were.
pub(crate) fn summary(counts: &BTreeMap<RepairOutcome, i64>) -> String {
    let parts = counts.iter().map(|(outcome, count)| {
        let outcome = match outcome {
            RepairOutcome::Gone => "not so any more".to_owned(),
            outcome => word(*outcome),
        };
        format!("{} {outcome}", thousands(*count))
    });
    let parts: Vec<String> = parts.collect();
    match parts.as_slice() {
        [] => "There was nothing to repair.".to_owned(),
        parts => format!("{}.", parts.join(", ")),
    }
}

fn word(outcome: RepairOutcome) -> String {
    words(outcome.as_str_name(), "REPAIR_OUTCOME_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_would_be_done_and_that_nothing_was() {
        let mut plan = Plan::default();
        plan.add(DifferenceClass::Missing);
        assert!(!plan.replaces());
        for class in [
            DifferenceClass::Altered,
            DifferenceClass::Damaged,
            DifferenceClass::Doubled,
        ] {
            plan.add(class);
        }
        assert!(plan.replaces());
        assert_eq!(
            unconfirmed(&plan),
            "\
Nothing was done. There are
  1 to be archived: missing from the archive
  2 to be replaced by what the live order of today makes
  1 to be taken out of the archive, or replaced, so that one is left
Each archived document that is replaced or taken out is kept, with who asked, when and why.
--yes --reason TEXT does it."
        );
    }

    #[test]
    fn every_outcome_is_a_line() {
        let response = |outcome: RepairOutcome, detail: &str, replaced: &str| {
            let response = RepairOrdersResponse {
                numero_commande: "CMD-1".to_owned(),
                class: DifferenceClass::Altered.into(),
                outcome: outcome.into(),
                detail: detail.to_owned(),
                replaced_id: replaced.to_owned(),
            };
            super::outcome(&response)
        };
        for (told, wanted) in [
            (response(RepairOutcome::Archived, "", ""), "archived"),
            (
                response(RepairOutcome::Replaced, "", "r-1"),
                "replaced; kept as r-1",
            ),
            (
                response(RepairOutcome::Removed, "", "r-2"),
                "removed; kept as r-2",
            ),
            (response(RepairOutcome::Gone, "", ""), "not so any more"),
            (
                response(RepairOutcome::Refused, "the live order is gone", ""),
                "refused: the live order is gone",
            ),
        ] {
            assert_eq!(told, format!("CMD-1  altered  {wanted}"));
        }
        let nameless = RepairOrdersResponse::default();
        assert!(outcome(&nameless).starts_with("-  unspecified  "));
    }

    #[test]
    fn a_summary_counts_the_outcomes() {
        let counts = [
            (RepairOutcome::Refused, 1),
            (RepairOutcome::Archived, 1_200),
            (RepairOutcome::Gone, 2),
        ];
        assert_eq!(
            summary(&BTreeMap::from(counts)),
            "1,200 archived, 2 not so any more, 1 refused."
        );
        assert_eq!(summary(&BTreeMap::new()), "There was nothing to repair.");
    }
}
