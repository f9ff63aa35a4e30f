//! `VerificationService`: whether every delivered order is archived exactly once, what is known of
//! one order, and repair.

use std::pin::Pin;

use futures::Stream;
use order_archiver_api::v1 as pb;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status};

use super::{
    call::{Calls, peer, small_messages},
    jobs::Followed,
};
use crate::{
    domain::schedule::Schedule,
    repair::Repairer,
    store::{Store, verifications::record::Verification},
    verifier::Verifier,
};

mod acknowledgements;
mod differences;
mod explain;
mod ledger;
mod life;
mod repair;
mod start;

pub(crate) struct VerificationService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    pub(crate) verifier: Verifier,
    pub(crate) repairer: Repairer,
    /// What is finished before the server leaves.
    pub(crate) tasks: TaskTracker,
    pub(crate) followed: Followed<Verification>,
    /// When this instance starts batches.
    pub(crate) schedule: Option<Schedule>,
}

#[tonic::async_trait]
impl pb::verification_service_server::VerificationService for VerificationService {
    async fn start_verification(
        &self,
        request: Request<pb::StartVerificationRequest>,
    ) -> Result<Response<pb::StartVerificationResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .audited(request, async |request| self.start(request, &peer).await)
            .await
    }

    async fn get_verification(
        &self,
        request: Request<pb::GetVerificationRequest>,
    ) -> Result<Response<pb::GetVerificationResponse>, Status> {
        self.calls
            .answer(request, async |request| self.get(request).await)
            .await
    }

    async fn list_verifications(
        &self,
        request: Request<pb::ListVerificationsRequest>,
    ) -> Result<Response<pb::ListVerificationsResponse>, Status> {
        self.calls
            .answer(request, async |request| self.list(request).await)
            .await
    }

    async fn cancel_verification(
        &self,
        request: Request<pb::CancelVerificationRequest>,
    ) -> Result<Response<pb::CancelVerificationResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .audited(request, async |request| self.cancel(request, &peer).await)
            .await
    }

    async fn list_differences(
        &self,
        request: Request<pb::ListDifferencesRequest>,
    ) -> Result<Response<pb::ListDifferencesResponse>, Status> {
        self.calls
            .answer(request, async |request| {
                let asked = &request.verification_id;
                let verification = self.find("verification_id", asked).await?;
                self.differences_of(&verification.head.id, request).await
            })
            .await
    }

    async fn acknowledge_difference(
        &self,
        request: Request<pb::AcknowledgeDifferenceRequest>,
    ) -> Result<Response<pb::AcknowledgeDifferenceResponse>, Status> {
        let peer = peer(&request);
        self.calls
            .audited(request, async |request| {
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
        request: Request<pb::WatchVerificationRequest>,
    ) -> Result<Response<Self::WatchVerificationStream>, Status> {
        let limit = self.calls.limit(request.metadata());
        let states = self.states(request.into_inner());
        let states = self.calls.within(limit, states).await?;
        Ok(small_messages(Box::pin(states)))
    }

    type RepairOrdersStream =
        Pin<Box<dyn Stream<Item = Result<pb::RepairOrdersResponse, Status>> + Send>>;

    async fn repair_orders(
        &self,
        request: Request<pb::RepairOrdersRequest>,
    ) -> Result<Response<Self::RepairOrdersStream>, Status> {
        let peer = peer(&request);
        let answers = self.calls.audited_stream(request, async |request| {
            let answers = self.repair(request, peer).await?;
            Ok(ReceiverStream::new(answers))
        });
        Ok(answers
            .await?
            .map(|answers| Box::pin(answers) as Self::RepairOrdersStream))
    }
}
