//! Gather: reads orders and everything that hangs off them, as majority-committed bundles.
//!
//! There are two ways with one result. A single order comes with all its references in one `$lookup` aggregation, one round
//! trip. Several come with one `find` for each kind of reference, joined here: that costs the database a third of the CPU.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bson::{Document, RawDocument, RawDocumentBuf, doc, rawdoc};

use super::{
    Error, Store,
    command::{document, document_value, field, is_any_of, joined},
    references::{ById, Memory, projection},
};
use crate::domain::{
    enrich::MISSING_FIELDS,
    join_key::JoinKey,
    order::{AlreadyArchived, Bundle, NUMERO, Order, Reference},
    raw::{self, Value, ValueRef, Writer},
};

/// Up to this many orders are gathered by `$lookup`: its cost grows with each order, that of the finds hardly does.
const FEW: usize = 1;
/// A chunk is cut once its orders hold this many bytes, so that memory stays bounded however large they are.
pub(super) const CHUNK_BYTES: usize = 16 * 1024 * 1024;
/// The types that can be ids: see [`JoinKey`].
const ID_TYPES: [&str; 6] = ["int", "long", "double", "decimal", "string", "objectId"];

/// Which orders to gather.
#[derive(Clone, Debug)]
pub enum Selection {
    /// These orders, by their `_id`.
    Ids(Vec<Value>),
    /// These orders, read a moment ago, of which the archive holds none; what they refer to may be remembered.
    Read(Vec<Order>, Arc<Memory>),
}

/// What was gathered.
#[derive(Debug)]
pub struct Gathered {
    /// The bundles.
    pub bundles: Vec<Bundle>,
    /// What was left out because the orders are large; gather it next.
    pub rest: Option<Selection>,
}

impl Store {
    /// Reads the selected orders with everything that hangs off them. Orders that do not exist are simply not there.
    pub async fn gather(&self, selection: &Selection) -> Result<Gathered, Error> {
        match selection {
            Selection::Ids(ids) if ids.len() <= FEW => match self.gather_by_lookup(ids).await {
                Ok(bundles) => Ok(Gathered {
                    bundles,
                    rest: None,
                }),
                // Bundles too large for one reply, or data that an expression chokes on: the finds meet neither limit.
                Err(Error::Refused { .. }) => self.gather_by_find(ids).await,
                Err(error) => Err(error),
            },
            Selection::Ids(ids) => self.gather_by_find(ids).await,
            Selection::Read(orders, memory) => {
                let references = self.references_remembered(orders, memory).await?;
                Ok(Gathered {
                    bundles: bundles(orders.clone(), &references, &HashMap::new()),
                    rest: None,
                })
            }
        }
    }

    /// Gathers with one aggregation.
    pub async fn gather_by_lookup(&self, ids: &[Value]) -> Result<Vec<Bundle>, Error> {
        let mut pipeline = vec![field("$match", document_value(&is_any_of("_id", ids)))];
        let stages = lookup_stages(self);
        pipeline.extend(stages.iter().map(raw_document));
        let mut command = Writer::default();
        command.string("aggregate", &self.names.orders);
        command.array(
            "pipeline",
            pipeline.iter().map(|stage| document_value(stage)),
        );
        command.document("cursor", &rawdoc! {});
        let command = joined(&[&command.finish(), &self.read_options()]);
        self.rows(&command)
            .await?
            .iter()
            .map(|row| bundle_of_row(row))
            .collect()
    }

    /// Gathers with one `find` for the orders and one for each kind of reference.
    pub async fn gather_by_find(&self, ids: &[Value]) -> Result<Gathered, Error> {
        let mut command = Writer::default();
        command
            .string("find", &self.names.orders)
            .document("filter", &is_any_of("_id", ids))
            .int32("batchSize", i32::MAX);
        let command = joined(&[&command.finish(), &self.read_options()]);
        let (documents, cut) = self.rows_up_to(&command, CHUNK_BYTES).await?;
        let orders: Vec<Order> = documents.into_iter().map(Order::new).collect();
        let rest = cut.then(|| Selection::Ids(without(ids, &orders)));
        let (references, archived) =
            futures::try_join!(self.references(&orders), self.already_archived(&orders))?;
        let bundles = bundles(orders, &references, &archived);
        Ok(Gathered { bundles, rest })
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
                    .document("projection", &raw_document(&archived_projection()));
                joined(&[&command.finish(), &self.read_options()])
            })
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some((raw::find(row, "_id")?.to_owned(), already_archived(row))))
            .collect())
    }
}

pub(super) fn raw_document(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("commands are built of values that BSON can hold")
}

/// Joins orders with the documents that they refer to and with their places in the archive.
fn bundles(
    orders: Vec<Order>,
    references: &[ById],
    archived: &HashMap<Value, AlreadyArchived>,
) -> Vec<Bundle> {
    let bundle = |order: Order| Bundle {
        references: Reference::ALL.map(|reference| {
            references[reference as usize]
                .get(&JoinKey::of(order.get(reference.id_field())?)?)
                .cloned()
        }),
        archived: archived.get(&order.id().to_owned()).cloned(),
        order,
    };
    orders.into_iter().map(bundle).collect()
}

/// What is left to gather after the orders of a cut chunk.
fn without(ids: &[Value], gathered: &[Order]) -> Vec<Value> {
    let done: HashSet<ValueRef<'_>> = gathered.iter().map(Order::id).collect();
    ids.iter()
        .filter(|id| !done.contains(&id.as_ref()))
        .cloned()
        .collect()
}

fn archived_projection() -> Document {
    doc! { NUMERO: 1, MISSING_FIELDS: 1 }
}

fn already_archived(archived: &RawDocument) -> AlreadyArchived {
    let missing = raw::find(archived, MISSING_FIELDS).unwrap_or(ValueRef::NULL);
    AlreadyArchived {
        numero: raw::find(archived, NUMERO)
            .and_then(ValueRef::as_str)
            .map(str::to_owned),
        missing: missing
            .elements()
            .filter_map(|element| element.value.as_str())
            .map(str::to_owned)
            .collect(),
    }
}

/// The stages after the `$match`: they wrap each order, so that no field of it can be mistaken for one of the joins, and look
/// up what hangs off it. An id that is none is replaced by one that nobody has: `$lookup` joins a missing id with every document
/// whose id is missing too, and a list with each of its members.
fn lookup_stages(store: &Store) -> Vec<Document> {
    let is_id = |path: &str| doc! { "$in": [{ "$type": path }, &ID_TYPES[..]] };
    let nobody = bson::Uuid::new();
    let mut wrap = doc! { "_id": 0, "order": "$$ROOT" };
    for reference in Reference::ALL {
        let path = format!("${}", reference.id_field());
        wrap.insert(
            key_name(reference),
            doc! { "$cond": [is_id(&path), &path, nobody] },
        );
    }
    let mut stages = vec![doc! { "$project": wrap }];
    for reference in Reference::ALL {
        let id = reference.id_field();
        stages.push(doc! { "$lookup": {
            "from": store.names.of(reference), "localField": key_name(reference), "foreignField": id, "as": joined_name(reference),
            "pipeline": [
                { "$match": { "$expr": is_id(&format!("${id}")) } },
                { "$sort": { "_id": 1 } }, { "$limit": 1 }, { "$project": projection(reference) },
            ],
        } });
    }
    stages.push(doc! { "$lookup": {
        "from": &store.names.archive, "localField": "order._id", "foreignField": "_id", "as": "archived",
        "pipeline": [{ "$project": archived_projection() }],
    } });
    stages
}

fn key_name(reference: Reference) -> String {
    format!("key{}", reference as usize)
}

fn joined_name(reference: Reference) -> String {
    format!("joined{}", reference as usize)
}

fn bundle_of_row(row: &RawDocument) -> Result<Bundle, Error> {
    let first = |name: &str| {
        raw::find(row, name)
            .and_then(|list| list.elements().next())
            .map(|element| document(element.value))
            .transpose()
    };
    let order = raw::find(row, "order")
        .ok_or_else(|| Error::Unusable("the database answered without the order".to_owned()))?;
    let [client, livreur, restaurant, menu] =
        Reference::ALL.map(|reference| first(&joined_name(reference)));
    Ok(Bundle {
        order: Order::new(document(order)?),
        references: [
            client?.map(Arc::new),
            livreur?.map(Arc::new),
            restaurant?.map(Arc::new),
            menu?.map(Arc::new),
        ],
        archived: first("archived")?.map(|archived| already_archived(&archived)),
    })
}
