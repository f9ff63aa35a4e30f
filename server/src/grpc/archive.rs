//! `ArchiveService`: one order, a stream of orders, and reading the archive.

use futures::Stream;
use order_archiver_api::v1 as pb;
use prost::Message;
use tonic::{Request, Response, Status, Streaming};

use super::{
    archive_order::{archive, check_numero},
    archived_order::archived_order,
    call::{Calls, small_messages},
    limits::Room,
    order_stream,
    request_id::RequestId,
    status,
};
use crate::{
    coalescer::Coalescer,
    store::{Store, encoding::ext_json::Form},
};

/// The largest document that is read without a look at its size before, in bytes.
pub(super) const SMALL_DOCUMENT: usize = 16 * 1024;

pub(crate) struct ArchiveService {
    pub(crate) calls: Calls,
    pub(crate) coalescer: Coalescer,
    pub(crate) store: Store,
}

#[tonic::async_trait]
impl pb::archive_service_server::ArchiveService for ArchiveService {
    async fn archive_order(
        &self,
        request: Request<pb::ArchiveOrderRequest>,
    ) -> Result<Response<pb::ArchiveOrderResponse>, Status> {
        let request_id = RequestId::of_call(&request);
        self.calls
            .answer(request, async |request| {
                let numero = request.numero_commande;
                let result = archive(&self.calls, &self.coalescer, numero, &request_id).await?;
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
        let (calls, coalescer) = (self.calls.clone(), self.coalescer.clone());
        let request_id = RequestId::of_call(&request);
        let requests = request.into_inner();
        let answers = order_stream::answers(calls, coalescer, requests, connection, request_id);
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
        let small = self
            .store
            .keeping(room.clone())
            .small_archived_order(numero, SMALL_DOCUMENT)
            .await;
        let unknown = || {
            status::not_found(
                "archived order",
                numero,
                format!("order {numero} is not in the archive"),
            )
        };
        let (size, small) = small.map_err(failed)?.ok_or_else(unknown)?;
        if let Some(document) = small {
            let order = archived_order(&document, Some(Form::Canonical));
            room.shrink(order.encoded_len());
            return Ok((order, room));
        }
        // Too large to be read before there is room for it.
        drop(room);
        let mut room = self.calls.room(room_for(size)).await?;
        let document = self
            .store
            .keeping(room.clone())
            .archived_order(numero)
            .await;
        let document = document.map_err(failed)?.ok_or_else(unknown)?;
        let order = archived_order(&document, Some(Form::Canonical));
        room.shrink(order.encoded_len());
        Ok((order, room))
    }
}

/// Room for making an answer from so many bytes of documents: them, their text, and the message.
pub(super) fn room_for(bytes: usize) -> usize {
    bytes.saturating_mul(3)
}
