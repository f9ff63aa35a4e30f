//! ExplainOrder: all that is known of one order, and what to do.

use std::{ops::RangeInclusive, time::Duration};

use bson::DateTime;
use order_archiver_api::v1 as pb;
use prost_types::Timestamp;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::VerificationService;
use crate::{
    bytes::raw::Value,
    convert::{self, Document, explanation},
    domain::explanation::{advice::Circumstances, conclusion::Conclusion},
    grpc::{
        archive::{SMALL_DOCUMENT, room_for},
        archive_order::LONGEST_NUMERO,
        limits::Room,
        status::{self, Violations},
    },
    store::{
        Error,
        explanation::{Archived, Belongs, history::History, known::Known, passage::Ahead},
        watch::record::Watcher,
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
        let now = self.store.deployment().await.map_err(failed)?.now;
        let mut known = self.store.known_of(numero).await.map_err(failed)?;
        let bytes = known.largest_pair();
        let room = match bytes > SMALL_DOCUMENT {
            true => Some(self.calls.room(room_for(bytes)).await?),
            false => None,
        };
        let store = self.store.keeping(room);
        store.compare_archived(&mut known).await.map_err(failed)?;
        drop(store);
        let facts = known.facts();
        let Some(conclusion) = facts.conclusion() else {
            let message = format!(
                "nothing is known of {numero}: no live order and no archived one has the number, nor has an entry of the quarantine or a record of a repair"
            );
            return Err(status::not_found("order", numero, message));
        };
        let mut faults = std::mem::take(&mut known.faults);
        let watcher = match self.store.watcher().await {
            Err(Error::State(fault)) => {
                faults.push(*fault);
                None
            }
            watcher => watcher.map_err(failed)?,
        };
        let ids: Vec<Value> = known.orders.iter().map(|order| order.id.clone()).collect();
        let (ahead, running) = futures::join!(
            self.store
                .ahead_of_watcher(watcher.as_ref(), &ids, known.time),
            self.store.running(),
        );
        let (batch, verification) = running.map_err(failed)?;
        let surroundings = Surroundings {
            delivered: self.store.delivered(),
            is_watched: watcher.as_ref().is_some_and(Watcher::is_watched),
            batch_runs: batch.is_some(),
            is_scheduled: self.schedule.is_some(),
            ahead,
        };
        let orders = facts.orders.iter().enumerate();
        let orders = orders.map(|(at, facts)| surroundings.order(&known, at, facts.conclusion()));
        let orders: Vec<pb::ExplainedOrder> = orders.collect();
        let of_one = surroundings.circumstances(&known, (known.orders.len() == 1).then_some(0));
        let history = match history {
            Some((limit, end)) => Some(self.history(&known, limit, end).await?),
            None => None,
        };
        let documents = known.archived.iter();
        let archived = documents.map(|it| explanation::explained_archive(it, &known.orders));
        let archived = archived.collect();
        Ok(pb::ExplainOrderResponse {
            numero_commande: numero.to_owned(),
            conclusion: explanation::conclusion(conclusion).into(),
            summary: of_one.sentence(conclusion),
            advice: of_one.advice(conclusion),
            delivered_status: self.store.delivered().to_owned(),
            orders,
            more_orders: known.more_orders,
            archived,
            watcher_state: watcher
                .as_ref()
                .map_or(pb::WatcherState::Unspecified, |it| {
                    convert::watcher_state(it.state_now())
                })
                .into(),
            watcher_position_time: watcher
                .as_ref()
                .and_then(|watcher| watcher.position)
                .map(convert::cluster_time),
            next_batch_time: self.next_batch(now),
            batch_id: batch.unwrap_or_default(),
            verification_id: verification.unwrap_or_default(),
            history,
            unreadable: faults.iter().map(convert::unreadable).collect(),
            read_time: convert::timestamp(now),
            quarantined: known
                .quarantined
                .into_iter()
                .map(|entry| convert::quarantine_entry(entry, Document::NotAsked))
                .collect(),
            replaced: known
                .replaced
                .into_iter()
                .map(explanation::replaced)
                .collect(),
            acknowledgements: known
                .acknowledged
                .into_iter()
                .map(explanation::acknowledgement)
                .collect(),
        })
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

    fn next_batch(&self, now: DateTime) -> Option<Timestamp> {
        let now = chrono::DateTime::from_timestamp_millis(now.timestamp_millis())?;
        let next = self.schedule.as_ref()?.next_after(now)?;
        Some(Timestamp {
            seconds: next.timestamp(),
            nanos: 0,
        })
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

/// What is known beside the order itself.
struct Surroundings<'a> {
    delivered: &'a str,
    is_watched: bool,
    batch_runs: bool,
    is_scheduled: bool,
    ahead: Ahead,
}

impl Surroundings<'_> {
    /// What the words are made of, for the order at a place, or for none of several.
    fn circumstances<'k>(&'k self, known: &'k Known, order: Option<usize>) -> Circumstances<'k> {
        let live = order.map(|at| &known.orders[at]);
        let miss = live.and_then(|order| order.status.near_miss.as_ref());
        let own = order.and_then(|at| known.document_of(at));
        let entry = match order {
            Some(at) => known.entry_of(at),
            None => known.quarantined.first(),
        };
        let document = own.or_else(|| known.archived.first().filter(|_| order.is_none()));
        let found = document.and_then(|it| it.found.as_ref()?.as_ref());
        Circumstances {
            numero: &known.numero,
            delivered: self.delivered,
            orders: known.orders.len(),
            other_number: other_number(known, own),
            difference: miss.map_or("", |miss| &miss.difference),
            mend: miss.map_or("", |miss| &miss.mend),
            quarantined: entry.map(|entry| (entry.id.as_str(), entry.refusal.detail.as_str())),
            found: found.map_or("", |found| &found.detail),
            is_watched: self.is_watched,
            is_passed: live.and_then(|order| {
                let ahead = self.ahead.as_ref().ok()?;
                Some(!ahead.contains(&order.id))
            }),
            batch_runs: self.batch_runs,
            is_scheduled: self.is_scheduled,
        }
    }

    fn order(&self, known: &Known, at: usize, conclusion: Conclusion) -> pb::ExplainedOrder {
        let circumstances = self.circumstances(known, Some(at));
        let watcher = match circumstances.is_passed {
            Some(true) => pb::WatcherPassage::Passed,
            Some(false) => pb::WatcherPassage::Ahead,
            None => pb::WatcherPassage::Unknown,
        };
        pb::ExplainedOrder {
            conclusion: explanation::conclusion(conclusion).into(),
            summary: circumstances.sentence(conclusion),
            watcher: watcher.into(),
            watcher_detail: self.ahead.as_ref().err().cloned().unwrap_or_default(),
            ..explanation::explained_order(&known.orders[at])
        }
    }
}

/// The other number that an order is archived under, or that it has now.
fn other_number<'k>(known: &'k Known, own: Option<&'k Archived>) -> Option<&'k str> {
    if let Some(own) = own {
        let number = own.numero.as_deref();
        return number.filter(|number| *number != known.numero);
    }
    known
        .archived
        .iter()
        .find_map(|document| match &document.belongs {
            Belongs::Elsewhere(number) => number.as_deref(),
            _ => None,
        })
}
