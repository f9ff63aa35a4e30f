//! What was seeded: orders by status.

use order_archiver_api::{
    statistics::thousands,
    v1::{SeedDataResponse, SeedPhase},
};

use super::grid;

/// Orders by status under their sum.
pub(crate) fn table(seeded: &SeedDataResponse) -> String {
    let rows = seeded
        .orders_by_status
        .iter()
        .map(|count| [count.status.clone(), thousands(count.orders)]);
    let sum = seeded
        .orders_by_status
        .iter()
        .map(|count| count.orders)
        .sum();
    grid::table(
        ["STATUS", "ORDERS"],
        &["ORDERS"],
        rows.chain([["all".to_owned(), thousands(sum)]]),
    )
}

/// How far the seeding is, on one line.
pub(crate) fn progress(seeded: &SeedDataResponse) -> String {
    let (written, total) = (thousands(seeded.written), thousands(seeded.total));
    match seeded.phase() {
        SeedPhase::Written => format!("{written} documents written"),
        SeedPhase::Live => {
            let counts = seeded.orders_by_status.iter();
            let counts: Vec<String> = counts
                .map(|count| format!("{} {}", thousands(count.orders), count.status))
                .collect();
            format!("live: {}", counts.join(" · "))
        }
        SeedPhase::Writing | SeedPhase::Unspecified => {
            format!("{}: {written} of {total}", seeded.collection)
        }
    }
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::StatusCount;

    use super::*;

    fn seeded(phase: SeedPhase) -> SeedDataResponse {
        let counts = [("livrée", 8_000), ("annulée", 500)];
        SeedDataResponse {
            phase: phase.into(),
            collection: "Commande".to_owned(),
            written: 8_500,
            total: 10_000,
            orders_by_status: counts
                .map(|(status, orders)| StatusCount {
                    status: status.to_owned(),
                    orders,
                })
                .to_vec(),
        }
    }

    #[test]
    fn statuses_line_up_over_their_sum() {
        assert_eq!(
            table(&seeded(SeedPhase::Written)),
            "STATUS   ORDERS\nlivrée    8,000\nannulée     500\nall       8,500"
        );
    }

    #[test]
    fn every_phase_has_its_line() {
        assert_eq!(
            progress(&seeded(SeedPhase::Writing)),
            "Commande: 8,500 of 10,000"
        );
        assert_eq!(
            progress(&seeded(SeedPhase::Written)),
            "8,500 documents written"
        );
        assert_eq!(
            progress(&seeded(SeedPhase::Live)),
            "live: 8,000 livrée · 500 annulée"
        );
    }
}
