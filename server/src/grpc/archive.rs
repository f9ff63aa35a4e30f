//! `ArchiveService`: one order, a stream of orders, and reading the archive.

use futures::{Stream, StreamExt};
use order_archiver_api::v1 as pb;
use tonic::{Request, Response, Status, Streaming};

use super::{
    call::Calls,
    convert::{self, MOST_JSON},
    page,
    status::{self, Violations},
};
use crate::{
    corridor::Outcome,
    desk::{Answer, Desk},
    store::{
        Store,
        archive::{self, Filter},
    },
};

/// Longest number that is looked for, in bytes.
const LONGEST_NUMERO: usize = 256;
/// Orders of one stream that are under way at once.
const STREAM_WINDOW: usize = 256;
const DEFAULT_PAGE: i32 = 50;
const LARGEST_PAGE: i32 = 1_000;

pub(crate) struct ArchiveService {
    pub(crate) calls: Calls,
    pub(crate) desk: Desk,
    pub(crate) store: Store,
}

#[tonic::async_trait]
impl pb::archive_service_server::ArchiveService for ArchiveService {
    async fn archive_order(
        &self,
        request: Request<pb::ArchiveOrderRequest>,
    ) -> Result<Response<pb::ArchiveOrderResponse>, Status> {
        self.calls
            .answer(request, async |request| {
                let result = archive(&self.desk, request.numero_commande).await?;
                Ok(pb::ArchiveOrderResponse {
                    result: Some(result),
                })
            })
            .await
    }

    type ArchiveOrdersStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<pb::ArchiveOrdersResponse, Status>> + Send>>;

    async fn archive_orders(
        &self,
        request: Request<Streaming<pb::ArchiveOrdersRequest>>,
    ) -> Result<Response<Self::ArchiveOrdersStream>, Status> {
        self.calls.check()?;
        let (calls, desk) = (self.calls.clone(), self.desk.clone());
        let stop = self.calls.stop.clone();
        let answers = request
            .into_inner()
            .map(move |request| {
                let (calls, desk) = (calls.clone(), desk.clone());
                async move { Ok(answer(&calls, &desk, request?.numero_commande).await) }
            })
            .buffered(STREAM_WINDOW)
            .take_until(stop.clone().cancelled_owned());
        // A clean end would look as if every order had been answered.
        let farewell =
            futures::stream::once(
                async move { stop.is_cancelled().then(|| Err(status::stopping())) },
            )
            .filter_map(std::future::ready);
        Ok(Response::new(Box::pin(answers.chain(farewell))))
    }

    async fn get_archived_order(
        &self,
        request: Request<pb::GetArchivedOrderRequest>,
    ) -> Result<Response<pb::GetArchivedOrderResponse>, Status> {
        self.calls
            .answer(
                request,
                async |pb::GetArchivedOrderRequest { numero_commande }| {
                    check_numero(&numero_commande)?;
                    let document = self
                        .store
                        .archived_order(&numero_commande)
                        .await
                        .map_err(|error| status::of_error(&error))?;
                    let document = document.ok_or_else(|| {
                        status::not_found(
                            "archived order",
                            &numero_commande,
                            format!("order {numero_commande} is not in the archive"),
                        )
                    })?;
                    Ok(pb::GetArchivedOrderResponse {
                        order: Some(convert::archived_order(&document, true)),
                    })
                },
            )
            .await
    }

    async fn list_archived_orders(
        &self,
        request: Request<pb::ListArchivedOrdersRequest>,
    ) -> Result<Response<pb::ListArchivedOrdersResponse>, Status> {
        self.calls
            .answer(request, async |request| self.list(request).await)
            .await
    }
}

impl ArchiveService {
    async fn list(
        &self,
        mut request: pb::ListArchivedOrdersRequest,
    ) -> Result<pb::ListArchivedOrdersResponse, Status> {
        let token = std::mem::take(&mut request.page_token);
        let below = (!token.is_empty()).then(|| page::position(&request, &token));
        let from = request.archived_from.as_ref().map(convert::date);
        let to = request.archived_to.as_ref().map(convert::date);
        let mut violations = Violations::default();
        violations
            .check(request.page_size >= 0, "page_size", "must not be negative; 0 means 50")
            .check(from != Some(None), "archived_from", "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999")
            .check(to != Some(None), "archived_to", "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999")
            .check(from.flatten().is_none_or(|from| to.flatten().is_none_or(|to| from < to)), "archived_to", "must be after archived_from")
            .check(request.numero_prefix.len() <= LONGEST_NUMERO, "numero_prefix", "must be at most 256 bytes")
            .check_for(pb::ErrorReason::InvalidPageToken, below != Some(None), "page_token", "is not the next_page_token of a list with these filters; begin without it");
        violations.into_result()?;
        let limit = page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
        let filter = Filter {
            archived_from: from.flatten(),
            archived_to: to.flatten(),
            incomplete: request.incomplete,
            numero_prefix: request.numero_prefix.clone(),
            below: below.flatten(),
        };
        let (documents, more) = self
            .store
            .archived_orders(&filter, limit, MOST_JSON)
            .await
            .map_err(|error| status::of_error(&error))?;
        let (mut orders, mut size) = (Vec::with_capacity(documents.len()), 0);
        for document in &documents {
            let order = convert::archived_order(document, request.with_documents);
            size += prost::Message::encoded_len(&order);
            if size > MOST_JSON && !orders.is_empty() {
                break;
            }
            orders.push(order);
        }
        let last = documents[..orders.len()]
            .last()
            .filter(|_| more || orders.len() < documents.len());
        let next_page_token = last
            .map(|last| page::token(&request, archive::numero(last)))
            .unwrap_or_default();
        Ok(pb::ListArchivedOrdersResponse {
            orders,
            next_page_token,
        })
    }
}

/// The size of a page: what was asked, within bounds.
pub(super) fn page_size(asked: i32, default: i32, largest: i32) -> usize {
    usize::try_from(if asked == 0 {
        default
    } else {
        asked.min(largest)
    })
    .unwrap_or(1)
}

async fn archive(desk: &Desk, numero: String) -> Result<pb::ArchiveResult, Status> {
    check_numero(&numero)?;
    let (outcome, missing) = match desk
        .archive(numero.clone())
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

async fn answer(calls: &Calls, desk: &Desk, numero: String) -> pb::ArchiveOrdersResponse {
    use pb::archive_orders_response::Answer;
    let answer = match calls
        .within(calls.request_timeout, archive(desk, numero.clone()))
        .await
    {
        Ok(result) => Answer::Result(result),
        Err(status) => Answer::Failure(pb::ArchiveFailure {
            numero_commande: numero,
            code: status.code().into(),
            reason: status::reason_of(&status),
            message: status.message().to_owned(),
        }),
    };
    pb::ArchiveOrdersResponse {
        answer: Some(answer),
    }
}

fn check_numero(numero: &str) -> Result<(), Status> {
    let mut violations = Violations::default();
    violations
        .check(
            !numero.is_empty(),
            "numero_commande",
            "must not be empty; give a number like CMD-2025-000001",
        )
        .check(
            numero.len() <= LONGEST_NUMERO,
            "numero_commande",
            format!(
                "must be at most {LONGEST_NUMERO} bytes, not {}",
                numero.len()
            ),
        );
    violations.into_result()
}
