//! ExplainOrder: all that is known of one order, and what to do.

use std::{ops::RangeInclusive, time::Duration};

use order_archiver_api::v1 as pb;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::VerificationService;
use crate::{
    convert::{self, explanation},
    explain::Explaining,
    grpc::{
        archive::{SMALL_DOCUMENT, room_for},
        archive_order::LONGEST_NUMERO,
        limits::Room,
        status::{self, Violations},
    },
    store::{
        Error,
        explanation::{history::History, known::Known},
    },
};

const DEFAULT_HISTORY: Duration = Duration::from_secs(10);
const HISTORIES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

impl VerificationService {
    pub(super) async fn explain(
        &self,
        request: Request<pb::ExplainOrderRequest>,
    ) -> Result<Response<pb::ExplainOrderResponse>, Status> {
        let history = checked(request.get_ref())?;
        let longer = history.unwrap_or_default();
        let limit = self.calls.limit_with(request.metadata(), longer);
        let end = Instant::now() + limit;
        self.calls
            .answer_in_room_within(limit, request, async |request| {
                let history = history.map(|history| (history, end));
                let explained = self.explained(&request.numero_commande, history).await?;
                Ok((explained, None::<Room>))
            })
            .await
    }

    async fn explained(
        &self,
        numero: &str,
        history: Option<(Duration, Instant)>,
    ) -> Result<pb::ExplainOrderResponse, Status> {
        let failed = |error: Error| status::of_error(&error);
        let mut explaining = Explaining::begin(&self.store, numero).await.map_err(failed)?;
        let bytes = explaining.largest_pair();
        let room = match bytes > SMALL_DOCUMENT {
            true => Some(self.calls.room(room_for(bytes)).await?),
            false => None,
        };
        let store = self.store.keeping(room);
        let answer = explaining.answer(&store, self.schedule.as_ref()).await;
        drop(store);
        let Some(mut answer) = answer.map_err(failed)? else {
            let message = format!(
                "nothing is known of {numero}: no live order and no archived one has the number, nor has an entry of the quarantine or a record of a repair"
            );
            return Err(status::not_found("order", numero, message));
        };
        if let Some((limit, end)) = history {
            answer.history = Some(self.history(explaining.known(), limit, end).await?);
        }
        Ok(answer)
    }

    /// What the history tells, within a time and well before the caller stops waiting. Where it
    /// can't be read, the rest is told all the same.
    async fn history(
        &self,
        known: &Known,
        limit: Duration,
        end: Instant,
    ) -> Result<pb::OrderHistory, Status> {
        let _place = self.calls.history_look()?;
        let left = end.saturating_duration_since(Instant::now());
        let limit = limit.min(left.mul_f32(0.8));
        let found = self.store.history_of(&known.ids(), limit).await;
        let found = found.unwrap_or_else(|error| History {
            stopped: error.to_string(),
            ..History::default()
        });
        Ok(explanation::history(found))
    }
}

/// How long to look through the history, if at all; or what is wrong with the request.
fn checked(request: &pb::ExplainOrderRequest) -> Result<Option<Duration>, Status> {
    let limit = match &request.history_limit {
        Some(limit) => convert::length(limit).filter(|limit| HISTORIES.contains(limit)),
        None => Some(DEFAULT_HISTORY),
    };
    let mut violations = Violations::default();
    violations
        .check(
            !request.numero_commande.is_empty(),
            "numero_commande",
            "must not be empty; give a number like CMD-2025-000001",
        )
        .check_length("numero_commande", &request.numero_commande, LONGEST_NUMERO)
        .check(
            limit.is_some(),
            "history_limit",
            "must be from 1 ms to 60 s; absent means 10 s",
        );
    violations.into_result()?;
    Ok(limit.filter(|_| request.with_history))
}
