//! ListLedger: the record of all verifications, as it was sealed.

use std::mem::take;

use order_archiver_api::v1 as pb;
use tonic::Status;

use super::VerificationService;
use crate::{
    convert::{self, MOST_JSON},
    grpc::{
        archive::room_for,
        limits::Room,
        page::{self, page_size},
        status::{self, Violations},
    },
};

const DEFAULT_PAGE: i32 = 20;
const LARGEST_PAGE: i32 = 200;

impl VerificationService {
    pub(super) async fn ledger(
        &self,
        mut request: pb::ListLedgerRequest,
    ) -> Result<(pb::ListLedgerResponse, Room), Status> {
        let token = take(&mut request.page_token);
        let size = take(&mut request.page_size);
        let after = match token.as_str() {
            "" => Some(0),
            token => page::position(&request, token).and_then(|it| it.parse::<i64>().ok()),
        };
        let mut violations = Violations::default();
        violations
            .check(size >= 0, "page_size", "must not be negative; 0 means 20")
            .check_page_token(after.is_some());
        violations.into_result()?;
        let limit = page_size(size, DEFAULT_PAGE, LARGEST_PAGE);
        let room = self.calls.room(room_for(MOST_JSON)).await?;
        let store = self.store.keeping(room.clone());
        let found = store
            .ledger_after(after.unwrap_or(0), limit + 1, MOST_JSON)
            .await;
        let (mut found, cut) = found.map_err(|error| status::of_error(&error))?;
        let more = cut || found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(|(sequence, _)| *sequence);
        let mut page = pb::ListLedgerResponse::default();
        for (_, record) in found {
            match record {
                Ok(record) => page.entries.push(pb::LedgerEntry {
                    sequence: record.sequence,
                    record: record.text,
                    hash: record.hash,
                }),
                Err(fault) => page.unreadable.push(convert::unreadable(&fault)),
            }
        }
        if let Some(last) = last.filter(|_| more) {
            page.next_page_token = page::token(&request, &last.to_string());
        }
        Ok((page, room))
    }
}
