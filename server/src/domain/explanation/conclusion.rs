//! What follows from all that is known of a number: one conclusion for it, and one for each live
//! order that has it.

use crate::domain::verify::{
    class::Class,
    compare::{Found, Match},
};

/// What there is to say of an order, or of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the contract documents the conclusions")]
pub enum Conclusion {
    ArchivedTwice,
    SeveralOrders,
    OtherNumber,
    NoLongerDelivered,
    Different,
    ArchivedInPart,
    Damaged,
    OtherId,
    Archived,
    ArchivedAlone,
    Quarantined,
    NumberTaken,
    NotArchived,
    NearMiss,
    NotDelivered,
    Gone,
}

/// What a live order's status is to the delivered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Exactly it.
    Delivered,
    /// It only looks like it.
    NearMiss,
    /// Another.
    Other,
}

/// How an archived document compares with its live order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Its part of the order is byte for byte the live order.
    Same,
    /// So it is, but what the archive notes of the archiving does not agree with the document.
    Damaged,
    /// Fields of the order are absent, or in another order, as a program before archd left them.
    InPart,
    /// It is another one.
    Different,
}

impl Likeness {
    /// What a comparison has found.
    pub fn of(found: Option<&Found>) -> Likeness {
        match found.map(|found| found.class) {
            None => Likeness::Same,
            Some(Class::Damaged) => Likeness::Damaged,
            Some(Class::NotRebuildable) => Likeness::InPart,
            Some(_) => Likeness::Different,
        }
    }
}

/// The archived document of a live order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// By what it belongs to the order.
    pub by: Match,
    /// How the two compare.
    pub likeness: Likeness,
    /// Whether it has the order's number.
    pub has_number: bool,
}

/// Which other archived document has the number of a live order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// None has.
    None,
    /// One that belongs to another live order.
    OfAnotherOrder,
    /// One that belongs to no live order.
    OfNobody,
}

/// What is known of one live order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFacts {
    /// What its status is.
    pub standing: Standing,
    /// Its archived document.
    pub copy: Option<Copy>,
    /// Which other archived document has its number.
    pub other: Other,
    /// Whether it is in quarantine.
    pub quarantined: bool,
}

impl OrderFacts {
    /// What there is to say of the order.
    pub fn conclusion(&self) -> Conclusion {
        match (self.copy, self.standing) {
            (Some(copy), _) if !copy.has_number && self.other == Other::OfNobody => {
                Conclusion::ArchivedTwice
            }
            (Some(copy), _) if !copy.has_number => Conclusion::OtherNumber,
            (Some(_), Standing::NearMiss | Standing::Other) => Conclusion::NoLongerDelivered,
            (Some(copy), Standing::Delivered) => match (copy.likeness, copy.by) {
                (Likeness::Different, _) => Conclusion::Different,
                (Likeness::InPart, _) => Conclusion::ArchivedInPart,
                (Likeness::Damaged, _) => Conclusion::Damaged,
                (Likeness::Same, Match::Number) => Conclusion::OtherId,
                (Likeness::Same, Match::Id) => Conclusion::Archived,
            },
            (None, _) if self.quarantined => Conclusion::Quarantined,
            (None, Standing::Delivered) if self.other != Other::None => Conclusion::NumberTaken,
            (None, Standing::Delivered) => Conclusion::NotArchived,
            (None, Standing::NearMiss) => Conclusion::NearMiss,
            (None, Standing::Other) => Conclusion::NotDelivered,
        }
    }
}

/// What is known of a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of each live order that has it.
    pub orders: Vec<OrderFacts>,
    /// How many archived documents have it.
    pub archived: usize,
    /// Whether what the archive notes of one of these does not agree with it.
    pub damaged: bool,
    /// Whether one of these belongs to a live order with another number.
    pub of_another_order: bool,
    /// Whether the quarantine has an entry for it.
    pub quarantined: bool,
    /// Whether something was noted of it: a replaced version, an acknowledgement.
    pub noted: bool,
}

impl Facts {
    /// What there is to say of the number; none where nothing is known of it.
    pub fn conclusion(&self) -> Option<Conclusion> {
        Some(match self.orders.as_slice() {
            _ if self.archived > 1 => Conclusion::ArchivedTwice,
            [order] => order.conclusion(),
            [_, ..] => Conclusion::SeveralOrders,
            [] if self.archived > 0 && self.of_another_order => Conclusion::OtherNumber,
            [] if self.archived > 0 && self.damaged => Conclusion::Damaged,
            [] if self.archived > 0 => Conclusion::ArchivedAlone,
            [] if self.quarantined => Conclusion::Quarantined,
            [] if self.noted => Conclusion::Gone,
            [] => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: OrderFacts = OrderFacts {
        standing: Standing::Delivered,
        copy: None,
        other: Other::None,
        quarantined: false,
    };

    fn archived(by: Match, likeness: Likeness) -> OrderFacts {
        let copy = Copy {
            by,
            likeness,
            has_number: true,
        };
        OrderFacts {
            copy: Some(copy),
            ..NOWHERE
        }
    }

    fn standing(standing: Standing, facts: OrderFacts) -> OrderFacts {
        OrderFacts { standing, ..facts }
    }

    #[test]
    fn what_is_known_of_an_order_leads_to_one_conclusion() {
        use Standing::{NearMiss, Other as Status};
        let here = archived(Match::Id, Likeness::Same);
        let quarantined = OrderFacts {
            quarantined: true,
            ..NOWHERE
        };
        let taken = |other| OrderFacts { other, ..NOWHERE };
        let elsewhere = |other| OrderFacts {
            copy: here.copy.map(|copy| Copy {
                has_number: false,
                ..copy
            }),
            other,
            ..NOWHERE
        };
        for (facts, wanted) in [
            (here, Conclusion::Archived),
            (archived(Match::Number, Likeness::Same), Conclusion::OtherId),
            (
                archived(Match::Id, Likeness::InPart),
                Conclusion::ArchivedInPart,
            ),
            (
                archived(Match::Number, Likeness::InPart),
                Conclusion::ArchivedInPart,
            ),
            (
                archived(Match::Id, Likeness::Different),
                Conclusion::Different,
            ),
            (
                archived(Match::Number, Likeness::Different),
                Conclusion::Different,
            ),
            (archived(Match::Id, Likeness::Damaged), Conclusion::Damaged),
            (standing(Status, here), Conclusion::NoLongerDelivered),
            (
                standing(NearMiss, archived(Match::Id, Likeness::Different)),
                Conclusion::NoLongerDelivered,
            ),
            (elsewhere(Other::None), Conclusion::OtherNumber),
            (elsewhere(Other::OfAnotherOrder), Conclusion::OtherNumber),
            (elsewhere(Other::OfNobody), Conclusion::ArchivedTwice),
            (
                standing(Status, elsewhere(Other::None)),
                Conclusion::OtherNumber,
            ),
            (quarantined, Conclusion::Quarantined),
            (standing(Status, quarantined), Conclusion::Quarantined),
            (
                OrderFacts {
                    quarantined: true,
                    ..here
                },
                Conclusion::Archived,
            ),
            (taken(Other::OfAnotherOrder), Conclusion::NumberTaken),
            (NOWHERE, Conclusion::NotArchived),
            (standing(NearMiss, NOWHERE), Conclusion::NearMiss),
            (standing(Status, NOWHERE), Conclusion::NotDelivered),
            (
                standing(Status, taken(Other::OfAnotherOrder)),
                Conclusion::NotDelivered,
            ),
        ] {
            assert_eq!(facts.conclusion(), wanted, "{facts:?}");
        }
    }

    #[test]
    fn what_is_known_of_a_number_leads_to_one_conclusion_or_nothing_is() {
        let facts = |orders: &[OrderFacts], archived| Facts {
            orders: orders.to_vec(),
            archived,
            ..Facts::default()
        };
        let traces = |of_another_order, quarantined, noted, archived| Facts {
            of_another_order,
            quarantined,
            noted,
            ..facts(&[], archived)
        };
        for (facts, wanted) in [
            (facts(&[NOWHERE], 0), Some(Conclusion::NotArchived)),
            (facts(&[NOWHERE], 2), Some(Conclusion::ArchivedTwice)),
            (
                facts(&[NOWHERE, NOWHERE], 1),
                Some(Conclusion::SeveralOrders),
            ),
            (
                facts(&[NOWHERE, NOWHERE], 2),
                Some(Conclusion::ArchivedTwice),
            ),
            (traces(true, true, true, 1), Some(Conclusion::OtherNumber)),
            (
                traces(false, true, true, 1),
                Some(Conclusion::ArchivedAlone),
            ),
            (
                Facts {
                    damaged: true,
                    ..traces(false, false, false, 1)
                },
                Some(Conclusion::Damaged),
            ),
            (traces(false, true, true, 0), Some(Conclusion::Quarantined)),
            (traces(false, false, true, 0), Some(Conclusion::Gone)),
            (traces(false, false, false, 0), None),
        ] {
            assert_eq!(facts.conclusion(), wanted, "{facts:?}");
        }
    }
}
