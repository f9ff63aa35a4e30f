//! What is left to ask of pairs: whether an order has a second archived document under its number,
//! and whether its names are still those of the references.

use bson::RawDocumentBuf;

use super::{
    compared::{Sides, number, plain},
    comparer::{Work, distinct},
};
use crate::{
    bytes::raw::ValueRef,
    domain::{
        judge::{Field, fields},
        order::{Bundle, Order, Reference},
        verify::{class::Class, compare::Found, metadata::Archived},
    },
    store::{
        Error,
        verify::lookups::{Extent, Side},
    },
};

impl Work<'_> {
    /// Looks whether orders that are archived under another number have another document under
    /// their own: then that is one too many.
    pub(super) async fn look_for_others(&mut self) -> Result<(), Error> {
        let renumbered = std::mem::take(&mut self.renumbered);
        if renumbered.is_empty() {
            return Ok(());
        }
        let orders = renumbered.iter().map(|(order, ..)| order.document());
        let numbers = distinct(orders.filter_map(number));
        let extent = self.extent(Extent::Head);
        let reader = &self.comparer.reader;
        let others = reader.with_numbers(Side::Archive, &numbers, extent, self.source);
        let others = self.unclaimed(others.await?).await?;
        for (order, document, found) in renumbered {
            let numero = number(order.document());
            let others = others.iter().filter(|other| number(other) == numero);
            let others: Vec<&RawDocumentBuf> = others.collect();
            let live = Some((order.document(), true));
            if others.is_empty() {
                let archived = Some(document.as_ref());
                let sides = Sides {
                    order: live,
                    archived,
                };
                self.push(sides, found);
            }
            for other in others {
                let archived = Some(other.as_ref());
                let sides = Sides {
                    order: live,
                    archived,
                };
                self.push(sides, plain(Class::Doubled));
            }
        }
        Ok(())
    }

    /// Compares the names of orders that agree otherwise with today's references.
    pub(super) async fn compare_names(&mut self) -> Result<(), Error> {
        let agreeing = std::mem::take(&mut self.agreeing);
        if agreeing.is_empty() {
            return Ok(());
        }
        let orders: Vec<Order> = agreeing.iter().map(|(order, _)| order.clone()).collect();
        let cache = &self.comparer.cache;
        let mut columns = self.comparer.reader.references(&orders, cache).await?;
        for (at, (order, document)) in agreeing.into_iter().enumerate() {
            let bundle = Bundle {
                references: Reference::ALL.map(|reference| columns[reference as usize][at].take()),
                order,
                archived: None,
            };
            let today = fields(&bundle).values;
            let archived = Archived::read(&document).enriched();
            let changed = Field::ENRICHED.iter().zip(&today).zip(archived);
            let changed = changed
                .filter(|((_, today), kept)| kept.unwrap_or(ValueRef::NULL) != today.value());
            let changed: Vec<String> = changed
                .map(|((field, _), _)| field.name().to_owned())
                .collect();
            if !changed.is_empty() {
                let sides = Sides {
                    order: Some((bundle.order.document(), true)),
                    archived: Some(&document),
                };
                let found = Found {
                    fields: changed,
                    ..plain(Class::NamesChanged)
                };
                self.push(sides, found);
            }
        }
        Ok(())
    }
}
