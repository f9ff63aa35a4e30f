//! Gather: reads orders and everything that hangs off them, as majority-committed bundles.
//!
//! There are two ways with one result. A single order comes with all its references in one
//! `$lookup` aggregation, one round trip. Several come with one `find` for each kind of reference,
//! joined here: that costs the database a third of the CPU.

use std::{
    collections::{HashMap, HashSet},
    mem::take,
    sync::Arc,
};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::references::{Column, ReferenceCache, projection};
use crate::{
    bytes::{
        join_key::JoinKey,
        raw::{self, Value, ValueRef, Writer, kind},
    },
    domain::{
        enrich::MISSING_FIELDS,
        order::{AlreadyArchived, Bundle, NUMERO, Order, Reference, STATUS},
    },
    store::{
        Error, Store,
        archive::read::{SIZE, in_brief, missing_fields},
        encoding::document::{document_value, field, is_any_of, joined, raw},
        wire::{command::CHUNK_BYTES, reply::document},
    },
};

/// Up to this many orders are gathered by `$lookup`: its cost grows with each order, that of the
/// finds hardly does.
const FEW: usize = 1;
/// The largest order that is read whole when it is asked for by number, in bytes: as many as the
/// coalescer serves at once fit a chunk.
pub const LARGE: usize = 32 * 1024;
/// Marks rows that hold no more of an order than its head.
const HEAD_ALONE: &str = "head_alone";
/// The types that can be ids: see [`JoinKey`].
const ID_TYPES: [&str; 6] = ["int", "long", "double", "decimal", "string", "objectId"];

/// Which orders to gather.
#[derive(Clone, Debug)]
pub enum Selection {
    /// The orders with these `_id`s, which have been delivered.
    Ids(Vec<Value>),
    /// The orders with these `_id`s, which may have been delivered or not.
    Candidates(Vec<Value>),
    /// The orders with these numbers, which are strings; two orders can share one. Of those over
    /// 32 KiB only the head is read, which is enough unless they are to be written.
    Numbers(Vec<Value>),
    /// These orders, read a moment ago, of which the archive holds none; what they refer to may be
    /// remembered.
    Read(Vec<Order>, Arc<ReferenceCache>),
}

/// What was gathered.
#[derive(Debug)]
pub struct Gathered {
    /// The bundles.
    pub bundles: Vec<Bundle>,
    /// What was left out because the orders are large; gather it next.
    pub rest: Option<Selection>,
}

impl Selection {
    /// Whether it selects no order.
    pub fn is_empty(&self) -> bool {
        match self {
            Selection::Ids(values) | Selection::Candidates(values) | Selection::Numbers(values) => {
                values.is_empty()
            }
            Selection::Read(orders, _) => orders.is_empty(),
        }
    }
}

impl Store {
    /// Reads the selected orders with everything that hangs off them. Orders that do not exist are
    /// simply not there.
    pub async fn gather_orders(&self, selection: &Selection) -> Result<Gathered, Error> {
        let (name, values) = match selection {
            Selection::Ids(ids) | Selection::Candidates(ids) => ("_id", ids),
            Selection::Numbers(numbers) => (NUMERO, numbers),
            Selection::Read(orders, cache) => {
                let references = self.references(orders, cache).await?;
                return Ok(Gathered {
                    bundles: bundles(orders.clone(), references, &HashMap::new()),
                    rest: None,
                });
            }
        };
        // A `$lookup` compares as the orders do, and walks all of an archive that does otherwise.
        if values.len() <= FEW && self.ids_are_bytes().await? {
            match self.gather_by_lookup(name, values).await {
                Ok(Some(bundles)) => {
                    return Ok(Gathered {
                        bundles,
                        rest: None,
                    });
                }
                // Bundles too large for one reply, or data that an expression chokes on: the finds
                // meet neither limit.
                Ok(None) | Err(Error::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut gathered = self.gather_by_find(name, values).await?;
        if let (Selection::Ids(_), Some(Selection::Candidates(rest))) =
            (selection, &mut gathered.rest)
        {
            gathered.rest = Some(Selection::Ids(take(rest)));
        }
        Ok(gathered)
    }

    /// Gathers with one aggregation the orders that have one of these values in a field, `_id` or
    /// the number. None where an order refers to an id that several documents have: which of them
    /// counts is for the finds to tell.
    pub async fn gather_by_lookup(
        &self,
        name: &str,
        values: &[Value],
    ) -> Result<Option<Vec<Bundle>>, Error> {
        let mut pipeline = vec![field("$match", document_value(&is_any_of(name, values)))];
        let stages = lookup_stages(self, name);
        pipeline.extend(stages.iter().map(raw));
        let mut command = Writer::default();
        command.string("aggregate", &self.names.orders);
        command.array(
            "pipeline",
            pipeline.iter().map(|stage| document_value(stage)),
        );
        command.document("cursor", &rawdoc! {});
        let command = joined(&[&command.finish(), &self.read_options()]);
        let rows = self.rows(&command).await?;
        let is_asked_for = asked_for(name, values);
        let mut bundles = Vec::with_capacity(rows.len());
        for row in &rows {
            let order = order_of_row(row)?;
            if !is_asked_for(&order) {
                continue;
            }
            match bundle_of_row(order, row)? {
                Some(bundle) => bundles.push(bundle),
                None => return Ok(None),
            }
        }
        Ok(Some(bundles))
    }

    /// Gathers the orders that have one of these values in a field, `_id` or the number, with one
    /// `find` for them and one for each kind of reference.
    pub async fn gather_by_find(&self, name: &str, values: &[Value]) -> Result<Gathered, Error> {
        let mut command = Writer::default();
        command
            .string("find", &self.names.orders)
            .document("filter", &is_any_of(name, values))
            .int32("batchSize", i32::MAX);
        let by_number = name == NUMERO;
        if by_number {
            let mut shown = doc! { "_id": 0 };
            shown.extend(order_or_head());
            command.document("projection", &raw(&shown));
        }
        let command = joined(&[&command.finish(), &self.read_options()]);
        let (rows, cut) = self.rows_up_to(&command, CHUNK_BYTES).await?;
        let mut orders: Vec<Order> = match by_number {
            true => rows
                .iter()
                .map(|row| order_of_row(row))
                .collect::<Result<_, _>>()?,
            false => rows.into_iter().map(Order::new).collect(),
        };
        orders.retain(asked_for(name, values));
        let rest = match cut {
            true => {
                let left = self.left_out(name, values, &orders).await?;
                Some(Selection::Candidates(left))
            }
            false => None,
        };
        // Nothing is remembered: callers may have changed a name just now.
        let cache = ReferenceCache::default();
        let (references, archived) = futures::try_join!(
            self.references(&orders, &cache),
            self.already_archived(&orders)
        )?;
        let bundles = bundles(orders, references, &archived);
        Ok(Gathered { bundles, rest })
    }

    /// The `_id`s of what is left to gather after the orders of a cut chunk.
    async fn left_out(
        &self,
        name: &str,
        values: &[Value],
        gathered: &[Order],
    ) -> Result<Vec<Value>, Error> {
        let mut ids = match name {
            NUMERO => self.ids_of(values).await?,
            _ => values.to_vec(),
        };
        let done: HashSet<ValueRef<'_>> = gathered.iter().map(Order::id).collect();
        ids.retain(|id| !done.contains(&id.as_ref()));
        Ok(ids)
    }

    /// What the archive holds under the orders' `_id`s.
    async fn already_archived(
        &self,
        orders: &[Order],
    ) -> Result<HashMap<Value, AlreadyArchived>, Error> {
        let ids: Vec<Value> = orders.iter().map(|order| order.id().to_owned()).collect();
        let rows = self
            .rows_for("_id", &ids, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("filter", filter)
                    .document("projection", &raw(&in_brief("$")));
                joined(&[&command.finish(), &self.read_options()])
            })
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some((raw::find(row, "_id")?.to_owned(), already_archived(row))))
            .collect())
    }
}

/// Joins orders with the documents that they refer to and with their places in the archive.
fn bundles(
    orders: Vec<Order>,
    mut references: Vec<Column>,
    archived: &HashMap<Value, AlreadyArchived>,
) -> Vec<Bundle> {
    let place = |order: &Order| match archived.is_empty() {
        true => None,
        false => archived.get(&order.id().to_owned()).cloned(),
    };
    let bundle = |(at, order): (usize, Order)| Bundle {
        references: Reference::ALL.map(|reference| references[reference as usize][at].take()),
        archived: place(&order),
        order,
    };
    orders.into_iter().enumerate().map(bundle).collect()
}

/// Tells orders that were asked for from others that the database takes for them: to it a list is
/// each of its members, and a symbol its text, but neither is a number.
fn asked_for<'v>(name: &str, values: &'v [Value]) -> impl Fn(&Order) -> bool + 'v {
    let numbers: Option<HashSet<ValueRef<'v>>> =
        (name == NUMERO).then(|| values.iter().map(Value::as_ref).collect());
    move |order| match &numbers {
        Some(numbers) => order
            .get(NUMERO)
            .is_some_and(|numero| numbers.contains(&numero)),
        None => true,
    }
}

/// The order itself, or the head of one that is large.
fn order_or_head() -> Document {
    let fits = doc! { "$lte": [SIZE.clone(), LARGE as i64] };
    let field = |name: &str| (name.to_owned(), Bson::from(format!("${name}")));
    let head: Document = ["_id", NUMERO, STATUS].into_iter().map(field).collect();
    doc! {
        "order": { "$cond": [&fits, "$$ROOT", head] },
        HEAD_ALONE: { "$cond": [&fits, "$$REMOVE", true] },
    }
}

fn order_of_row(row: &RawDocument) -> Result<Order, Error> {
    let order = raw::find(row, "order")
        .ok_or_else(|| Error::Unusable("the database answered without the order".to_owned()))?;
    let order = document(order)?;
    Ok(match raw::find(row, HEAD_ALONE) {
        None => Order::new(order),
        Some(_) => Order::head(order),
    })
}

fn already_archived(archived: &RawDocument) -> AlreadyArchived {
    AlreadyArchived {
        numero: raw::find(archived, NUMERO)
            .and_then(ValueRef::as_str)
            .map(str::to_owned),
        missing: missing_fields(archived),
    }
}

/// The stages after the `$match`: they wrap each order, so that no field of it can be mistaken for
/// one of the joins, and look up what hangs off it. An id that is none is replaced by one that
/// nobody has: `$lookup` joins a missing id with every document whose id is missing too, and a list
/// with each of its members.
fn lookup_stages(store: &Store, name: &str) -> Vec<Document> {
    let is_id = |path: &str| doc! { "$in": [{ "$type": path }, &ID_TYPES[..]] };
    let nobody = bson::Uuid::new();
    let mut wrap = doc! { "_id": 0 };
    match name {
        NUMERO => wrap.extend(order_or_head()),
        _ => drop(wrap.insert("order", "$$ROOT")),
    }
    for reference in Reference::ALL {
        let path = format!("${}", reference.id_field());
        wrap.insert(
            key_name(reference),
            doc! { "$cond": [is_id(&path), &path, nobody] },
        );
    }
    let mut stages = vec![doc! { "$project": wrap }];
    // What is joined is cut down afterwards, once for all: a pipeline of its own in each `$lookup`
    // costs several times as much.
    let mut needed = doc! { "order": 1, HEAD_ALONE: 1 };
    let mut join = |from: &str, local: &str, foreign: &str, into: String, projection: Document| {
        stages.push(doc! { "$lookup": { "from": from, "localField": local, "foreignField": foreign, "as": &into } });
        needed.insert(into, projection);
    };
    for reference in Reference::ALL {
        let local = key_name(reference);
        let (from, id) = (store.names.of(reference), reference.id_field());
        let mut needed = projection(reference);
        needed.remove("_id");
        join(from, &local, id, joined_name(reference), needed);
    }
    join(
        &store.names.archive,
        "order._id",
        "_id",
        "archived".to_owned(),
        doc! { NUMERO: 1, MISSING_FIELDS: 1 },
    );
    stages.push(doc! { "$project": needed });
    stages
}

fn key_name(reference: Reference) -> String {
    format!("key{}", reference as usize)
}

fn joined_name(reference: Reference) -> String {
    format!("joined{}", reference as usize)
}

/// None when several documents have the id of a reference, or when another program has archived the
/// order, so that there is no list of what is missing: the finds look for the fields themselves.
fn bundle_of_row(order: Order, row: &RawDocument) -> Result<Option<Bundle>, Error> {
    let joined = |name: &str| raw::find(row, name).unwrap_or(ValueRef::NULL).elements();
    let mut references = [None, None, None, None];
    for reference in Reference::ALL {
        let id = reference.id_field();
        let key = order.get(id).and_then(JoinKey::of);
        // A document whose id is a list is joined by each of its members; it is nobody's id.
        let is_it = |candidate: &RawDocumentBuf| {
            key.is_some() && raw::find(candidate, id).and_then(JoinKey::of) == key
        };
        for candidate in joined(&joined_name(reference)) {
            let candidate = document(candidate.value)?;
            if is_it(&candidate)
                && references[reference as usize]
                    .replace(Arc::new(candidate))
                    .is_some()
            {
                return Ok(None);
            }
        }
    }
    let archived = joined("archived").next();
    let archived = archived
        .map(|archived| document(archived.value))
        .transpose()?;
    let has_list = |archived: &RawDocumentBuf| {
        raw::find(archived, MISSING_FIELDS).is_some_and(|list| list.kind == kind::ARRAY)
    };
    if !archived.as_ref().is_none_or(has_list) {
        return Ok(None);
    }
    Ok(Some(Bundle {
        order,
        references,
        archived: archived.map(|archived| already_archived(&archived)),
    }))
}
