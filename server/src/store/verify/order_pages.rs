//! Pages of the delivered orders, read as a batch reads them.

use std::collections::HashSet;

use super::reader::ComparisonReader;
use crate::{
    bytes::raw::{Value, ValueRef},
    domain::order::Order,
    store::{
        Error,
        orders::pages::{Page, PageRequest, View},
    },
};

/// Entries of the index in one page where few orders are delivered ones.
const STRIDE: i32 = 20_000;
/// The database's code for a hint at an index that is not there.
const BAD_VALUE: i32 = 2;

/// How pages are read: along which index, and in which strides. Both may turn out otherwise on the
/// way.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// The index on status and `_id`, if there is one.
    pub index: Option<String>,
    /// At most so many entries of the index at once.
    pub stride: Option<i32>,
}

impl ComparisonReader {
    /// A page of delivered orders: see [`crate::store::Store::order_page`].
    pub async fn order_page(
        &self,
        walk: &mut Walk,
        from: Option<Value>,
        limit: usize,
        view: View,
    ) -> Result<Page, Error> {
        loop {
            let request = request(walk, from.clone(), limit, view);
            match self.store().order_page(&request).await {
                // Each of the two happens once at most.
                Err(error) if error.is_slow() && walk.stride.is_none() => {
                    walk.stride = Some(STRIDE);
                }
                Err(Error::Refused {
                    code: BAD_VALUE, ..
                }) if walk.index.is_some() => walk.index = None,
                page => return page,
            }
        }
    }

    /// Parts the orders of a page into those with an `_id` before this one and the others, as the
    /// database orders them. What is not delivered any more counts among the others.
    pub async fn parted(
        &self,
        walk: &Walk,
        orders: Vec<Order>,
        from: &Value,
        to: &Value,
    ) -> Result<(Vec<Order>, Vec<Order>), Error> {
        if orders.is_empty() {
            return Ok((orders, Vec::new()));
        }
        let request = request(walk, Some(from.clone()), orders.len(), View::Ids);
        let before = self.store().order_page_up_to(&request, to.as_ref()).await?;
        let before: HashSet<ValueRef<'_>> = before.orders.iter().map(Order::id).collect();
        Ok(orders
            .into_iter()
            .partition(|order| before.contains(&order.id())))
    }
}

fn request(walk: &Walk, from: Option<Value>, limit: usize, view: View) -> PageRequest {
    PageRequest {
        from,
        limit,
        before: None,
        view,
        index: walk.index.clone(),
        stride: walk.stride,
    }
}
