//! `VerificationService`: whether every delivered order is archived exactly once, what is known of
//! one order, and repair.

use std::pin::Pin;

use futures::Stream;
use order_archiver_api::v1 as pb;
use tonic::{Request, Response, Status};

use super::call::{Calls, peer};
use crate::{domain::schedule::Schedule, store::Store};

mod acknowledgements;
mod differences;
mod explain;
mod ledger;
mod repair;

pub(crate) struct VerificationService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    /// When this instance starts batches.
    pub(crate) schedule: Option<Schedule>,
}

#[tonic::async_trait]
impl pb::verification_service_server::VerificationService for VerificationService {
    async fn start_verification(
        &self,
        _: Request<pb::StartVerificationRequest>,
    ) -> Result<Response<pb::StartVerificationResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn get_verification(
        &self,
        _: Request<pb::GetVerificationRequest>,
    ) -> Result<Response<pb::GetVerificationResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn list_verifications(
        &self,
        _: Request<pb::ListVerificationsRequest>,
    ) -> Result<Response<pb::ListVerificationsResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn cancel_verification(
        &self,
        _: Request<pb::CancelVerificationRequest>,
    ) -> Result<Response<pb::CancelVerificationResponse>, Status> {
        Err(Status::unimplemented("being built"))
    }

    async fn list_differences(
        &self,
        request: Request<pb::ListDifferencesRequest>,
    ) -> Result<Response<pb::ListDifferencesResponse>, Status> {
        self.calls
            .answer(request, async |request| {
                let verification = request.verification_id.clone();
                self.differences_of(&verification, request).await
            })
            .await
    }

    async fn acknowledge_difference(
        &self,
        request: Request<pb::AcknowledgeDifferenceRequest>,
    ) -> Result<Response<pb::AcknowledgeDifferenceResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .answer(request, async |request| {
                self.acknowledge(request, &peer).await
            })
            .await
    }

    async fn list_acknowledgements(
        &self,
        request: Request<pb::ListAcknowledgementsRequest>,
    ) -> Result<Response<pb::ListAcknowledgementsResponse>, Status> {
        self.calls
            .answer(request, async |request| self.acknowledged(request).await)
            .await
    }

    async fn explain_order(
        &self,
        request: Request<pb::ExplainOrderRequest>,
    ) -> Result<Response<pb::ExplainOrderResponse>, Status> {
        self.explain(request).await
    }

    async fn list_ledger(
        &self,
        request: Request<pb::ListLedgerRequest>,
    ) -> Result<Response<pb::ListLedgerResponse>, Status> {
        self.calls
            .answer_in_room(request, async |request| self.ledger(request).await)
            .await
    }

    type WatchVerificationStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchVerificationResponse, Status>> + Send>>;

    async fn watch_verification(
        &self,
        _: Request<pb::WatchVerificationRequest>,
    ) -> Result<Response<Self::WatchVerificationStream>, Status> {
        Err(Status::unimplemented("being built"))
    }

    type RepairOrdersStream =
        Pin<Box<dyn Stream<Item = Result<pb::RepairOrdersResponse, Status>> + Send>>;

    async fn repair_orders(
        &self,
        _: Request<pb::RepairOrdersRequest>,
    ) -> Result<Response<Self::RepairOrdersStream>, Status> {
        Err(Status::unimplemented("being built"))
    }
}
