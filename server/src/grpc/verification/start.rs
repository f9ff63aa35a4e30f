//! Starting verifications.

use std::time::Duration;

use order_archiver_api::v1 as pb;
use tonic::Status;
use tracing::info;

use super::VerificationService;
use crate::{
    convert,
    grpc::{
        jobs::ids,
        status::{self, Violations},
    },
};

/// The longest time after which a difference is read again.
const LONGEST_SETTLE: Duration = Duration::from_secs(60 * 60);
/// The shortest length of time that the database keeps of a verification.
const MILLISECOND: Duration = Duration::from_millis(1);

impl VerificationService {
    pub(super) async fn start(
        &self,
        request: pb::StartVerificationRequest,
        peer: &str,
    ) -> Result<pb::StartVerificationResponse, Status> {
        let asked = request.options.unwrap_or_default();
        check(&asked, &request.request_id)?;
        let options = convert::verification_options(&asked);
        let request_id = (!request.request_id.is_empty()).then_some(request.request_id.as_str());
        let started = self
            .verifier
            .start(&options, request_id)
            .await
            .map_err(|error| status::of_error(&error))?;
        let same_request = started.job.head.is_of_request(request_id);
        if started.already && same_request && started.job.options != options {
            return Err(status::request_id_reused(&request.request_id));
        }
        let (id, already) = (&started.job.head.id, started.already);
        info!(id, peer, already, "a verification was asked for");
        Ok(pb::StartVerificationResponse {
            verification: self.shown(started.job).await?,
            already_running: already,
        })
    }
}

fn check(asked: &pb::VerificationOptions, request_id: &str) -> Result<(), Status> {
    let mut violations = Violations::default();
    let length = |asked: Option<&prost_types::Duration>, right: fn(Duration) -> bool| {
        asked.is_none_or(|asked| convert::length(asked).is_some_and(right))
    };
    violations
        .check(
            pb::VerificationDepth::try_from(asked.depth).is_ok(),
            "options.depth",
            "is no VerificationDepth",
        )
        .check(
            pb::VerificationScope::try_from(asked.scope).is_ok(),
            "options.scope",
            "is no VerificationScope",
        )
        .check(
            length(asked.settle.as_ref(), |settle| settle <= LONGEST_SETTLE),
            "options.settle",
            "must be from 0 to 1 h; absent means 1 min",
        )
        .check(
            asked.max_orders_per_second.is_none_or(|most| most >= 0),
            "options.max_orders_per_second",
            "must not be negative; 0 means no limit",
        )
        .check(
            length(asked.max_replication_lag.as_ref(), |lag| lag >= MILLISECOND),
            "options.max_replication_lag",
            "must be a length of time of at least a millisecond; leave it out to have it as it is",
        )
        .check_length("request_id", request_id, ids::LONGEST);
    violations.into_result()
}
