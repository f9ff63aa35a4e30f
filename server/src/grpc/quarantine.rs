//! `QuarantineService`: what could not be archived, and what to do with it.

use std::{collections::HashMap, mem::take};

use order_archiver_api::v1 as pb;
use prost::Message;
use tonic::{Request, Response, Status};
use tracing::info;

use super::{
    archive::room_for,
    call::{Calls, caller},
    jobs::ids,
    limits::Room,
    page::{self, page_size},
    status::{self, Violations},
};
use crate::{
    bytes::raw::Value,
    convert::{self, Document, MOST_JSON},
    pipeline::{Outcome, Pipeline, Source},
    store::{
        Error, Store,
        encoding::ext_json::Form,
        jobs::ids::SHORTEST,
        orders::gather::Selection,
        quarantine::{
            list::Filter,
            record::{Entry, id_of},
            release::{Cause, Release},
        },
        state::caller::Caller,
    },
};

const MOST_IDS: usize = 1_000;
const DEFAULT_PAGE: i32 = 50;
const LARGEST_PAGE: i32 = 1_000;

pub(crate) struct QuarantineService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    pub(crate) pipeline: Pipeline,
    /// The name of this instance.
    pub(crate) instance: String,
}

#[tonic::async_trait]
impl pb::quarantine_service_server::QuarantineService for QuarantineService {
    async fn list_quarantined(
        &self,
        request: Request<pb::ListQuarantinedRequest>,
    ) -> Result<Response<pb::ListQuarantinedResponse>, Status> {
        self.calls
            .answer_in_room(request, async |request| self.list(request).await)
            .await
    }

    async fn retry_quarantined(
        &self,
        request: Request<pb::RetryQuarantinedRequest>,
    ) -> Result<Response<pb::RetryQuarantinedResponse>, Status> {
        let caller = caller(&self.instance, &request);
        self.calls
            .audited(request, async |pb::RetryQuarantinedRequest { ids }| {
                let peer = caller.peer.clone();
                let retried = self.retry(&ids, caller).await?;
                let orders = retried.results.len();
                info!(peer, orders, "orders in quarantine were tried again");
                Ok(retried)
            })
            .await
    }

    async fn drop_quarantined(
        &self,
        request: Request<pb::DropQuarantinedRequest>,
    ) -> Result<Response<pb::DropQuarantinedResponse>, Status> {
        let caller = caller(&self.instance, &request);
        let peer = caller.peer.clone();
        let dropped = Release {
            cause: Cause::Dropped,
            caller: Some(caller),
        };
        self.calls
            .audited(request, async |pb::DropQuarantinedRequest { ids }| {
                let entries = self.find(&ids).await?;
                let ids: Vec<String> = entries.into_iter().map(|entry| entry.id).collect();
                let dropped = self
                    .store
                    .release_entries(&ids, &dropped)
                    .await
                    .map_err(|error| status::of_error(&error))?;
                info!(peer, orders = dropped, "orders in quarantine were let go");
                Ok(pb::DropQuarantinedResponse {
                    dropped: i32::try_from(dropped).unwrap_or(i32::MAX),
                })
            })
            .await
    }
}

impl QuarantineService {
    async fn list(
        &self,
        mut request: pb::ListQuarantinedRequest,
    ) -> Result<(pb::ListQuarantinedResponse, Option<Room>), Status> {
        let token = take(&mut request.page_token);
        let (size_asked, with_documents) = (
            take(&mut request.page_size),
            take(&mut request.with_documents),
        );
        let after = (!token.is_empty()).then(|| page::place_at(&request, &token));
        let reasons: Vec<_> = request
            .reasons
            .iter()
            .map(|reason| {
                pb::QuarantineReason::try_from(*reason)
                    .ok()
                    .and_then(convert::reason)
            })
            .collect();
        let mut violations = Violations::default();
        violations
            .check(
                size_asked >= 0,
                "page_size",
                "must not be negative; 0 means 50",
            )
            .check(
                reasons.iter().all(Option::is_some),
                "reasons",
                "holds a value that is no QuarantineReason",
            )
            .check_length("id", &request.id, ids::LONGEST)
            .check_page_token(after != Some(None));
        violations.into_result()?;
        let limit = page_size(size_asked, DEFAULT_PAGE, LARGEST_PAGE);
        let ids = match request.id.as_str() {
            "" => Vec::new(),
            id => {
                let whole = self.whole("id", id).await?;
                // Nothing has the id, and what is listed is nothing.
                vec![whole.unwrap_or_else(|| id.to_owned())]
            }
        };
        let filter = Filter {
            reasons: reasons.into_iter().flatten().collect(),
            ids,
            behind: after.flatten().unwrap_or_default(),
        };
        let failed = |error| status::of_error(&error);
        let mut room = if with_documents {
            Some(self.calls.room(room_for(MOST_JSON)).await?)
        } else {
            None
        };
        let found = self
            .store
            .keeping(room.clone())
            .quarantine_entries_up_to(&filter, limit + 1, MOST_JSON)
            .await;
        let (mut found, cut) = found.map_err(failed)?;
        let mut more = cut || found.len() > limit;
        found.truncate(limit);
        let mut page = pb::ListQuarantinedResponse::default();
        let (mut behind, mut size, mut read) = (filter.behind, 0, 0);
        for entry in found {
            let id = id_of(&entry);
            let is_first = page.entries.is_empty() && page.unreadable.is_empty();
            let entry = match entry {
                Ok(entry) => entry,
                Err(fault) => {
                    let document = convert::unreadable(&fault);
                    if size + document.encoded_len() > MOST_JSON && !is_first {
                        more = true;
                        break;
                    }
                    size += document.encoded_len();
                    behind.pass(&id);
                    page.unreadable.push(document);
                    continue;
                }
            };
            let bytes = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
            let wanted = with_documents && bytes <= MOST_JSON;
            // Looked at before it is read: what would not fit the page is left to the next one.
            if wanted && read + bytes > MOST_JSON {
                more = true;
                break;
            }
            let document = if wanted {
                read += bytes;
                match self.store.quarantined_order(&entry.id).await {
                    Ok(document) => document,
                    // Bytes of a newer version: the entry is told as what it can't be told without.
                    Err(Error::State(fault)) => {
                        let document = convert::unreadable(&fault);
                        size += document.encoded_len();
                        behind.pass(&id);
                        page.unreadable.push(document);
                        continue;
                    }
                    Err(error) => return Err(failed(error)),
                }
            } else {
                None
            };
            let document = match &document {
                Some(document) => Document::Given(document, Form::Canonical),
                None if with_documents => Document::TooLarge,
                None => Document::NotAsked,
            };
            let entry = convert::quarantine_entry(entry, document);
            if size + entry.encoded_len() > MOST_JSON && !is_first {
                more = true;
                break;
            }
            size += entry.encoded_len();
            behind.pass(&id);
            page.entries.push(entry);
        }
        if let Some(room) = &mut room {
            room.shrink(size);
        }
        if more {
            page.next_page_token = page::token_at(&request, &behind);
        }
        Ok((page, room))
    }

    async fn retry(
        &self,
        ids: &[String],
        caller: Caller,
    ) -> Result<pb::RetryQuarantinedResponse, Status> {
        self.calls.check_archive()?;
        let entries = self.find(ids).await?;
        let orders: Vec<Value> = entries.iter().map(|entry| entry.order_id.clone()).collect();
        let passed = self
            .pipeline
            .archive(Selection::Ids(orders), Source::Rpc)
            .await
            .map_err(|error| status::of_error(&error))?;
        let outcomes: HashMap<&Value, &Outcome> = passed
            .iter()
            .map(|passed| (&passed.id, &passed.outcome))
            .collect();
        let results: Vec<pb::RetryResult> = entries
            .iter()
            .map(|entry| result(entry, outcomes.get(&entry.order_id).copied()))
            .collect();
        let left = results.iter().filter(|result| {
            matches!(
                result.outcome(),
                pb::RetryOutcome::Archived | pb::RetryOutcome::Duplicate
            )
        });
        let left: Vec<String> = left.map(|result| result.id.clone()).collect();
        let archived = Release {
            cause: Cause::Archived,
            caller: Some(caller),
        };
        self.store
            .release_entries(&left, &archived)
            .await
            .map_err(|error| status::of_error(&error))?;
        Ok(pb::RetryQuarantinedResponse { results })
    }

    /// The entries with these ids, in their order.
    async fn find(&self, ids: &[String]) -> Result<Vec<Entry>, Status> {
        let mut violations = Violations::default();
        violations
            .check(
                (1..=MOST_IDS).contains(&ids.len()),
                "ids",
                format!("must hold from 1 to {MOST_IDS} ids, not {}", ids.len()),
            )
            .check(
                ids.iter().all(|id| (1..=ids::LONGEST).contains(&id.len())),
                "ids",
                format!(
                    "must each be from 1 to {} bytes; ListQuarantined shows them",
                    ids::LONGEST
                ),
            );
        violations.into_result()?;
        let mut entries = self.entries(ids.to_vec()).await?;
        let mut shortened: HashMap<&str, String> = HashMap::new();
        for id in ids.iter().filter(|id| !entries.contains_key(*id)) {
            let whole = self.whole("ids", id).await?;
            shortened.insert(id, whole.ok_or_else(|| unknown(id))?);
        }
        entries.extend(self.entries(shortened.values().cloned().collect()).await?);
        let entry = |id: &String| entries.get(shortened.get(id.as_str()).unwrap_or(id));
        ids.iter()
            .map(|id| entry(id).cloned().ok_or_else(|| unknown(id)))
            .collect()
    }

    async fn whole(&self, field: &str, id: &str) -> Result<Option<String>, Status> {
        let meant = self.store.id_meant(&self.store.names().quarantine, id);
        ids::whole(field, id, meant.await)
    }

    /// The entries that there are of those with these whole ids.
    async fn entries(&self, ids: Vec<String>) -> Result<HashMap<String, Entry>, Status> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let limit = ids.len();
        let filter = Filter {
            ids,
            ..Filter::default()
        };
        let entries = self
            .store
            .quarantine_entries(&filter, limit)
            .await
            .and_then(|found| {
                let found = found.into_iter();
                let entries: Result<Vec<Entry>, _> = found.collect();
                entries.map_err(|fault| Error::State(Box::new(fault)))
            })
            .map_err(|error| status::of_error(&error))?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.id.clone(), entry))
            .collect())
    }
}

fn unknown(id: &str) -> Status {
    let message = format!(
        "there is no quarantine entry {id}; ListQuarantined shows those that there are, and the first \
         {SHORTEST} characters or more of an id will do"
    );
    status::not_found("quarantine entry", id, message)
}

fn result(entry: &Entry, outcome: Option<&Outcome>) -> pb::RetryResult {
    let (outcome, detail) = match outcome {
        Some(Outcome::Archived(_)) => (pb::RetryOutcome::Archived, String::new()),
        Some(Outcome::Duplicate(_)) => (pb::RetryOutcome::Duplicate, String::new()),
        Some(Outcome::Quarantined { refusal, .. }) => {
            (pb::RetryOutcome::StillQuarantined, refusal.detail.clone())
        }
        Some(Outcome::NotDelivered {
            near_miss: Some(miss),
            ..
        }) => (
            pb::RetryOutcome::NotDelivered,
            format!(
                "the order's status {} only looks like the delivered one ({}); mend that, then retry",
                miss.escaped(),
                miss.difference
            ),
        ),
        Some(Outcome::NotDelivered { status, .. }) => (
            pb::RetryOutcome::NotDelivered,
            format!("the order's status is {status} now; drop the entry if that is right"),
        ),
        None => (
            pb::RetryOutcome::NotDelivered,
            "the order is no longer among the orders; drop the entry if that is right".to_owned(),
        ),
    };
    pb::RetryResult {
        id: entry.id.clone(),
        outcome: outcome.into(),
        detail,
    }
}
