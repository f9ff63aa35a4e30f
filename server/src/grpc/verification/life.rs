//! The lives of verifications: showing one, listing them, following one and stopping it.

use std::mem::take;

use bson::DateTime;
use futures::Stream;
use order_archiver_api::v1::{self as pb, ErrorReason};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::{Instrument, info};

use super::VerificationService;
use crate::{
    convert,
    grpc::{
        jobs::{self, ListRequest, Told, tell},
        limits::SLOWEST,
        status,
    },
    store::verifications::record::Verification,
};

impl Told for Verification {
    type Message = pb::Verification;
    const LIST: &'static str = "ListVerifications";
    const ENDED: ErrorReason = ErrorReason::VerificationEnded;

    fn message(self, now: DateTime) -> pb::Verification {
        convert::verification(self, now)
    }

    fn in_brief(self, now: DateTime) -> pb::Verification {
        convert::verification(self, now)
    }
}

impl VerificationService {
    pub(super) async fn get(
        &self,
        pb::GetVerificationRequest { id }: pb::GetVerificationRequest,
    ) -> Result<pb::GetVerificationResponse, Status> {
        let verification = self.find("id", &id).await?;
        Ok(pb::GetVerificationResponse {
            verification: self.shown(verification).await?,
        })
    }

    pub(super) async fn list(
        &self,
        mut request: pb::ListVerificationsRequest,
    ) -> Result<pb::ListVerificationsResponse, Status> {
        let states = request.states.iter().map(|state| {
            let state = pb::VerificationState::try_from(*state).ok();
            state.and_then(convert::state_of_verification)
        });
        let page = jobs::list::<Verification, _>(
            &self.store,
            ListRequest {
                states: states.collect(),
                state_enum: "VerificationState",
                page_size: take(&mut request.page_size),
                page_token: take(&mut request.page_token),
                filters: request,
            },
        );
        let page = page.await?;
        Ok(pb::ListVerificationsResponse {
            verifications: page.jobs,
            next_page_token: page.next_page_token,
            unreadable: page.unreadable,
        })
    }

    pub(super) async fn cancel(
        &self,
        pb::CancelVerificationRequest { id }: pb::CancelVerificationRequest,
        peer: &str,
    ) -> Result<pb::CancelVerificationResponse, Status> {
        let verification: Verification = jobs::cancel(&self.store, &id).await?;
        let id = &verification.head.id;
        info!(id, peer, "a verification was told to end");
        Ok(pb::CancelVerificationResponse {
            verification: self.shown(verification).await?,
        })
    }

    /// The states of a verification from now on.
    pub(super) async fn states(
        &self,
        pb::WatchVerificationRequest { id }: pb::WatchVerificationRequest,
    ) -> Result<
        impl Stream<Item = Result<pb::WatchVerificationResponse, Status>> + Send + use<>,
        Status,
    > {
        let id = self.find("id", &id).await?.head.id;
        let states = self.followed.states(&id).await?;
        let (sender, receiver) = mpsc::channel(4);
        let answer = |verification| pb::WatchVerificationResponse {
            verification: Some(verification),
        };
        tokio::spawn(tell(states, answer, sender, SLOWEST).in_current_span());
        Ok(ReceiverStream::new(receiver))
    }

    /// The verification that the id in a field stands for.
    pub(super) async fn find(&self, field: &str, id: &str) -> Result<Verification, Status> {
        jobs::find(&self.store, field, id).await
    }

    /// A verification as the one message that shows all of it.
    pub(super) async fn shown(
        &self,
        verification: Verification,
    ) -> Result<Option<pb::Verification>, Status> {
        let now = jobs::now(&self.store).await?;
        let differences = self.store.differences_of(&verification.head.id);
        let examples = differences.examples().await;
        let examples = examples.map_err(|error| status::of_error(&error))?;
        Ok(Some(pb::Verification {
            examples: examples.into_iter().map(convert::difference).collect(),
            ..verification.message(now)
        }))
    }
}
