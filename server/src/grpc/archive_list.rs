//! Listing the archive: which orders a page shows, how far it looks, and where the next one goes
//! on.

use std::mem::take;

use bson::{Bson, DateTime};
use order_archiver_api::v1 as pb;
use prost::Message;
use tonic::Status;

use super::{
    archive::{ArchiveService, room_for},
    archive_order::LONGEST_NUMERO,
    archived_order::archived_order,
    limits::Room,
    page::{self, page_size},
    status::{self, Violations},
};
use crate::{
    convert::{self, MOST_JSON},
    domain::order::Reference,
    store::{
        archive::read::{self, Below, Filter},
        encoding::ext_json::Form,
    },
};

const DEFAULT_PAGE: i32 = 50;
const LARGEST_PAGE: i32 = 1_000;
/// The longest id that orders are listed by, in bytes of its Extended JSON.
const LONGEST_ID: usize = 1_024;

impl ArchiveService {
    /// A page of archived orders, and the room that it takes.
    pub(super) async fn list(
        &self,
        mut request: pb::ListArchivedOrdersRequest,
    ) -> Result<(pb::ListArchivedOrdersResponse, Room), Status> {
        let failed = |error| status::of_error(&error);
        // What may change from page to page is no part of what its token is bound to.
        let token = take(&mut request.page_token);
        let size = take(&mut request.page_size);
        let with_documents = take(&mut request.with_documents);
        let form = take(&mut request.document_json_format);
        let below = (!token.is_empty()).then(|| page::place(&request, &token));
        let filter = filter(&request, below, size, form)?;
        let form = with_documents.then(|| match pb::ExtendedJson::try_from(form) {
            Ok(pb::ExtendedJson::Relaxed) => Form::Relaxed,
            _ => Form::Canonical,
        });
        let limit = page_size(size, DEFAULT_PAGE, LARGEST_PAGE);
        let filter = self.store.bounded_list(filter).await.map_err(failed)?;
        // Sizes first, so that no more is read than the page will carry.
        let sizes = self.store.archived_sizes(&filter, limit + 1).await;
        let sizes = sizes.map_err(failed)?;
        let (count, bytes) = page::fitting(&sizes[..sizes.len().min(limit)], MOST_JSON);
        let mut room = self.calls.room(room_for(bytes)).await?;
        let store = self.store.keeping(room.clone());
        let documents = match count {
            0 => Ok(Vec::new()),
            count => store.archived_orders(&filter, count).await,
        };
        drop(store);
        let documents = documents.map_err(failed)?;
        let (mut orders, mut size) = (Vec::with_capacity(documents.len()), 0);
        for document in &documents {
            let order = archived_order(document, form);
            let bytes = order.encoded_len();
            if size + bytes > MOST_JSON && !orders.is_empty() {
                break;
            }
            size += bytes;
            orders.push(order);
        }
        room.shrink(size);
        let shown = &documents[..orders.len()];
        let next_page_token = if orders.len() < documents.len() || sizes.len() > count {
            let numeros: Vec<&str> = shown.iter().map(read::numero).collect();
            page::token_after(&request, &numeros, filter.below.as_ref())
        } else if let Some(end) = &filter.down_to {
            page::token(&request, end)
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

/// The filter of a request; an error that names every field with a fault. `below` is none on the
/// first page, and holds none where the token is at fault.
fn filter(
    request: &pb::ListArchivedOrdersRequest,
    below: Option<Option<Below>>,
    size: i32,
    form: i32,
) -> Result<Filter, Status> {
    const NO_MOMENT: &str = "is no moment that a date can hold; give seconds since 1970 and nanos from 0 to 999,999,999";
    const NO_ID: &str = "must be the Extended JSON of a number, a text or an ObjectId, such as 42, \"C-42\" or {\"$oid\": \"…\"}, of at most 1,024 bytes";
    let [from, to, ordered_from, ordered_to] = [
        &request.archived_from,
        &request.archived_to,
        &request.ordered_from,
        &request.ordered_to,
    ]
    .map(|moment| moment.as_ref().map(convert::date));
    let follows = |from: Option<DateTime>, to: Option<DateTime>| {
        from.zip(to).is_none_or(|(from, to)| from < to)
    };
    let ids = [
        (Reference::Client, &request.id_client_json, "id_client_json"),
        (
            Reference::Restaurant,
            &request.id_restaurant_json,
            "id_restaurant_json",
        ),
        (Reference::Menu, &request.id_menu_json, "id_menu_json"),
    ]
    .map(|(reference, json, name)| (reference, (!json.is_empty()).then(|| id_of(json)), name));
    let mut violations = Violations::default();
    violations
        .check(size >= 0, "page_size", "must not be negative; 0 means 50")
        .check(from != Some(None), "archived_from", NO_MOMENT)
        .check(to != Some(None), "archived_to", NO_MOMENT)
        .check(
            follows(from.flatten(), to.flatten()),
            "archived_to",
            "must be after archived_from",
        )
        .check(
            request.numero_prefix.len() <= LONGEST_NUMERO,
            "numero_prefix",
            "must be at most 256 bytes",
        )
        .check(ordered_from != Some(None), "ordered_from", NO_MOMENT)
        .check(ordered_to != Some(None), "ordered_to", NO_MOMENT)
        .check(
            follows(ordered_from.flatten(), ordered_to.flatten()),
            "ordered_to",
            "must be after ordered_from",
        );
    for (_, id, name) in &ids {
        violations.check(*id != Some(None), name, NO_ID);
    }
    violations
        .check(
            pb::ExtendedJson::try_from(form).is_ok(),
            "document_json_format",
            "is none of the contract's; leave it out for the canonical form",
        )
        .check_page_token(below != Some(None));
    violations.into_result()?;
    let ids = ids.into_iter();
    Ok(Filter {
        archived_from: from.flatten(),
        archived_to: to.flatten(),
        incomplete: request.incomplete,
        numero_prefix: request.numero_prefix.clone(),
        below: below.flatten(),
        ordered_from: ordered_from.flatten(),
        ordered_to: ordered_to.flatten(),
        ids: ids
            .filter_map(|(reference, id, _)| Some((reference.id_field(), id??)))
            .collect(),
        ..Filter::default()
    })
}

/// The id in a text of Extended JSON, if it is one that orders can refer by.
fn id_of(json: &str) -> Option<Bson> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let id = Bson::try_from(value).ok()?;
    let is_id = matches!(
        id,
        Bson::Int32(_)
            | Bson::Int64(_)
            | Bson::Double(_)
            | Bson::Decimal128(_)
            | Bson::String(_)
            | Bson::ObjectId(_)
    );
    (is_id && json.len() <= LONGEST_ID).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_number_a_text_or_an_object_id() {
        let oid = bson::oid::ObjectId::from_bytes([7; 12]);
        for (json, id) in [
            ("42", Some(Bson::Int32(42))),
            ("9000000000", Some(Bson::Int64(9_000_000_000))),
            ("4.5", Some(Bson::Double(4.5))),
            ("\"42\"", Some("42".into())),
            ("{\"$oid\": \"070707070707070707070707\"}", Some(oid.into())),
            ("{\"$numberLong\": \"42\"}", Some(Bson::Int64(42))),
            ("C-42", None),
            ("null", None),
            ("[42]", None),
            ("{\"$ne\": 1}", None),
            ("true", None),
        ] {
            assert_eq!(id_of(json), id, "{json}");
        }
        assert_eq!(id_of(&format!("\"{}\"", "x".repeat(1_023))), None);
    }
}
