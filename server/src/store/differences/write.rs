//! Differences: storing them as they are found, and what becomes of them when they are read again.

use std::collections::HashSet;

use bson::{DateTime, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::record::{BY_SETTLED, Difference, id_of};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{
        order::{LONGEST_ID, NUMERO},
        verify::{class::Class, counts::Counts, finding::Finding},
    },
    store::{
        Error, Store,
        encoding::document::{document_value, documents, joined, raw as raw_document, whole},
        state::{
            expressions::{date_or, replaced_unless_newer},
            version::{CURRENT, FORMAT, not_newer},
        },
    },
};

/// The differences of so many verifications are kept.
const KEPT: i64 = 30;

/// The differences of one verification, to write and to read: the only thing that the comparing
/// side of a verification writes.
#[derive(Clone, Debug)]
pub struct Differences {
    pub(super) store: Store,
    pub(super) verification: String,
}

/// How far a difference is told for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is to be read again.
    Candidate,
    /// It was found by a page, and need not be read again.
    Told,
    /// It was found when candidates were read again, and no page has counted it.
    Late,
}

/// What the stored differences come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that fail, and of the others those that no page has counted.
    pub counts: Counts,
    /// Delivered orders with a difference that fails the verdict and was not acknowledged.
    pub failing_orders: i64,
}

impl Store {
    /// Takes the differences away that verifications found before the latest ones with a verdict.
    /// Their counts and verdicts stay, and so does the ledger.
    pub async fn prune_differences(&self) -> Result<(), Error> {
        let Some(oldest) = self.verification_before(KEPT).await? else {
            return Ok(());
        };
        let old = doc! {
            "q": { "verification": { "$lte": &oldest }, FORMAT: not_newer() }, "limit": 0,
        };
        let old = raw_document(&old);
        let head = rawdoc! { "delete": self.names.differences.as_str() };
        self.write_all(head, "deletes", &[old]).await
    }

    /// The id of the one that has a verdict, before so many others that have one: ids sort by the time of their making.
    async fn verification_before(&self, others: i64) -> Result<Option<String>, Error> {
        let find = doc! {
            "find": &self.names.verifications, "filter": { "verdict": { "$exists": true } },
            "sort": { "_id": -1 }, "hint": { "_id": 1 }, "skip": others, "limit": 1,
            "projection": { "_id": 1 },
        };
        let find = joined(&[&raw_document(&find), &self.read_options()]);
        let rows = self.rows(&find).await?;
        let id = rows.first().and_then(|row| raw::find(row, "_id"));
        Ok(id.and_then(ValueRef::as_str).map(str::to_owned))
    }

    /// The differences of a verification.
    pub fn differences_of(&self, verification: &str) -> Differences {
        Differences {
            store: self.clone(),
            verification: verification.to_owned(),
        }
    }
}

impl Differences {
    /// Notes what was found. The same again changes nothing but what it says.
    pub async fn note(&self, found: &[(Finding, Stage)]) -> Result<(), Error> {
        let statements: Vec<RawDocumentBuf> = found
            .iter()
            .map(|(finding, stage)| self.statement(finding, *stage))
            .collect();
        let head = rawdoc! { "update": self.store.names.differences.as_str() };
        self.store.write_all(head, "updates", &statements).await
    }

    /// Takes candidates away that are no differences any more.
    pub async fn forget(&self, ids: &[String]) -> Result<(), Error> {
        let statements: Vec<RawDocumentBuf> = ids
            .iter()
            .map(|id| doc! { "q": { "_id": id.as_str(), FORMAT: not_newer() }, "limit": 1 })
            .map(|statement| raw_document(&statement))
            .collect();
        let head = rawdoc! { "delete": self.store.names.differences.as_str() };
        self.store.write_all(head, "deletes", &statements).await
    }

    /// Takes all differences of this verification away.
    pub async fn forget_all(&self) -> Result<(), Error> {
        let all = doc! {
            "q": { "verification": &self.verification, FORMAT: not_newer() }, "limit": 0,
        };
        let all = raw_document(&all);
        let head = rawdoc! { "delete": self.store.names.differences.as_str() };
        self.store.write_all(head, "deletes", &[all]).await
    }

    fn statement(&self, finding: &Finding, stage: Stage) -> RawDocumentBuf {
        let id = id_of(&self.verification, finding);
        // One that is too long for a request can't be asked for again.
        let short = |id: &&Value| id.bytes.len() <= LONGEST_ID;
        let (order, archived) = (
            finding.order_id.as_ref().filter(short),
            finding.archive_id.as_ref().filter(short),
        );
        let is_whole = order.is_some() == finding.order_id.is_some()
            && archived.is_some() == finding.archive_id.is_some();
        let mut known = Writer::default();
        known
            .string("_id", &id)
            .int32(FORMAT, CURRENT)
            .string("verification", &self.verification)
            .string("class", finding.class.name())
            .int32("rank", finding.class.rank())
            .bool("settled", stage != Stage::Candidate || !is_whole)
            .bool("late", stage == Stage::Late)
            .bool("delivered", finding.delivered)
            .string(NUMERO, &finding.numero);
        if let Some(order) = order {
            known.value("order_id", order.as_ref());
        }
        if let Some(archived) = archived {
            known.value("archive_id", archived.as_ref());
        }
        if finding.order_id.is_some() {
            let alone = Finding {
                archive_id: None,
                ..finding.clone()
            };
            known.string("order", &alone.key());
        }
        let fields: Vec<Value> = finding.fields.iter().map(|it| Value::string(it)).collect();
        known
            .array("fields", fields.iter().map(Value::as_ref))
            .string("detail", &finding.detail)
            .string("fingerprint", &finding.fingerprint);
        let known = known.finish();
        let literal = rawdoc! { "$literal": known };
        let times = raw_document(&doc! { "first_seen": date_or("first_seen", "$$NOW") });
        let mut merged = Writer::default();
        merged.array(
            "$mergeObjects",
            [document_value(&literal), document_value(&times)],
        );
        replaced_unless_newer(&rawdoc! { "_id": id }, &merged.finish())
    }

    /// When the latest of those was first seen that are still to be read again; none where nothing
    /// is.
    pub async fn latest_candidate(&self) -> Result<Option<DateTime>, Error> {
        let latest = rawdoc! { "sort": { "first_seen": -1 }, "projection": { "first_seen": 1 } };
        let rows = self.find(&self.open(None), &latest, 1).await?;
        let seen = rows.first().and_then(|row| raw::find(row, "first_seen"));
        Ok(seen.and_then(ValueRef::as_date))
    }

    /// Those that are still to be read again, behind one of them, at most so many.
    pub async fn candidates(
        &self,
        behind: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Difference>, Error> {
        let along = rawdoc! { "sort": { "_id": 1 }, "hint": BY_SETTLED };
        let rows = self.find(&self.open(behind), &along, limit).await?;
        rows.iter()
            .map(|row| self.store.difference_of(row))
            .collect()
    }

    /// Which of these differences are stored, whatever class they were found in.
    pub async fn known(&self, findings: &[Finding]) -> Result<Vec<bool>, Error> {
        let ids: Vec<String> = findings
            .iter()
            .map(|finding| id_of(&self.verification, finding))
            .collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let query = raw_document(&doc! { "_id": { "$in": &ids } });
        let id_alone = rawdoc! { "projection": { "_id": 1 } };
        let rows = self.find(&query, &id_alone, ids.len()).await?;
        let there: HashSet<&str> = rows
            .iter()
            .filter_map(|row| raw::find(row, "_id").and_then(ValueRef::as_str))
            .collect();
        Ok(ids.iter().map(|id| there.contains(id.as_str())).collect())
    }

    /// How many are stored that fail the verdict, read again or not.
    pub async fn failing(&self) -> Result<i64, Error> {
        let query = doc! { "verification": &self.verification, "rank": { "$in": failing_ranks() } };
        let command = doc! {
            "count": &self.store.names.differences, "query": query,
            "readConcern": { "level": "majority" }, "maxTimeMS": self.store.max_time(),
        };
        let command = raw_document(&command);
        let reply = self.store.retry(|| self.store.run(command.clone())).await?;
        Ok(whole(reply.get("n")))
    }

    /// What the stored differences come to.
    pub async fn tally(&self) -> Result<Tally, Error> {
        let acknowledged = doc! { "$gt": ["$acknowledged", bson::Bson::Null] };
        let failing = doc! { "$in": ["$rank", failing_ranks()] };
        let failed = doc! { "rank": { "$in": failing_ranks() }, "delivered": true, "acknowledged": bson::Bson::Null };
        let pipeline = [
            doc! { "$match": { "verification": &self.verification, "settled": true } },
            doc! { "$facet": {
                "classes": [
                    { "$match": { "$expr": { "$or": [failing, "$late"] } } },
                    { "$group": { "_id": { "class": "$class", "acknowledged": acknowledged }, "n": { "$sum": 1 } } },
                ],
                "orders": [{ "$match": failed }, { "$group": { "_id": "$order" } }, { "$count": "n" }],
            } },
        ];
        let command = raw_document(&doc! {
            "aggregate": &self.store.names.differences, "pipeline": &pipeline[..], "cursor": {}, "allowDiskUse": true,
        });
        let command = joined(&[&command, &self.store.read_options()]);
        let rows = self.store.rows(&command).await?;
        let mut tally = Tally::default();
        let Some(row) = rows
            .first()
            .and_then(|row| bson::Document::try_from(row.as_ref()).ok())
        else {
            return Ok(tally);
        };
        for group in documents(&row, "classes") {
            let n = whole(group.get("n"));
            let key = group.get_document("_id").ok();
            let acknowledged = key.is_some_and(|key| key.get_bool("acknowledged").unwrap_or(false));
            let class = key.and_then(|key| Class::of_name(key.get_str("class").ok()?));
            match class {
                Some(class) if class.fails() && acknowledged => tally.counts.acknowledged += n,
                Some(class) => *tally.counts.of_mut(class) += n,
                None => {}
            }
        }
        let orders = documents(&row, "orders").next();
        tally.failing_orders = orders.map_or(0, |orders| whole(orders.get("n")));
        Ok(tally)
    }

    fn open(&self, behind: Option<&str>) -> RawDocumentBuf {
        let mut query = doc! { "verification": &self.verification, "settled": false };
        if let Some(behind) = behind {
            query.insert("_id", doc! { "$gt": behind });
        }
        raw_document(&query)
    }

    pub(super) async fn find(
        &self,
        query: &RawDocument,
        walk: &RawDocument,
        limit: usize,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let mut find = Writer::default();
        find.string("find", &self.store.names.differences)
            .document("filter", query)
            .int32("limit", limit)
            .int32("batchSize", limit);
        let command = joined(&[&find.finish(), walk, &self.store.read_options()]);
        self.store.rows(&command).await
    }
}

/// The places of the classes that fail the verdict.
pub(super) fn failing_ranks() -> Vec<i32> {
    let failing = Class::ALL.into_iter().filter(|class| class.fails());
    failing.map(Class::rank).collect()
}
