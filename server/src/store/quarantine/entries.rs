//! Quarantine: where orders wait that can't be archived, each with the reason and its bytes.

use crate::{
    bytes::raw::{self, Value, ValueRef, Writer, kind},
    domain::{
        judge::{Reason, Refusal},
        order::{NUMERO, Order},
        text::cut,
    },
    store::{
        Error, Store,
        encoding::document::{document_value, field, joined, raw, whole},
        orders::gather::CHUNK_BYTES,
        state::{
            format::{self, CURRENT, FORMAT, Fault, Field, Is, date_or, may, millis_or, must},
            place::Place,
        },
    },
};
use std::collections::{HashMap, HashSet};

use bson::{DateTime, Document, RawDocument, RawDocumentBuf, doc, rawdoc};
use sha2::{Digest, Sha256};

use super::release::{Cause, RELEASE, Release, release_in};

/// An order's bytes are kept in parts, because an order can be as large as a document may be.
const PART: usize = 8 * 1024 * 1024;

/// The fields of an entry, all but the order's `_id`, which is whatever it is.
pub(in crate::store) const ENTRY: &[Field] = &[
    must("_id", Is::Text),
    must("reason", Is::Text),
    must("detail", Is::Text),
    may(NUMERO, Is::Text),
    must("attempts", Is::Whole),
    must("bytes", Is::Whole),
    must("first_seen", Is::Date),
    must("last_seen", Is::Date),
    may("made_by", Is::Text),
    may("release", Is::Fields(RELEASE)),
];

/// The fields of a part of an order's bytes, all but the bytes themselves.
pub(in crate::store) const PART_OF_BYTES: &[Field] = &[must("_id", Is::Text)];

/// What lists by reason walk along.
pub(in crate::store) fn indexes() -> Vec<Document> {
    vec![doc! { "key": { "reason": 1, "_id": 1 }, "name": "reason" }]
}

/// An order in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Names the entry.
    pub id: String,
    /// The order's `_id`.
    pub order_id: Value,
    /// Its number, if that is a string.
    pub numero: Option<String>,
    /// Why it is here.
    pub refusal: Refusal,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was first put here.
    pub first_seen: DateTime,
    /// When it was last tried.
    pub last_seen: DateTime,
    /// Its size, in bytes.
    pub bytes: i64,
    /// Why it leaves, once it does.
    pub release: Option<Release>,
}

/// Which entries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only these reasons; empty means all.
    pub reasons: Vec<Reason>,
    /// Only these ids; empty means all.
    pub ids: Vec<String>,
    /// Only what comes behind this place, by `_id`.
    pub behind: Place,
}

/// The name of the entry of an order: the same however often it is quarantined.
pub fn entry_id(order_id: ValueRef<'_>) -> String {
    let hash = Sha256::new()
        .chain_update([order_id.kind])
        .chain_update(order_id.bytes)
        .finalize();
    format!("q{}", hex::encode(&hash[..12]))
}

impl Store {
    /// Puts orders into quarantine, or notes one more attempt for those that are there. Says which
    /// entries are new.
    pub async fn quarantine(
        &self,
        refused: &[(&Order, &Refusal)],
    ) -> Result<HashSet<String>, Error> {
        if refused.is_empty() {
            return Ok(HashSet::new());
        }
        // The bytes first: an entry is never without them.
        let parts: Vec<RawDocumentBuf> = refused
            .iter()
            .flat_map(|(order, _)| bytes_statements(order))
            .collect();
        self.write_all(
            rawdoc! { "update": self.names.quarantine_bytes.as_str() },
            "updates",
            &parts,
        )
        .await?;
        let call = uuid::Uuid::new_v4().to_string();
        let entries: Vec<RawDocumentBuf> = refused
            .iter()
            .map(|(order, refusal)| entry_statement(order, refusal, &call))
            .collect();
        self.write_all(
            rawdoc! { "update": self.names.quarantine.as_str() },
            "updates",
            &entries,
        )
        .await?;
        self.made_by(&call, refused).await
    }

    /// The entries of these orders that a call has made. Read, because the answer that said so may
    /// have been lost.
    async fn made_by(
        &self,
        call: &str,
        refused: &[(&Order, &Refusal)],
    ) -> Result<HashSet<String>, Error> {
        let ids: Vec<String> = refused
            .iter()
            .map(|(order, _)| entry_id(order.id()))
            .collect();
        let filter = doc! { "_id": { "$in": ids }, "made_by": call };
        let find = doc! {
            "find": &self.names.quarantine, "filter": filter, "projection": { "_id": 1 },
        };
        let find = raw(&find);
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let id = |row: &RawDocumentBuf| raw::find(row, "_id")?.as_str().map(str::to_owned);
        Ok(rows.iter().filter_map(id).collect())
    }

    /// Entries by id, at most `limit`. In the place of an entry that can't be read stands what is wrong with it.
    pub async fn quarantined(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Result<Entry, Fault>>, Error> {
        Ok(self.quarantined_up_to(filter, limit, usize::MAX).await?.0)
    }

    /// The same, until about so many bytes of entries have come: an entry holds the `_id` of its order, however long that is. The
    /// flag says whether more are left.
    pub async fn quarantined_up_to(
        &self,
        filter: &Filter,
        limit: usize,
        bytes: usize,
    ) -> Result<(Vec<Result<Entry, Fault>>, bool), Error> {
        let mut query = doc! {};
        if !filter.reasons.is_empty() {
            query.insert("reason", doc! { "$in": filter.reasons.iter().map(|reason| reason.name()).collect::<Vec<_>>() });
        }
        let mut id = doc! {};
        if !filter.ids.is_empty() {
            id.insert("$in", filter.ids.clone());
        }
        if !id.is_empty() {
            query.insert("_id", id);
        }
        let mut query = raw(&query);
        if let Some(after) = &filter.behind.after {
            // As an expression, because a condition ends with the type that it compares with.
            let after = field("$literal", after.as_ref());
            let mut compared = Writer::default();
            compared.array(
                "$gt",
                [Value::string("$_id").as_ref(), document_value(&after)],
            );
            let behind = field("$expr", document_value(&compared.finish()));
            query = joined(&[&query, &behind]);
        }
        let mut find = Writer::default();
        find.string("find", &self.names.quarantine)
            .document("filter", &query);
        let limits = doc! {
            "sort": { "_id": 1 }, "skip": filter.behind.passed, "limit": i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let command = joined(&[&find.finish(), &raw(&limits), &self.read_options()]);
        let (rows, cut) = self.rows_up_to(&command, bytes).await?;
        Ok((rows.iter().map(|row| self.entry(row)).collect(), cut))
    }

    /// The bytes of a quarantined order.
    pub async fn quarantined_bytes(&self, id: &str) -> Result<Option<RawDocumentBuf>, Error> {
        let command = rawdoc! { "find": self.names.quarantine_bytes.as_str(), "filter": parts_of(id), "sort": { "_id": 1 } };
        let rows = self
            .rows(&joined(&[&command, &self.read_options()]))
            .await?;
        let parts = rows
            .iter()
            .filter_map(|row| raw::find(row, "bytes").filter(|value| value.kind == kind::BINARY));
        // A binary value is its length, its subtype, then the bytes.
        let mut bytes = parts
            .flat_map(|value| &value.bytes[5..])
            .copied()
            .collect::<Vec<u8>>();
        // An order that is shorter than when it came here before leaves its last parts behind; it says its length itself.
        let length = bytes
            .first_chunk()
            .map(|length| u32::from_le_bytes(*length));
        bytes.truncate(length.map_or(0, |length| length as usize));
        Ok(RawDocumentBuf::from_bytes(bytes).ok())
    }

    /// Lets go every entry whose order is in the archive under the number that it has now. Says how many there were.
    pub async fn release_archived(&self) -> Result<usize, Error> {
        let mut released = 0;
        let mut filter = Filter::default();
        loop {
            let (found, _) = self.quarantined_up_to(&filter, 500, CHUNK_BYTES).await?;
            if found.is_empty() {
                return Ok(released);
            }
            for entry in &found {
                filter.behind.pass(&id_of(entry));
            }
            // What can't be read is left for somebody to look at.
            let entries: Vec<Entry> = found.into_iter().filter_map(Result::ok).collect();
            let ids: Vec<Value> = entries.iter().map(|entry| entry.order_id.clone()).collect();
            let archived = self.numbers(&self.names.archive, &ids).await?;
            let live = self.numbers(&self.names.orders, &ids).await?;
            // An order whose number was changed after archiving stays here until that is mended.
            let gone = entries.iter().filter(|entry| {
                let live = live.get(&entry.order_id);
                archived
                    .get(&entry.order_id)
                    .is_some_and(|archived| live.is_none_or(|live| live == archived))
            });
            let gone: Vec<String> = gone.map(|entry| entry.id.clone()).collect();
            let found = Release {
                cause: Cause::Archived,
                caller: None,
            };
            released += self.release(&gone, &found).await?;
        }
    }

    /// The numbers that a collection holds under these `_id`s.
    async fn numbers(
        &self,
        collection: &str,
        ids: &[Value],
    ) -> Result<HashMap<Value, Option<Value>>, Error> {
        let rows = self
            .rows_for("_id", ids, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", collection)
                    .document("filter", filter);
                command.document("projection", &rawdoc! { "numero_commande": 1 });
                joined(&[&command.finish(), &self.read_options()])
            })
            .await?;
        let own = |row: &RawDocumentBuf, name| raw::find(row, name).map(ValueRef::to_owned);
        Ok(rows
            .iter()
            .filter_map(|row| Some((own(row, "_id")?, own(row, NUMERO))))
            .collect())
    }
}

/// The `_id` of an entry, also of one that can't be read otherwise.
pub(crate) fn id_of(found: &Result<Entry, Fault>) -> Value {
    match found {
        Ok(entry) => Value::string(&entry.id),
        Err(fault) => fault.id.clone(),
    }
}

/// The ids of the parts begin with the entry's id and `/`, and `0` is the character that follows `/`.
pub(in crate::store) fn parts_of(id: &str) -> RawDocumentBuf {
    rawdoc! { "_id": { "$gte": format!("{id}/"), "$lt": format!("{id}0") } }
}

fn bytes_statements(order: &Order) -> Vec<RawDocumentBuf> {
    let id = entry_id(order.id());
    let parts = order.document().as_bytes().chunks(PART).enumerate();
    parts
        .map(|(part, bytes)| {
            let mut binary = Vec::with_capacity(bytes.len() + 5);
            binary.extend(
                i32::try_from(bytes.len())
                    .expect("a part is small")
                    .to_le_bytes(),
            );
            binary.push(0);
            binary.extend(bytes);
            let id = rawdoc! { "_id": format!("{id}/{part:04}") };
            let set = field(
                "bytes",
                ValueRef {
                    kind: kind::BINARY,
                    bytes: &binary,
                },
            );
            let part = joined(&[&id, &rawdoc! { "format": CURRENT }, &set]);
            let part = field("$literal", document_value(&part));
            replaced_unless_newer(&id, &part)
        })
        .collect()
}

/// Makes the entry of an order, or notes one more attempt; whether this call makes it, it notes too.
fn entry_statement(order: &Order, refusal: &Refusal, call: &str) -> RawDocumentBuf {
    let literal = |value: ValueRef<'_>| field("$literal", value);
    let text = |text: &str| literal(Value::string(text).as_ref());
    let mut set = Writer::default();
    set.document("order_id", &literal(order.id()));
    set.document(
        NUMERO,
        &order
            .numero()
            .map_or_else(|| literal(ValueRef::NULL), |numero| text(&cut(numero, 256))),
    );
    set.document("reason", &text(refusal.reason.name()))
        .document("detail", &text(&refusal.detail));
    set.int32("bytes", i32::try_from(order.size()).unwrap_or(i32::MAX))
        .int32(FORMAT, CURRENT);
    // A pipeline, because only there the database's own clock can be written. What the entry held before may be anything.
    let times = doc! {
        "first_seen": date_or("first_seen", "$$NOW"), "last_seen": "$$NOW",
        "attempts": { "$add": [millis_or("attempts", 0), 1] },
        "made_by": { "$cond": [{ "$eq": [{ "$type": "$reason" }, "missing"] }, call, "$made_by"] },
    };
    let times = raw(&times);
    let set = joined(&[&set.finish(), &times]);
    let mut merged = Writer::default();
    merged.array(
        "$mergeObjects",
        [Value::string("$$ROOT").as_ref(), document_value(&set)],
    );
    replaced_unless_newer(&rawdoc! { "_id": entry_id(order.id()) }, &merged.finish())
}

/// A statement that puts what an expression yields in the place of a document, or makes it; but not where a newer version of the
/// server wrote that document.
fn replaced_unless_newer(query: &RawDocument, expression: &RawDocument) -> RawDocumentBuf {
    let newer = rawdoc! { "$gt": [format!("${FORMAT}"), CURRENT] };
    let mut choice = Writer::with_capacity(expression.as_bytes().len() + 128);
    choice.array(
        "$cond",
        [
            document_value(&newer),
            Value::string("$$ROOT").as_ref(),
            document_value(expression),
        ],
    );
    let choice = choice.finish();
    let stage = field("$replaceWith", document_value(&choice));
    let mut statement = Writer::with_capacity(choice.as_bytes().len() + 128);
    statement
        .document("q", query)
        .array("u", [document_value(&stage)])
        .bool("upsert", true);
    statement.finish()
}

impl Store {
    /// Reads an entry from its document.
    pub fn entry(&self, row: &RawDocument) -> Result<Entry, Fault> {
        // The order's `_id` may be text that is not UTF-8.
        let order_id = raw::find(row, "order_id")
            .unwrap_or(ValueRef::NULL)
            .to_owned();
        let row = format::read(&self.names.quarantine, ENTRY, row).map_err(|fault| *fault)?;
        let text = |field| row.get_str(field).unwrap_or_default().to_owned();
        let date = |field| {
            row.get_datetime(field)
                .copied()
                .unwrap_or(DateTime::from_millis(0))
        };
        let reason = text("reason");
        Ok(Entry {
            id: text("_id"),
            order_id,
            numero: row.get_str(NUMERO).ok().map(str::to_owned),
            refusal: Refusal {
                reason: Reason::ALL
                    .into_iter()
                    .find(|known| known.name() == reason)
                    .unwrap_or(Reason::Refused),
                detail: text("detail"),
            },
            attempts: whole(row.get("attempts")),
            first_seen: date("first_seen"),
            last_seen: date("last_seen"),
            bytes: whole(row.get("bytes")),
            release: row.get_document("release").ok().and_then(release_in),
        })
    }
}
