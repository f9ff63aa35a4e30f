//! AcknowledgeDifference and ListAcknowledgements: what somebody says of differences.

use std::mem::take;

use order_archiver_api::v1 as pb;
use prost::Message;
use tonic::Status;
use tracing::info;

use super::VerificationService;
use crate::{
    bytes::raw::Value,
    convert::{self, MOST_JSON, explanation},
    grpc::{
        archive_order::LONGEST_NUMERO,
        page::{self, page_size},
        status::{self, Violations},
    },
};

const DEFAULT_PAGE: i32 = 100;
const LARGEST_PAGE: i32 = 1_000;
/// The longest reason, and the longest name of who gives it, in bytes.
const LONGEST_REASON: usize = 1_024;
const LONGEST_NAME: usize = 256;

impl VerificationService {
    /// `peer` is the address of the caller.
    pub(super) async fn acknowledge(
        &self,
        request: pb::AcknowledgeDifferenceRequest,
        peer: &str,
    ) -> Result<pb::AcknowledgeDifferenceResponse, Status> {
        let pb::AcknowledgeDifferenceRequest {
            numero_commande: numero,
            reason,
            by,
        } = request;
        let mut violations = Violations::default();
        violations
            .check(
                !numero.is_empty(),
                "numero_commande",
                "must not be empty; ListDifferences shows the numbers",
            )
            .check_length("numero_commande", &numero, LONGEST_NUMERO)
            .check(
                !reason.trim().is_empty(),
                "reason",
                "must not be empty; say why the difference may stay",
            )
            .check_length("reason", &reason, LONGEST_REASON)
            .check_length("by", &by, LONGEST_NAME);
        violations.into_result()?;
        let failed = |error| status::of_error(&error);
        let differences = self.store.acknowledgeable(&numero).await.map_err(failed)?;
        if differences.is_empty() {
            let message = format!(
                "the latest verification found no difference under {numero} that fails the verdict; ListDifferences shows those that it found"
            );
            return Err(status::not_found("difference", &numero, message));
        }
        let by = match by.as_str() {
            "" => peer,
            by => by,
        };
        let noted = self
            .store
            .acknowledge(&differences, &reason, by)
            .await
            .map_err(failed)?;
        info!(
            numero,
            peer,
            by,
            differences = noted.len(),
            "differences were acknowledged"
        );
        Ok(pb::AcknowledgeDifferenceResponse {
            acknowledgements: noted
                .into_iter()
                .map(explanation::acknowledgement)
                .collect(),
        })
    }

    pub(super) async fn acknowledged(
        &self,
        mut request: pb::ListAcknowledgementsRequest,
    ) -> Result<pb::ListAcknowledgementsResponse, Status> {
        let token = take(&mut request.page_token);
        let size = take(&mut request.page_size);
        let below = match token.as_str() {
            "" => Some(Default::default()),
            token => page::place_at(&request, token),
        };
        let mut violations = Violations::default();
        violations
            .check(size >= 0, "page_size", "must not be negative; 0 means 100")
            .check_page_token(below.is_some());
        violations.into_result()?;
        let mut below = below.unwrap_or_default();
        let limit = page_size(size, DEFAULT_PAGE, LARGEST_PAGE);
        let found = self.store.acknowledgements(&below, limit + 1).await;
        let found = found.map_err(|error| status::of_error(&error))?;
        let Some(found) = found else {
            let mut violations = Violations::default();
            violations.check_page_token(false);
            return Err(violations
                .into_result()
                .err()
                .unwrap_or_else(status::internal));
        };
        let all = found.len();
        let mut page = pb::ListAcknowledgementsResponse::default();
        let (mut bytes, mut passed) = (0, 0);
        for found in found.into_iter().take(limit) {
            let id = match &found {
                Ok(noted) => Value::string(&noted.id),
                Err(fault) => fault.id.clone(),
            };
            let noted = found.map(explanation::acknowledgement);
            let noted = noted.map_err(|fault| convert::unreadable(&fault));
            bytes += match &noted {
                Ok(noted) => noted.encoded_len(),
                Err(fault) => fault.encoded_len(),
            };
            if bytes > MOST_JSON && passed > 0 {
                break;
            }
            match noted {
                Ok(noted) => page.acknowledgements.push(noted),
                Err(fault) => page.unreadable.push(fault),
            }
            below.pass(&id);
            passed += 1;
        }
        if passed < all {
            page.next_page_token = page::token_at(&request, &below);
        }
        Ok(page)
    }
}
