//! Answers about orders: the number of the order says which one.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use order_archiver_api::v1::{
    ArchiveFailure, ArchiveOrderRequest, ArchiveOrderResponse, ArchiveOrdersRequest,
    ArchiveOrdersResponse, ArchiveOutcome, ArchiveResult, ArchivedOrder, GetArchivedOrderRequest,
    GetArchivedOrderResponse, ListArchivedOrdersRequest, ListArchivedOrdersResponse,
    archive_orders_response::Answer, archive_service_server::ArchiveService,
};
use tonic::{Code, Request, Response, Status, Streaming, async_trait};
use tonic_types::{ErrorDetails, StatusExt};

use super::Answers;

/// How many orders the archive of this server holds, unless the test says otherwise.
pub(crate) const ARCHIVED: usize = 120;

#[async_trait]
impl ArchiveService for Answers {
    type ArchiveOrdersStream = BoxStream<'static, Result<ArchiveOrdersResponse, Status>>;

    async fn archive_order(
        &self,
        request: Request<ArchiveOrderRequest>,
    ) -> Result<Response<ArchiveOrderResponse>, Status> {
        let number = request.into_inner().numero_commande;
        if number == "SLOW" {
            std::future::pending::<()>().await;
        }
        let result = Some(archive(&number)?);
        Ok(Response::new(ArchiveOrderResponse { result }))
    }

    async fn archive_orders(
        &self,
        request: Request<Streaming<ArchiveOrdersRequest>>,
    ) -> Result<Response<Self::ArchiveOrdersStream>, Status> {
        let answers = request.into_inner().map(|request| {
            let number = request?.numero_commande;
            if number == "BREAK" {
                return Err(Status::unavailable("the server is stopping"));
            }
            let answer = match archive(&number) {
                Ok(result) => Answer::Result(result),
                Err(status) => Answer::Failure(ArchiveFailure {
                    numero_commande: number,
                    code: status.code().into(),
                    reason: status
                        .get_details_error_info()
                        .map(|info| info.reason)
                        .unwrap_or_default(),
                    message: status.message().to_owned(),
                }),
            };
            Ok(ArchiveOrdersResponse {
                answer: Some(answer),
            })
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn get_archived_order(
        &self,
        request: Request<GetArchivedOrderRequest>,
    ) -> Result<Response<GetArchivedOrderResponse>, Status> {
        let number = request.into_inner().numero_commande;
        archive(&number)?;
        let archived = self.0.shown.lock().unwrap().clone();
        let known = archived
            .into_iter()
            .find(|order| order.numero_commande == number);
        let order = ArchivedOrder {
            document_json: "{\"status\":\"livrée\"}".to_owned(),
            ..known.unwrap_or_else(|| order(&number))
        };
        Ok(Response::new(GetArchivedOrderResponse {
            order: Some(order),
        }))
    }

    async fn list_archived_orders(
        &self,
        request: Request<ListArchivedOrdersRequest>,
    ) -> Result<Response<ListArchivedOrdersResponse>, Status> {
        let request = request.into_inner();
        self.0.note(&request);
        let orders = self.0.shown.lock().unwrap().clone();
        if !orders.is_empty() {
            return Ok(Response::new(ListArchivedOrdersResponse {
                orders,
                ..ListArchivedOrdersResponse::default()
            }));
        }
        let from: usize = request.page_token.parse().unwrap_or(0);
        // Only a later page breaks off: a first call that fails is more likely a wrong address.
        if from > 0
            && let Some(refusal) = self.0.refusal.lock().unwrap().take()
        {
            return Err(refusal);
        }
        let archived = self.0.archived.load(Ordering::Relaxed);
        // A page may hold fewer than asked for.
        let to = (from + usize::try_from(request.page_size).unwrap().min(50)).min(archived);
        let orders = (from..to)
            .map(|index| {
                let order = order(&format!("CMD-{index:03}"));
                match request.with_documents {
                    true => with_document(order),
                    false => order,
                }
            })
            .collect();
        let next_page_token = if to < archived {
            to.to_string()
        } else {
            String::new()
        };
        Ok(Response::new(ListArchivedOrdersResponse {
            orders,
            next_page_token,
        }))
    }
}

/// An order with a document of four kilobytes; of one it is too large.
fn with_document(order: ArchivedOrder) -> ArchivedOrder {
    let number = &order.numero_commande;
    if number == "CMD-20013" {
        return ArchivedOrder {
            omitted_fields: vec!["document_json".to_owned()],
            ..order
        };
    }
    let notes = "x".repeat(4_096);
    ArchivedOrder {
        document_json: format!("{{\"numero_commande\":\"{number}\",\"notes\":\"{notes}\"}}"),
        ..order
    }
}

fn archive(number: &str) -> Result<ArchiveResult, Status> {
    if let Some(code) = number.strip_prefix("CODE-") {
        return Err(Status::new(
            Code::from_bytes(code.as_bytes()),
            "as the test wishes",
        ));
    }
    let mut details = ErrorDetails::new();
    match number {
        "EN-COURS" => {
            details.set_error_info(
                "NOT_DELIVERED",
                "orderarchiver.v1",
                [("status".to_owned(), "en_cours".to_owned())],
            );
            details.add_precondition_failure_violation(
                "STATUS",
                number,
                "status is en_cours, expected livrée",
            );
            return Err(Status::with_error_details(
                Code::FailedPrecondition,
                "EN-COURS is not delivered",
                details,
            ));
        }
        "" => {
            details.add_bad_request_violation("numero_commande", "must not be empty");
            return Err(Status::with_error_details(
                Code::InvalidArgument,
                "one field is bad",
                details,
            ));
        }
        "UNARCHIVED" => {
            let message = "UNARCHIVED is not in the archive";
            details.set_resource_info("archived order", number, "", message);
            details.set_error_info(
                "NOT_FOUND",
                "orderarchiver.v1",
                HashMap::<String, String>::new(),
            );
            return Err(Status::with_error_details(Code::NotFound, message, details));
        }
        "AWAY" => {
            details.set_retry_info(Some(Duration::from_secs(2)));
            return Err(Status::with_error_details(
                Code::Unavailable,
                "the database is away",
                details,
            ));
        }
        _ => {}
    }
    let missing_fields = if number.contains("INCOMPLETE") {
        vec!["nom_livreur".to_owned()]
    } else {
        Vec::new()
    };
    let outcome = if number.contains("TWICE") {
        ArchiveOutcome::Duplicate
    } else {
        ArchiveOutcome::Archived
    };
    Ok(ArchiveResult {
        numero_commande: number.to_owned(),
        outcome: outcome.into(),
        incomplete: !missing_fields.is_empty(),
        missing_fields,
    })
}

fn order(number: &str) -> ArchivedOrder {
    ArchivedOrder {
        numero_commande: number.to_owned(),
        nom_client: Some("Zoé Lefèvre".to_owned()),
        cout_commande: Some("24.9".to_owned()),
        ..ArchivedOrder::default()
    }
}
