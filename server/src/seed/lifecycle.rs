//! The lifecycle of an order, from `en_attente` to `livrée` or `annulée`.

use bson::{DateTime, cstr, raw::CStr};

use super::dice::Dice;

/// How likely an order is called off.
const CANCELLED: f64 = 0.073;

const MINUTE: u32 = 60_000;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The restaurant has not answered yet.
    EnAttente,
    /// The kitchen is at work.
    EnPreparation,
    /// A courier has it.
    EnCours,
    /// It has been delivered.
    Livree,
    /// It has been called off.
    Annulee,
}

impl Status {
    /// The platform's own word; its accents are composed (U+00E9).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EnAttente => "en_attente",
            Self::EnPreparation => "en_preparation",
            Self::EnCours => "en_cours",
            Self::Livree => "livr\u{e9}e",
            Self::Annulee => "annul\u{e9}e",
        }
    }

    /// The field of an order that says since when it stands there.
    pub(super) fn date_field(self) -> &'static CStr {
        match self {
            Self::EnAttente => cstr!("date_commande"),
            Self::EnPreparation => cstr!("date_acceptation"),
            Self::EnCours => cstr!("date_prise_en_charge"),
            Self::Livree => cstr!("date_livraison"),
            Self::Annulee => cstr!("date_annulation"),
        }
    }
}

/// A change of status.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The status from then on.
    pub status: Status,
    /// When, as a share of a whole lifecycle: above 0, and 1 for a delivery.
    pub share: f64,
}

/// All that is going to happen to an order.
pub(super) struct Lifecycle {
    millis: u32,
    pub(super) steps: Vec<Step>,
}

impl Lifecycle {
    /// A run of 20 to 60 minutes, most of them to a good end.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let millis = dice.between(20 * MINUTE, 60 * MINUTE);
        let accepted = Step {
            status: Status::EnPreparation,
            share: 0.12 + 0.12 * dice.fraction(),
        };
        let picked_up = Step {
            status: Status::EnCours,
            share: 0.45 + 0.2 * dice.fraction(),
        };
        let delivered = Step {
            status: Status::Livree,
            share: 1.0,
        };
        // Nobody calls off what is already on its way.
        let called_off = Step {
            status: Status::Annulee,
            share: 0.05 + 0.4 * dice.fraction(),
        };
        let steps = if !dice.chance(CANCELLED) {
            vec![accepted, picked_up, delivered]
        } else if called_off.share < accepted.share {
            vec![called_off]
        } else {
            vec![accepted, called_off]
        };
        Self { millis, steps }
    }

    /// The steps taken by `now`, each with its date, of an order made at `start`.
    pub(super) fn taken(&self, start: DateTime, now: DateTime) -> Vec<(Status, DateTime)> {
        let at =
            |step: &Step| start.saturating_add_millis((step.share * f64::from(self.millis)) as i64);
        self.steps
            .iter()
            .map(|step| (step.status, at(step)))
            .take_while(|(_, date)| *date <= now)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{dice::Stream, paris::HOUR};

    fn lifecycles(count: usize) -> Vec<Lifecycle> {
        let mut dice = Dice::new(3, Stream::Orders, 1);
        (0..count).map(|_| Lifecycle::draw(&mut dice)).collect()
    }

    #[test]
    fn the_words_are_the_platforms() {
        for (status, expected) in [
            (Status::EnAttente, &b"en_attente"[..]),
            (Status::EnPreparation, b"en_preparation"),
            (Status::EnCours, b"en_cours"),
            (Status::Livree, b"livr\xc3\xa9e"),
            (Status::Annulee, b"annul\xc3\xa9e"),
        ] {
            assert_eq!(status.as_str().as_bytes(), expected);
        }
    }

    #[test]
    fn steps_rise_to_a_good_or_a_bad_end() {
        use Status::*;
        for lifecycle in lifecycles(5_000) {
            let statuses: Vec<_> = lifecycle.steps.iter().map(|step| step.status).collect();
            assert!(
                [
                    &[EnPreparation, EnCours, Livree][..],
                    &[EnPreparation, Annulee],
                    &[Annulee]
                ]
                .contains(&statuses.as_slice()),
                "{statuses:?}"
            );
            assert!(
                lifecycle
                    .steps
                    .is_sorted_by(|one, next| one.share < next.share)
            );
            assert!(
                lifecycle
                    .steps
                    .iter()
                    .all(|step| step.share > 0.0 && step.share <= 1.0)
            );
        }
    }

    #[test]
    fn about_seven_in_a_hundred_are_called_off() {
        let lifecycles = lifecycles(20_000);
        let cancelled = lifecycles
            .iter()
            .filter(|lifecycle| lifecycle.steps.last().unwrap().status == Status::Annulee)
            .count();
        let share = cancelled as f64 / lifecycles.len() as f64;
        assert!((0.065..0.08).contains(&share), "{share}");
    }

    #[test]
    fn a_delivery_takes_20_to_60_minutes() {
        let start = DateTime::from_millis(0);
        let deliveries: Vec<i64> = lifecycles(5_000)
            .iter()
            .flat_map(|lifecycle| lifecycle.taken(start, DateTime::MAX))
            .filter(|(status, _)| *status == Status::Livree)
            .map(|(_, date)| date.timestamp_millis() / i64::from(MINUTE))
            .collect();
        assert_eq!(deliveries.iter().min(), Some(&20));
        assert_eq!(deliveries.iter().max(), Some(&59));
    }

    #[test]
    fn only_steps_up_to_now_are_taken() {
        let start = DateTime::from_millis(1_000);
        for lifecycle in lifecycles(100) {
            assert!(lifecycle.taken(start, start).is_empty());
            let end = start.saturating_add_millis(HOUR);
            assert_eq!(lifecycle.taken(start, end).len(), lifecycle.steps.len());
            for (rank, (_, date)) in lifecycle.taken(start, end).into_iter().enumerate() {
                assert_eq!(lifecycle.taken(start, date).len(), rank + 1);
            }
        }
    }
}
