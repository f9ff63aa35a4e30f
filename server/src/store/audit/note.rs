//! Noting calls: each before it is carried out, and what became of it.

use bson::{Bson, Document, doc};

use super::record::{AT, Call, End, RIGHT};
use crate::store::{
    Error, Store,
    encoding::document::{joined, raw},
    state::version::{CURRENT, FORMAT, not_newer},
};

/// How many calls are kept that need the same right.
const MOST: i64 = 50_000;

impl Store {
    /// Notes a call, with its end once that is known. Safe to repeat, in any order: what is known of
    /// it is never taken back.
    pub async fn note_call(&self, call: &Call, end: Option<&End>) -> Result<(), Error> {
        // Texts of callers may look like an expression.
        let literal = |value: Bson| doc! { "$literal": value };
        let text = |value: &str| literal(value.into());
        let mut set = doc! {
            FORMAT: CURRENT, AT: { "$ifNull": [format!("${AT}"), "$$NOW"] },
            "instance": text(&call.instance), "who": literal(call.who.clone().into()),
            "peer": text(&call.peer), "call": text(&call.call), RIGHT: call.right,
            "subject": text(&call.subject), "request_id": text(&call.request_id),
        };
        if let Some(end) = end {
            let ended =
                doc! { "ended": "$$NOW", "outcome": end.outcome, "reason": text(&end.reason) };
            set.extend(ended);
        }
        self.change_audit(
            "update",
            "updates",
            &doc! {
                "q": { "_id": &call.id, FORMAT: not_newer() }, "u": [{ "$set": set }],
                "upsert": true,
            },
        )
        .await
    }

    /// Forgets all but the latest calls that need this right.
    pub async fn forget_calls(&self, right: &str) -> Result<(), Error> {
        let find = doc! {
            "find": &self.names.audit, "filter": { RIGHT: right }, "sort": { AT: -1 },
            "skip": MOST, "limit": 1,
            "projection": { "_id": 0, AT: 1 },
        };
        let rows = self
            .rows(&joined(&[&raw(&find), &self.read_options()]))
            .await?;
        let Some(newest) = rows.first().and_then(|row| row.get_datetime(AT).ok()) else {
            return Ok(());
        };
        let which = doc! { RIGHT: right, AT: { "$lte": newest }, FORMAT: not_newer() };
        self.change_audit("delete", "deletes", &doc! { "q": which, "limit": 0 })
            .await
    }

    async fn change_audit(
        &self,
        command: &str,
        list: &str,
        statement: &Document,
    ) -> Result<(), Error> {
        let head = raw(&doc! { command: &self.names.audit });
        let command = self.write_command(&head, list, &[raw(statement)]);
        self.write_retried(&command).await.map(|_| ())
    }
}
