//! Answers about quarantined orders: there are `q-1` and `q-2`, and a retry helps only the first.

use order_archiver_api::v1::{
    DropQuarantinedRequest, DropQuarantinedResponse, ListQuarantinedRequest,
    ListQuarantinedResponse, QuarantineEntry, QuarantineReason, RetryOutcome,
    RetryQuarantinedRequest, RetryQuarantinedResponse, RetryResult,
    quarantine_service_server::QuarantineService,
};
use tonic::{Request, Response, Status, async_trait};

use super::Answers;

#[async_trait]
impl QuarantineService for Answers {
    async fn list_quarantined(
        &self,
        request: Request<ListQuarantinedRequest>,
    ) -> Result<Response<ListQuarantinedResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let bare = ["q-1", "q-2"].map(|id| QuarantineEntry {
            id: id.to_owned(),
            reason: QuarantineReason::NoUsableNumber.into(),
            detail: "numero_commande is null".to_owned(),
            ..QuarantineEntry::default()
        });
        let entries = self.0.quarantined.lock().unwrap().clone();
        let entries = entries
            .into_iter()
            .chain(bare)
            .filter(|entry| entry.id.starts_with(&request.id));
        Ok(Response::new(ListQuarantinedResponse {
            entries: entries.collect(),
            unreadable: self.0.unreadable.lock().unwrap().clone(),
            ..ListQuarantinedResponse::default()
        }))
    }

    async fn retry_quarantined(
        &self,
        request: Request<RetryQuarantinedRequest>,
    ) -> Result<Response<RetryQuarantinedResponse>, Status> {
        let results = request.into_inner().ids.into_iter().map(|id| {
            let outcome = if id == "q-1" {
                RetryOutcome::Archived
            } else {
                RetryOutcome::StillQuarantined
            };
            RetryResult {
                id,
                outcome: outcome.into(),
                detail: String::new(),
            }
        });
        Ok(Response::new(RetryQuarantinedResponse {
            results: results.collect(),
        }))
    }

    async fn drop_quarantined(
        &self,
        request: Request<DropQuarantinedRequest>,
    ) -> Result<Response<DropQuarantinedResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let dropped = i32::try_from(request.ids.len()).unwrap();
        Ok(Response::new(DropQuarantinedResponse { dropped }))
    }
}
