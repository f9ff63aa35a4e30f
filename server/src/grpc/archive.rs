//! `ArchiveService`: one order, a stream of orders, and reading the archive.

use std::mem::take;

use futures::Stream;
use order_archiver_api::v1 as pb;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    call::{Calls, small_messages},
    convert::{self, MOST_JSON},
    limits::Room,
    order_stream, page,
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
/// The largest document that is read without a look at its size before, in bytes.
const SMALL_DOCUMENT: usize = 16 * 1024;
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
        let connection = request.extensions().get().cloned();
        let (calls, desk) = (self.calls.clone(), self.desk.clone());
        let answers = order_stream::answers(calls, desk, request.into_inner(), connection);
        Ok(small_messages(Box::pin(answers)))
    }

    async fn get_archived_order(
        &self,
        request: Request<pb::GetArchivedOrderRequest>,
    ) -> Result<Response<pb::GetArchivedOrderResponse>, Status> {
        self.calls
            .answer_in_room(
                request,
                async |pb::GetArchivedOrderRequest { numero_commande }| {
                    let (order, room) = self.get(&numero_commande).await?;
                    Ok((pb::GetArchivedOrderResponse { order: Some(order) }, room))
                },
            )
            .await
    }

    async fn list_archived_orders(
        &self,
        request: Request<pb::ListArchivedOrdersRequest>,
    ) -> Result<Response<pb::ListArchivedOrdersResponse>, Status> {
        self.calls
            .answer_in_room(request, async |request| self.list(request).await)
            .await
    }
}

impl ArchiveService {
    /// One order with its document, and the room that it takes.
    async fn get(&self, numero: &str) -> Result<(pb::ArchivedOrder, Room), Status> {
        check_numero(numero)?;
        let failed = |error| status::of_error(&error);
        let mut room = self.calls.room(room_for(SMALL_DOCUMENT)).await?;
        let store = self.store.keeping(room.clone());
        let small = store.archived_order(numero, SMALL_DOCUMENT).await;
        drop(store);
        if let Some(document) = small.map_err(failed)? {
            let order = convert::archived_order(&document, true);
            room.shrink(order.encoded_len());
            return Ok((order, room));
        }
        // Not there, or too large to be read before there is room for it.
        drop(room);
        let unknown = || {
            status::not_found(
                "archived order",
                numero,
                format!("order {numero} is not in the archive"),
            )
        };
        let size = self.store.archived_order_size(numero).await;
        let size = size.map_err(failed)?.ok_or_else(unknown)?;
        let mut room = self.calls.room(room_for(size)).await?;
        let store = self.store.keeping(room.clone());
        let document = store.archived_order(numero, usize::MAX).await;
        drop(store);
        let order = convert::archived_order(&document.map_err(failed)?.ok_or_else(unknown)?, true);
        room.shrink(order.encoded_len());
        Ok((order, room))
    }

    async fn list(
        &self,
        mut request: pb::ListArchivedOrdersRequest,
    ) -> Result<(pb::ListArchivedOrdersResponse, Room), Status> {
        let token = take(&mut request.page_token);
        let (size_asked, with_documents) = (
            take(&mut request.page_size),
            take(&mut request.with_documents),
        );
        let below = (!token.is_empty()).then(|| page::place(&request, &token));
        let from = request.archived_from.as_ref().map(convert::date);
        let to = request.archived_to.as_ref().map(convert::date);
        let mut violations = Violations::default();
        violations
            .check(size_asked >= 0, "page_size", "must not be negative; 0 means 50")
            .check(from != Some(None), "archived_from", "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999")
            .check(to != Some(None), "archived_to", "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999")
            .check(from.flatten().is_none_or(|from| to.flatten().is_none_or(|to| from < to)), "archived_to", "must be after archived_from")
            .check(request.numero_prefix.len() <= LONGEST_NUMERO, "numero_prefix", "must be at most 256 bytes")
            .check_for(pb::ErrorReason::InvalidPageToken, below != Some(None), "page_token", "is not the next_page_token of a list with these filters; begin without it");
        violations.into_result()?;
        let limit = page_size(size_asked, DEFAULT_PAGE, LARGEST_PAGE);
        let filter = Filter {
            archived_from: from.flatten(),
            archived_to: to.flatten(),
            incomplete: request.incomplete,
            numero_prefix: request.numero_prefix.clone(),
            below: below.flatten(),
        };
        // Sizes first, so that no more is read than the page will carry.
        let sizes = self.store.archived_sizes(&filter, limit + 1).await;
        let sizes = sizes.map_err(|error| status::of_error(&error))?;
        let (count, bytes) = page::fitting(&sizes[..sizes.len().min(limit)], MOST_JSON);
        let mut room = self.calls.room(room_for(bytes)).await?;
        let store = self.store.keeping(room.clone());
        let documents = store.archived_orders(&filter, count).await;
        drop(store);
        let documents = documents.map_err(|error| status::of_error(&error))?;
        let (mut orders, mut size) = (Vec::with_capacity(documents.len()), 0);
        for document in &documents {
            let order = convert::archived_order(document, with_documents);
            let bytes = order.encoded_len();
            if size + bytes > MOST_JSON && !orders.is_empty() {
                break;
            }
            size += bytes;
            orders.push(order);
        }
        room.shrink(size);
        let shown = &documents[..orders.len()];
        let more = orders.len() < documents.len() || sizes.len() > count;
        let next_page_token = if more {
            let numeros: Vec<&str> = shown.iter().map(archive::numero).collect();
            page::token_after(&request, &numeros, filter.below.as_ref())
        } else {
            String::new()
        };
        let page = pb::ListArchivedOrdersResponse {
            orders,
            next_page_token,
        };
        Ok((page, room))
    }
}

/// Room for making an answer from so many bytes of documents: them, their text, and the message.
pub(super) fn room_for(bytes: usize) -> usize {
    bytes.saturating_mul(3)
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

/// Archives one order.
pub(super) async fn archive(desk: &Desk, numero: String) -> Result<pb::ArchiveResult, Status> {
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
