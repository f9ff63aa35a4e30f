//! Archiving one order for a caller, whether it is asked for alone or in a stream.

use order_archiver_api::v1 as pb;
use tonic::Status;

use super::{
    call::Calls,
    status::{self, Violations},
};
use crate::{
    coalescer::{Answer, Coalescer},
    pipeline::Outcome,
};

/// Longest number that is looked for, in bytes.
pub(super) const LONGEST_NUMERO: usize = 256;

/// Archives one order.
pub(super) async fn archive(
    calls: &Calls,
    coalescer: &Coalescer,
    numero: String,
    request_id: &str,
) -> Result<pb::ArchiveResult, Status> {
    check_numero(&numero)?;
    calls.check_archive()?;
    let (outcome, missing) = match coalescer
        .archive(numero.clone(), request_id)
        .await
        .map_err(|error| status::of_error(&error))?
    {
        Answer::Unknown => {
            return Err(status::not_found(
                "order",
                &numero,
                format!("neither the orders nor the archive know {numero}"),
            ));
        }
        Answer::Met(Outcome::Archived(missing)) => (pb::ArchiveOutcome::Archived, missing),
        Answer::Met(Outcome::Duplicate(missing)) => (pb::ArchiveOutcome::Duplicate, missing),
        Answer::Met(outcome) => {
            return Err(status::of_outcome(&numero, &outcome).unwrap_or_else(status::stopping));
        }
    };
    Ok(pb::ArchiveResult {
        numero_commande: numero,
        outcome: outcome.into(),
        incomplete: !missing.is_empty(),
        missing_fields: missing,
    })
}

/// Refuses what is no number of an order.
pub(super) fn check_numero(numero: &str) -> Result<(), Status> {
    let mut violations = Violations::default();
    violations
        .check(
            !numero.is_empty(),
            "numero_commande",
            "must not be empty; give a number like CMD-2025-000001",
        )
        .check_length("numero_commande", numero, LONGEST_NUMERO);
    violations.into_result()
}
