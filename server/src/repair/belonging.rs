//! Belonging: what the archive holds of one order at this moment, and which of it may stay.

use bson::RawDocumentBuf;

use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        order::{NUMERO, Order, STATUS},
        verify::{
            compare::{Match, compare},
            finding::Finding,
            id_key::IdKey,
            metadata::Archived,
        },
    },
    store::{
        Error,
        verify::{
            lookups::{Extent, Side, Source::Primary},
            reader::ComparisonReader,
        },
    },
};

/// A delivered order, and the archived documents that belong to it.
pub(super) struct Belonging {
    order: Order,
    /// The document that is its archive; none where there is none.
    pub(super) keeper: Option<RawDocumentBuf>,
    /// The others.
    pub(super) surplus: Vec<RawDocumentBuf>,
}

/// What a look came to.
pub(super) enum Found {
    Order(Belonging),
    /// There is no such order.
    NoOrder,
    /// Its status is another one.
    NotDelivered,
}

impl Belonging {
    /// Looks at the order of a difference, and at all that the archive holds of it.
    pub(super) async fn look(reader: &ComparisonReader, finding: &Finding) -> Result<Found, Error> {
        let ids: Vec<Value> = finding.order_id.iter().cloned().collect();
        let mut orders = reader
            .with_ids(Side::Orders, &ids, Extent::Whole, Primary)
            .await?;
        let Some(order) = orders.pop().map(Order::new) else {
            return Ok(Found::NoOrder);
        };
        let status = order.get(STATUS).and_then(ValueRef::as_str);
        if status != Some(reader.delivered()) {
            return Ok(Found::NotDelivered);
        }
        let own = IdKey::of(order.id());
        let mut belonging = Belonging {
            order,
            keeper: None,
            surplus: Vec::new(),
        };
        for document in belonging.archived(reader, finding).await? {
            let by = match raw::find(&document, "_id") {
                Some(id) if IdKey::of(id) == own => Match::Id,
                _ => Match::Number,
            };
            if by == Match::Number && is_of_another_order(reader, &document).await? {
                continue;
            }
            let archived = Archived::read(&document);
            let found = compare(belonging.order.document(), &archived, by);
            // Under another `_id` than its order's only the script before archd left documents.
            let has_its_id = by == Match::Id || !archived.has_list();
            let may_stay = has_its_id && found.is_none_or(|found| !found.class.fails());
            match may_stay && belonging.keeper.is_none() {
                true => belonging.keeper = Some(document),
                false => belonging.surplus.push(document),
            }
        }
        Ok(Found::Order(belonging))
    }

    /// What the archive holds under the order's `_id`, under its number, and under the `_id` of the
    /// difference: each document once, that of the `_id` first.
    async fn archived(
        &self,
        reader: &ComparisonReader,
        finding: &Finding,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let ids: Vec<Value> = std::iter::once(self.order_id())
            .chain(finding.archive_id.clone())
            .collect();
        let mut documents = reader
            .with_ids(Side::Archive, &ids, Extent::Whole, Primary)
            .await?;
        if let Some(numero) = self.order.numero() {
            let numero = [Value::string(numero)];
            let same = reader.with_numbers(Side::Archive, &numero, Extent::Whole, Primary);
            documents.extend(same.await?);
        }
        let own = IdKey::of(self.order.id());
        let key = |document: &RawDocumentBuf| {
            IdKey::of(raw::find(document, "_id").unwrap_or(ValueRef::NULL))
        };
        documents.sort_by_key(|document| key(document) != own);
        let mut seen = std::collections::HashSet::new();
        documents.retain(|document| seen.insert(key(document)));
        // What was found under the `_id` of the difference may have another number by now.
        documents.retain(|document| {
            key(document) == own || raw::find(document, NUMERO) == self.order.get(NUMERO)
        });
        Ok(documents)
    }

    /// The `_id` of the order.
    pub(super) fn order_id(&self) -> Value {
        self.order.id().to_owned()
    }

    /// Whether the archive holds the order once, as it should.
    pub(super) fn is_as_it_should_be(&self) -> bool {
        self.keeper.is_some() && self.surplus.is_empty()
    }
}

/// Whether an archived document belongs by its `_id` to a live order.
async fn is_of_another_order(
    reader: &ComparisonReader,
    document: &RawDocumentBuf,
) -> Result<bool, Error> {
    let id = raw::find(document, "_id")
        .unwrap_or(ValueRef::NULL)
        .to_owned();
    let orders = reader
        .with_ids(Side::Orders, &[id], Extent::Id, Primary)
        .await?;
    Ok(!orders.is_empty())
}
