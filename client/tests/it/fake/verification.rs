//! Answers about the one verification that there is, what it found, and the ledger.

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use order_archiver_api::v1::{
    AcknowledgeDifferenceRequest, AcknowledgeDifferenceResponse, Acknowledgement,
    CancelVerificationRequest, CancelVerificationResponse, Difference, DifferenceClass,
    ExplainOrderRequest, ExplainOrderResponse, GetVerificationRequest, GetVerificationResponse,
    LedgerEntry, ListAcknowledgementsRequest, ListAcknowledgementsResponse, ListDifferencesRequest,
    ListDifferencesResponse, ListLedgerRequest, ListLedgerResponse, ListVerificationsRequest,
    ListVerificationsResponse, RepairOrdersRequest, RepairOrdersResponse, RepairOutcome,
    StartVerificationRequest, StartVerificationResponse, Verdict, Verification, VerificationCounts,
    VerificationDepth, VerificationOptions, VerificationScope, VerificationState,
    WatchVerificationRequest, WatchVerificationResponse,
    verification_service_server::VerificationService,
};
use prost_types::Duration;
use sha2::{Digest, Sha256};
use tokio_stream::wrappers::WatchStream;
use tonic::{Code, Request, Response, Status, async_trait};

use super::{Answers, explanation, news::NOW, refusal};

/// The one verification, while it runs.
pub(crate) fn running() -> Verification {
    let options = VerificationOptions {
        depth: VerificationDepth::Content.into(),
        ..VerificationOptions::default()
    };
    Verification {
        id: "v-1".to_owned(),
        state: VerificationState::Running.into(),
        options: Some(options),
        scope: VerificationScope::Full.into(),
        counts: Some(VerificationCounts {
            delivered: 1_234,
            verified: 1_234,
            archived: 1_240,
            ..VerificationCounts::default()
        }),
        estimated_total: 2_000,
        create_time: Some(NOW),
        ..Verification::default()
    }
}

/// The same with this verdict.
pub(crate) fn ended(verdict: Verdict) -> Verification {
    let text = match verdict {
        Verdict::Verified => "VERIFIED 1,234 of 1,234 delivered orders, as of 2025-10-16T14:23:45Z",
        _ => "NOT VERIFIED: 3 missing, 2 altered, as of 2025-10-16T14:23:45Z",
    };
    let mut counts = running().counts.unwrap();
    if verdict == Verdict::NotVerified {
        (counts.missing, counts.altered, counts.verified) = (3, 2, 1_229);
    }
    Verification {
        state: VerificationState::Succeeded.into(),
        verdict: verdict.into(),
        verdict_text: text.to_owned(),
        counts: Some(counts),
        as_of: Some(NOW),
        end_time: Some(NOW),
        duration: Some(Duration {
            seconds: 12,
            nanos: 0,
        }),
        ledger_hash: "ab".repeat(32),
        ..running()
    }
}

/// A difference of the order with this number.
pub(crate) fn difference(class: DifferenceClass, number: &str) -> Difference {
    Difference {
        class: class.into(),
        numero_commande: number.to_owned(),
        first_seen: Some(NOW),
        ..Difference::default()
    }
}

/// A ledger without a fault.
pub(crate) fn ledger(entries: i64) -> Vec<LedgerEntry> {
    let mut previous = String::new();
    (1..=entries)
        .map(|sequence| {
            let verdict = match sequence % 3 {
                0 => "NOT_VERIFIED",
                _ => "VERIFIED",
            };
            let record = format!(
                "{{\"ledger\":1,\"sequence\":{sequence},\"previous\":\"{previous}\",\"verification\":\"v-{sequence}\",\
                 \"scope\":\"FULL\",\"depth\":\"CONTENT\",\"ended\":\"2025-10-16T14:23:45Z\",\"verdict\":\"{verdict}\",\
                 \"counts\":{{\"delivered\":1234,\"verified\":1234}}}}"
            );
            let hash = format!("{:x}", Sha256::digest(&record));
            previous.clone_from(&hash);
            LedgerEntry {
                sequence,
                record,
                hash,
            }
        })
        .collect()
}

/// A page may hold fewer than asked for.
const PAGE: usize = 50;

/// A page of what there is, and the token of the next one.
fn page<T: Clone>(all: &[T], size: i32, token: &str) -> (Vec<T>, String) {
    let from: usize = token.parse().unwrap_or(0);
    let to = (from + usize::try_from(size).unwrap().min(PAGE)).min(all.len());
    let next = match to < all.len() {
        true => to.to_string(),
        false => String::new(),
    };
    (all[from..to].to_vec(), next)
}

impl Answers {
    fn verification(&self, id: &str) -> Result<Verification, Status> {
        let latest = self.0.verification.borrow().clone();
        if id == "latest" {
            return Ok(latest);
        }
        let listed = self.0.verifications.lock().unwrap().clone();
        let mut all = std::iter::once(latest).chain(listed);
        all.find(|one| one.id.starts_with(id))
            .ok_or_else(|| Status::not_found(format!("there is no verification {id}")))
    }

    /// Only a later page breaks off: a first call that fails is more likely a wrong address.
    fn refuse_later_page(&self, token: &str) -> Result<(), Status> {
        if !token.is_empty()
            && let Some(refusal) = self.0.refusal.lock().unwrap().take()
        {
            return Err(refusal);
        }
        Ok(())
    }

    /// The differences of these classes, or all.
    fn found(&self, classes: &[i32]) -> Vec<Difference> {
        let found = self.0.differences.lock().unwrap().clone();
        let found = found.into_iter();
        found
            .filter(|one| classes.is_empty() || classes.contains(&one.class))
            .collect()
    }
}

fn repaired(difference: &Difference) -> Result<RepairOrdersResponse, Status> {
    let number = difference.numero_commande.clone();
    let (outcome, detail, replaced_id) = match (number.as_str(), difference.class()) {
        ("BREAK", _) => return Err(Status::unavailable("the server is stopping")),
        ("HELD", _) => (RepairOutcome::Refused, "the live order is gone", ""),
        ("MENDED", _) => (RepairOutcome::Gone, "", ""),
        (_, DifferenceClass::Missing) => (RepairOutcome::Archived, "", ""),
        (_, DifferenceClass::Doubled) => (RepairOutcome::Removed, "", "r-2"),
        _ => (RepairOutcome::Replaced, "", "r-1"),
    };
    Ok(RepairOrdersResponse {
        numero_commande: number,
        class: difference.class,
        outcome: outcome.into(),
        detail: detail.to_owned(),
        replaced_id: replaced_id.to_owned(),
    })
}

#[async_trait]
impl VerificationService for Answers {
    type WatchVerificationStream = BoxStream<'static, Result<WatchVerificationResponse, Status>>;
    type RepairOrdersStream = BoxStream<'static, Result<RepairOrdersResponse, Status>>;

    async fn start_verification(
        &self,
        request: Request<StartVerificationRequest>,
    ) -> Result<Response<StartVerificationResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        Ok(Response::new(StartVerificationResponse {
            verification: Some(self.0.verification.borrow().clone()),
            already_running: request.request_id == "again",
        }))
    }

    async fn get_verification(
        &self,
        request: Request<GetVerificationRequest>,
    ) -> Result<Response<GetVerificationResponse>, Status> {
        let verification = Some(self.verification(&request.into_inner().id)?);
        Ok(Response::new(GetVerificationResponse { verification }))
    }

    async fn list_verifications(
        &self,
        request: Request<ListVerificationsRequest>,
    ) -> Result<Response<ListVerificationsResponse>, Status> {
        self.0.note(&request.into_inner());
        let mut verifications = self.0.verifications.lock().unwrap().clone();
        verifications.push(self.0.verification.borrow().clone());
        Ok(Response::new(ListVerificationsResponse {
            verifications,
            unreadable: self.0.unreadable.lock().unwrap().clone(),
            ..ListVerificationsResponse::default()
        }))
    }

    async fn cancel_verification(
        &self,
        request: Request<CancelVerificationRequest>,
    ) -> Result<Response<CancelVerificationResponse>, Status> {
        let mut verification = self.verification(&request.into_inner().id)?;
        if verification.verdict() != Verdict::Unspecified {
            let message = format!("verification {} has ended", verification.id);
            let code = Code::FailedPrecondition;
            return Err(refusal(code, "VERIFICATION_ENDED", &message, &[]));
        }
        verification.set_state(VerificationState::Cancelling);
        Ok(Response::new(CancelVerificationResponse {
            verification: Some(verification),
        }))
    }

    async fn watch_verification(
        &self,
        request: Request<WatchVerificationRequest>,
    ) -> Result<Response<Self::WatchVerificationStream>, Status> {
        self.verification(&request.into_inner().id)?;
        if let Some(status) = self.0.refusal.lock().unwrap().take() {
            return Err(status);
        }
        let states = WatchStream::new(self.0.verification.subscribe());
        // The stream ends with the state that ends the verification.
        let states = stream::unfold(Some(states), async |states| {
            let mut states = states?;
            let verification = states.next().await?;
            let goes_on = matches!(
                verification.state(),
                VerificationState::Pending
                    | VerificationState::Running
                    | VerificationState::Cancelling
            );
            let message = WatchVerificationResponse {
                verification: Some(verification),
            };
            Some((Ok(message), goes_on.then_some(states)))
        });
        Ok(Response::new(states.boxed()))
    }

    async fn list_differences(
        &self,
        request: Request<ListDifferencesRequest>,
    ) -> Result<Response<ListDifferencesResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        self.verification(&request.verification_id)?;
        self.refuse_later_page(&request.page_token)?;
        let found = self.found(&request.classes);
        let (differences, next_page_token) = page(&found, request.page_size, &request.page_token);
        Ok(Response::new(ListDifferencesResponse {
            differences,
            next_page_token,
        }))
    }

    async fn acknowledge_difference(
        &self,
        request: Request<AcknowledgeDifferenceRequest>,
    ) -> Result<Response<AcknowledgeDifferenceResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let found = self.found(&[]).into_iter();
        let noted: Vec<_> = found
            .filter(|one| one.numero_commande == request.numero_commande)
            .map(|one| Acknowledgement {
                numero_commande: one.numero_commande,
                class: one.class,
                reason: request.reason.clone(),
                by: request.by.clone(),
                time: Some(NOW),
            })
            .collect();
        match noted.as_slice() {
            [] => Err(Status::not_found("no difference that fails the verdict")),
            _ => {
                let all = &self.0.acknowledgements;
                all.lock().unwrap().extend(noted.clone());
                Ok(Response::new(AcknowledgeDifferenceResponse {
                    acknowledgements: noted,
                }))
            }
        }
    }

    async fn list_acknowledgements(
        &self,
        request: Request<ListAcknowledgementsRequest>,
    ) -> Result<Response<ListAcknowledgementsResponse>, Status> {
        let request = request.into_inner();
        let all = self.0.acknowledgements.lock().unwrap().clone();
        let (acknowledgements, next_page_token) =
            page(&all, request.page_size, &request.page_token);
        Ok(Response::new(ListAcknowledgementsResponse {
            acknowledgements,
            next_page_token,
            unreadable: Vec::new(),
        }))
    }

    async fn repair_orders(
        &self,
        request: Request<RepairOrdersRequest>,
    ) -> Result<Response<Self::RepairOrdersStream>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        self.verification(&request.verification_id)?;
        let found: Vec<Difference> = self
            .found(&request.classes)
            .into_iter()
            .filter(|one| {
                let numbers = &request.numeros_commande;
                numbers.is_empty() || numbers.contains(&one.numero_commande)
            })
            .collect();
        let replaces = |one: &Difference| one.class() != DifferenceClass::Missing;
        if !request.confirmed && found.iter().any(replaces) {
            let message = "archived documents would be replaced";
            let code = Code::FailedPrecondition;
            return Err(refusal(code, "NOT_CONFIRMED", message, &[]));
        }
        let outcomes: Vec<_> = found.iter().map(repaired).collect();
        Ok(Response::new(stream::iter(outcomes).boxed()))
    }

    async fn explain_order(
        &self,
        request: Request<ExplainOrderRequest>,
    ) -> Result<Response<ExplainOrderResponse>, Status> {
        let deadline = request.metadata().get("grpc-timeout").cloned();
        let request = request.into_inner();
        self.0.note(&(&request, deadline));
        let mut answer = explanation::of(&request.numero_commande)?;
        answer.history = request.with_history.then(explanation::history);
        Ok(Response::new(answer))
    }

    async fn list_ledger(
        &self,
        request: Request<ListLedgerRequest>,
    ) -> Result<Response<ListLedgerResponse>, Status> {
        let request = request.into_inner();
        self.refuse_later_page(&request.page_token)?;
        let all = self.0.ledger.lock().unwrap().clone();
        let (entries, next_page_token) = page(&all, request.page_size, &request.page_token);
        Ok(Response::new(ListLedgerResponse {
            entries,
            next_page_token,
            unreadable: Vec::new(),
        }))
    }
}
