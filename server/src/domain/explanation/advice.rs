//! The conclusions in words, and what to do about each. Calls are named as in the contract, and
//! clients tell people how to make them.

use super::conclusion::Conclusion;

/// What the words are made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// The number that was asked for.
    pub numero: &'a str,
    /// The exact delivered status.
    pub delivered: &'a str,
    /// How many live orders have the number.
    pub orders: usize,
    /// The other number that an order is archived under, or that it has now.
    pub other_number: Option<&'a str>,
    /// How a status differs that only looks like the delivered one.
    pub difference: &'a str,
    /// The command that mends it; empty where there is none.
    pub mend: &'a str,
    /// The entry in quarantine, and why it is there.
    pub quarantined: Option<(&'a str, &'a str)>,
    /// What a comparison with the archived document has found.
    pub found: &'a str,
    /// Whether the watcher reads changes, or is about to.
    pub is_watched: bool,
    /// Whether it has passed the order by; none where that can't be told.
    pub is_passed: Option<bool>,
    /// Whether a batch is running.
    pub batch_runs: bool,
    /// Whether the schedule starts batches.
    pub is_scheduled: bool,
}

impl Circumstances<'_> {
    /// A conclusion in a sentence.
    pub fn sentence(&self, conclusion: Conclusion) -> String {
        let delivered = self.delivered;
        match conclusion {
            Conclusion::ArchivedTwice => "in the archive more than once".to_owned(),
            Conclusion::SeveralOrders => format!(
                "{} live orders have this number, and the archive takes a number once",
                self.orders
            ),
            Conclusion::OtherNumber => match (self.other_number, self.orders) {
                (Some(other), 0) => {
                    format!("archived under this number, and the live order has the number {other}")
                }
                (Some(other), _) => format!("archived under another number, {other}"),
                (None, _) => "archived under something else than its number".to_owned(),
            },
            Conclusion::NoLongerDelivered => {
                format!(
                    "archived, and not delivered any more: its status is no longer {delivered:?}"
                )
            }
            Conclusion::Different => {
                format!("archived, and not as the live order is now: {}", self.found)
            }
            Conclusion::ArchivedInPart => {
                "archived by a program before archd, which did not keep all of it".to_owned()
            }
            Conclusion::Damaged => {
                format!(
                    "archived, and the archive's own notes of it are at fault: {}",
                    self.found
                )
            }
            Conclusion::OtherId => "archived, under another _id than the live order's".to_owned(),
            Conclusion::Archived => {
                "archived; its own fields are those of the live order, byte for byte".to_owned()
            }
            Conclusion::ArchivedAlone => "archived, and no live order is left".to_owned(),
            Conclusion::Quarantined => match self.quarantined {
                Some((_, detail)) => format!("in quarantine: {detail}"),
                None => "in quarantine".to_owned(),
            },
            Conclusion::NumberTaken => {
                "delivered and not archived: another order is archived under its number".to_owned()
            }
            Conclusion::NotArchived => "delivered, and not archived yet".to_owned(),
            Conclusion::NearMiss => format!(
                "not archived: its status only looks like {delivered:?} ({})",
                self.difference
            ),
            Conclusion::NotDelivered => {
                format!("not archived, as it is not delivered: its status is not {delivered:?}")
            }
            Conclusion::Gone => {
                "neither live, archived nor in quarantine: only records of it are left".to_owned()
            }
        }
    }

    /// What to do, a step each; nothing where there is nothing to do.
    pub fn advice(&self, conclusion: Conclusion) -> Vec<String> {
        let archive = call("ArchiveOrder", self.numero);
        let own_number = format!("give one of the orders a number of its own, then {archive}");
        let mut steps = Vec::new();
        match conclusion {
            Conclusion::Archived | Conclusion::OtherId | Conclusion::ArchivedAlone => {}
            Conclusion::ArchivedTwice => {
                let steps_now = [
                    "`StartVerification` names each document that is too many",
                    "`RepairOrders` takes those out whose order is live, and keeps them",
                ];
                steps.extend(steps_now.map(str::to_owned));
            }
            Conclusion::SeveralOrders | Conclusion::NumberTaken => steps.push(own_number),
            Conclusion::OtherNumber => steps.push(
                "nothing, if the number was changed on purpose: the archive keeps the one that the order was archived under; else give the live order its number back"
                    .to_owned(),
            ),
            Conclusion::NoLongerDelivered => steps.push(
                "`StartVerification` finds out which of the two has changed, as far as the history reaches: a live order that was amended since is no fault; `AcknowledgeDifference` lets another difference stay"
                    .to_owned(),
            ),
            Conclusion::Different => {
                let steps_now = [
                    "`StartVerification` finds out which of the two has changed, as far as the history reaches: a live order that was amended since is no fault",
                    "`RepairOrders` puts the live order of today in the place of one that was altered in the archive, and keeps what was there; `AcknowledgeDifference` lets it stay",
                ];
                steps.extend(steps_now.map(str::to_owned));
            }
            Conclusion::Damaged => steps.push(match self.orders {
                0 => "no live order is left to make the archived one anew of: `AcknowledgeDifference` lets it stay".to_owned(),
                _ => "`StartVerification` finds it, then `RepairOrders` makes the archived order anew, and keeps what was there; `AcknowledgeDifference` lets it stay".to_owned(),
            }),
            Conclusion::ArchivedInPart => steps.push(
                "keep the live order: it can't be rebuilt from the archive".to_owned(),
            ),
            Conclusion::Quarantined => {
                let id = self.quarantined.map_or("", |(id, _)| id);
                let (retry, drop) = (
                    call("RetryQuarantined", id),
                    call("DropQuarantined", id),
                );
                steps.push(match self.orders {
                    0 => format!("the live order is gone: {drop} if that is right"),
                    _ => format!("mend what it says, then {retry}; {drop} if it is never to be archived"),
                });
            }
            Conclusion::NotArchived => {
                steps.push(format!("{archive} archives it now"));
                steps.push(self.what_archives_it());
            }
            Conclusion::NearMiss => {
                steps.push(match self.mend {
                    "" => format!("set its status to {:?}", self.delivered),
                    mend => format!("this mends all orders with such a status: {mend}"),
                });
                steps.push(match self.is_watched {
                    true => "then the watcher archives it".to_owned(),
                    false => format!("then {archive}"),
                });
            }
            Conclusion::NotDelivered => steps.push(match (self.is_watched, self.is_scheduled) {
                (true, _) => "nothing: the watcher archives it as soon as it is delivered".to_owned(),
                (false, true) => "nothing: the first batch after it is delivered archives it".to_owned(),
                (false, false) => format!("once it is delivered, {archive}"),
            }),
            Conclusion::Gone => steps.push(
                "nothing can be archived any more; what a repair replaced is kept".to_owned(),
            ),
        }
        steps
    }

    /// Who will archive a delivered order if nobody does anything.
    fn what_archives_it(&self) -> String {
        match (self.is_watched, self.is_passed) {
            (true, Some(false)) => {
                return "else nothing: the watcher archives it when it gets there".to_owned();
            }
            (true, Some(true)) if self.batch_runs => {
                "the watcher has passed it by; the batch that is running archives it, or else the next one"
            }
            (true, Some(true)) if self.is_scheduled => {
                "the watcher has passed it by, so the next batch archives it"
            }
            (true, Some(true)) => {
                "the watcher has passed it by, and no schedule starts a batch: `StartBatch` archives all such orders"
            }
            (_, _) if self.batch_runs => {
                "else the batch that is running archives it, or the next one"
            }
            (_, _) if self.is_scheduled => "else the next batch archives it",
            (true, None) => "else the watcher archives it, unless it has passed it by",
            (false, _) => {
                "nobody watches, and no schedule starts a batch: `StartBatch` archives all such orders"
            }
        }
        .to_owned()
    }
}

/// A call with what it is to be made for, as far as that can be written down as it is.
fn call(rpc: &str, about: &str) -> String {
    let is_plain =
        |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '/' | ':');
    match !about.is_empty() && about.chars().all(is_plain) && !about.starts_with('-') {
        true => format!("`{rpc} {about}`"),
        false => format!("`{rpc}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Circumstances<'static> {
        Circumstances {
            numero: "CMD-1",
            delivered: "livrée",
            orders: 1,
            is_watched: true,
            is_scheduled: true,
            ..Circumstances::default()
        }
    }

    #[test]
    fn a_delivered_order_that_is_not_archived_is_told_who_will_archive_it() {
        let (yes, no, none) = (Some(true), Some(false), None);
        for (is_watched, is_passed, batch_runs, is_scheduled, wanted) in [
            (
                true,
                no,
                false,
                true,
                "the watcher archives it when it gets there",
            ),
            (
                true,
                yes,
                false,
                true,
                "passed it by, so the next batch archives it",
            ),
            (
                true,
                yes,
                true,
                true,
                "the batch that is running archives it",
            ),
            (
                true,
                yes,
                false,
                false,
                "no schedule starts a batch: `StartBatch`",
            ),
            (true, none, false, true, "else the next batch archives it"),
            (true, none, false, false, "unless it has passed it by"),
            (false, no, true, false, "else the batch that is running"),
            (false, no, false, true, "else the next batch archives it"),
            (false, none, false, false, "nobody watches, and no schedule"),
        ] {
            let circumstances = Circumstances {
                is_watched,
                is_passed,
                batch_runs,
                is_scheduled,
                ..here()
            };
            let advice = circumstances.advice(Conclusion::NotArchived);
            assert_eq!(advice[0], "`ArchiveOrder CMD-1` archives it now");
            assert!(advice[1].contains(wanted), "{circumstances:?}: {advice:?}");
        }
    }

    #[test]
    fn each_conclusion_says_what_to_do_or_that_nothing_is() {
        let circumstances = Circumstances {
            other_number: Some("CMD-2"),
            difference: "other case",
            found: "so it is",
            mend: "db.a.updateMany()",
            quarantined: Some(("q12", "too large")),
            ..here()
        };
        for (conclusion, sentence, advice) in [
            (Conclusion::Archived, "byte for byte", None),
            (Conclusion::OtherId, "another _id", None),
            (Conclusion::ArchivedAlone, "no live order", None),
            (
                Conclusion::ArchivedTwice,
                "more than once",
                Some("RepairOrders"),
            ),
            (
                Conclusion::SeveralOrders,
                "1 live orders",
                Some("a number of its own"),
            ),
            (
                Conclusion::NumberTaken,
                "another order is",
                Some("`ArchiveOrder CMD-1`"),
            ),
            (
                Conclusion::OtherNumber,
                "another number, CMD-2",
                Some("number back"),
            ),
            (
                Conclusion::NoLongerDelivered,
                "\"livrée\"",
                Some("StartVerification"),
            ),
            (
                Conclusion::Different,
                "as the live order is now",
                Some("RepairOrders"),
            ),
            (
                Conclusion::Damaged,
                "at fault: so it is",
                Some("makes the archived order anew"),
            ),
            (
                Conclusion::ArchivedInPart,
                "not keep all",
                Some("keep the live order"),
            ),
            (
                Conclusion::Quarantined,
                "too large",
                Some("`RetryQuarantined q12`"),
            ),
            (
                Conclusion::NearMiss,
                "(other case)",
                Some("db.a.updateMany()"),
            ),
            (
                Conclusion::NotDelivered,
                "not delivered",
                Some("nothing: the watcher"),
            ),
            (Conclusion::Gone, "only records", Some("kept")),
        ] {
            let said = circumstances.sentence(conclusion);
            assert!(said.contains(sentence), "{conclusion:?}: {said}");
            let steps = circumstances.advice(conclusion).join("\n");
            match advice {
                Some(advice) => assert!(steps.contains(advice), "{conclusion:?}: {steps}"),
                None => assert_eq!(steps, "", "{conclusion:?}"),
            }
        }
    }

    #[test]
    fn a_number_that_a_shell_would_take_apart_is_left_out_of_calls() {
        for numero in ["a b", "$(x)", "-x", ""] {
            let advice = Circumstances { numero, ..here() }.advice(Conclusion::NotArchived);
            assert_eq!(advice[0], "`ArchiveOrder` archives it now");
        }
        let gone = Circumstances {
            orders: 0,
            quarantined: Some(("q1", "x")),
            ..here()
        };
        let advice = gone.advice(Conclusion::Quarantined);
        assert!(advice[0].contains("`DropQuarantined q1`"), "{advice:?}");
    }
}
