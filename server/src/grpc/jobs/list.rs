//! Lists of jobs, a page at a time.

use order_archiver_api::v1 as pb;
use prost::{Message, Name};
use tonic::Status;

use super::{Told, now};
use crate::{
    bytes::raw::Value,
    convert::{self, MOST_JSON},
    grpc::{
        page::{self, page_size},
        status::{self, Violations},
    },
    store::{
        Store,
        jobs::{Job, record::State},
    },
};

const DEFAULT_PAGE: i32 = 20;
const LARGEST_PAGE: i32 = 200;

/// What a caller asks of a list: a page is bound to all of `filters`, a request without what may
/// change from page to page.
pub(in crate::grpc) struct ListRequest<R> {
    pub(in crate::grpc) filters: R,
    pub(in crate::grpc) page_size: i32,
    pub(in crate::grpc) page_token: String,
    /// The states asked for; none stands for a value that is no state.
    pub(in crate::grpc) states: Vec<Option<State>>,
    /// What a state is called in the contract.
    pub(in crate::grpc) state_enum: &'static str,
}

/// One page of a list.
pub(in crate::grpc) struct ListedJobs<J: Told> {
    pub(in crate::grpc) jobs: Vec<J::Message>,
    pub(in crate::grpc) unreadable: Vec<pb::UnreadableDocument>,
    pub(in crate::grpc) next_page_token: String,
}

/// Reads a page of jobs, the latest first.
pub(in crate::grpc) async fn list<J: Told, R: Name>(
    store: &Store,
    request: ListRequest<R>,
) -> Result<ListedJobs<J>, Status> {
    let ListRequest {
        filters,
        page_token: token,
        ..
    } = &request;
    let below = (!token.is_empty()).then(|| page::place_at(filters, token));
    let mut violations = Violations::default();
    violations
        .check(
            request.page_size >= 0,
            "page_size",
            "must not be negative; 0 means 20",
        )
        .check(
            request.states.iter().all(Option::is_some),
            "states",
            format!("holds a value that is no {}", request.state_enum),
        )
        .check_page_token(below != Some(None));
    violations.into_result()?;
    let limit = page_size(request.page_size, DEFAULT_PAGE, LARGEST_PAGE);
    let states: Vec<_> = request.states.iter().copied().flatten().collect();
    let mut below = below.flatten().unwrap_or_default();
    let found = store
        .jobs::<J>(&states, &below, limit + 1)
        .await
        .map_err(|error| status::of_error(&error))?;
    let Some(mut found) = found else {
        return Err(page_is_gone::<J>());
    };
    let mut more = found.len() > limit;
    found.truncate(limit);
    let now = now(store).await?;
    let mut page = ListedJobs {
        jobs: Vec::new(),
        unreadable: Vec::new(),
        next_page_token: String::new(),
    };
    let mut size = 0;
    for found in found {
        let is_first = page.jobs.is_empty() && page.unreadable.is_empty();
        let (id, found) = match found {
            Ok(job) => (Value::string(&job.head().id), Ok(job.in_brief(now))),
            Err(fault) => (fault.id.clone(), Err(convert::unreadable(&fault))),
        };
        size += match &found {
            Ok(job) => job.encoded_len(),
            Err(document) => document.encoded_len(),
        };
        if size > MOST_JSON && !is_first {
            more = true;
            break;
        }
        match found {
            Ok(job) => page.jobs.push(job),
            Err(document) => page.unreadable.push(document),
        }
        below.pass(&id);
    }
    if more {
        page.next_page_token = page::token_at(filters, &below);
    }
    Ok(page)
}

/// The page was to begin behind a job that is gone.
fn page_is_gone<J: Job>() -> Status {
    let mut violations = Violations::default();
    let gone = format!("leads to a {} that is gone; begin without it", J::KIND.name);
    violations.check_for(pb::ErrorReason::InvalidPageToken, false, "page_token", gone);
    violations
        .into_result()
        .err()
        .unwrap_or_else(status::internal)
}
