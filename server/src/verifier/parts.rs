//! Parts: both collections, walked beside each other in ranges of `_id`s, several of them at once.
//!
//! The delivered orders are read page by page, ahead of their comparison, and for each page the
//! archived documents of its range. An order that is delivered or archived in between is looked up
//! by its `_id` before anything is said of it. Where the archive holds far more documents than
//! orders, the range of a page is compared in several parts, so that none is larger than another.
//!
//! Where the `_id`s of the two collections have no common order, because one of them has a
//! collation, the orders are walked first, and then the archive.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{
    compared::Compared,
    comparer::{Comparer, Way},
    pace::Pace,
};
use crate::{
    bytes::raw::{Value, ValueRef},
    domain::{order::Order, verify::progress::Position},
    store::{
        Error,
        orders::pages::{Page, View},
        verify::{
            lookups::{Extent, Side, Source},
            order_pages::Walk,
        },
    },
};

/// Pages that are compared at once.
const PAGES: usize = 4;
/// A page of bare `_id`s holds this many times as many orders.
const IDS_FOR_ONE: usize = 20;
/// A part holds at most this many archived documents for each order that a page may hold.
const DENSITY: usize = 2;

/// What was compared, part by part: together those that were done together.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Vec<Result<Part, Error>>> + Send>>;

/// A part of what is compared.
pub(super) struct Part {
    pub(super) compared: Compared,
    /// How many orders and documents the pace was told of.
    pub(super) taken: usize,
    /// Where to go on; none after the last one.
    pub(super) next: Option<Position>,
}

/// Where parts come from.
pub(super) struct PartSource<P> {
    pub(super) comparer: Arc<Comparer>,
    pub(super) pace: Arc<P>,
    /// How many whole orders a page holds.
    pub(super) chunk: usize,
}

impl<P> Clone for PartSource<P> {
    fn clone(&self) -> Self {
        PartSource {
            comparer: self.comparer.clone(),
            pace: self.pace.clone(),
            chunk: self.chunk,
        }
    }
}

impl<P: Pace> PartSource<P> {
    /// The parts from a position on; from none from the beginning.
    pub(super) fn parts(&self, from: Option<Position>) -> Parts {
        let first = || ValueRef::MIN_KEY.to_owned();
        let side_by_side = self.comparer.access.side_by_side;
        match from {
            Some(Position::Archive(from)) => self.of_archive(from),
            Some(Position::Orders(from)) => self.of_orders(Way::Orders, from),
            Some(Position::Both(from)) => self.of_orders(Way::Range, from),
            _ if side_by_side => self.of_orders(Way::Range, first()),
            _ => self.of_orders(Way::Orders, first()),
        }
    }

    fn of_orders(&self, way: Way, from: Value) -> Parts {
        let (sender, pages) = mpsc::channel(1);
        let source = self.clone();
        let reading = async move { source.read_orders(from, sender).await };
        let reader = AbortOnDropHandle::new(tokio::spawn(reading.in_current_span()));
        let source = self.clone();
        let compare = move |(walk, from, page)| source.start(way, walk, from, page);
        let pages = ReceiverStream::new(pages).map(compare).buffered(PAGES);
        let orders = ending(pages.flatten(), reader);
        match way {
            Way::Orders => {
                let source = self.clone();
                let archive = async move { source.of_archive(ValueRef::MIN_KEY.to_owned()) };
                Box::pin(orders.chain(stream::once(archive).flatten()))
            }
            _ => orders,
        }
    }

    async fn read_orders(
        self,
        mut from: Value,
        sender: mpsc::Sender<(Walk, Value, Page)>,
    ) -> Result<(), Error> {
        let view = match self.comparer.compares() {
            true => View::Whole,
            false => View::Ids,
        };
        let mut walk = Walk {
            index: self.comparer.access.paging_index.clone(),
            stride: None,
        };
        loop {
            let limit = self.page_size().min(self.pace.portion());
            self.pace.admit(limit).await;
            let page = self
                .comparer
                .reader
                .order_page(&mut walk, Some(from.clone()), limit, view)
                .await?;
            self.pace.took(page.orders.len());
            let next = page.next.clone();
            if sender.send((walk.clone(), from, page)).await.is_err() {
                return Ok(());
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn page_size(&self) -> usize {
        match self.comparer.compares() {
            true => self.chunk,
            false => self.chunk * IDS_FOR_ONE,
        }
    }

    /// Begins to compare a page; ready with its first part, while the others are still to come.
    fn start(
        &self,
        way: Way,
        walk: Walk,
        from: Value,
        page: Page,
    ) -> impl Future<Output = Pin<Box<dyn Stream<Item = Result<Part, Error>> + Send>>> + Send + use<P>
    {
        let (sender, mut parts) = mpsc::channel(1);
        let source = self.clone();
        let comparing = async move {
            match way {
                Way::Range => source.compare_range(walk, from, page, sender).await,
                _ => source.compare_orders(page, sender).await,
            }
        };
        let task = AbortOnDropHandle::new(tokio::spawn(comparing.in_current_span()));
        async move {
            let first = parts.recv().await;
            let parts = stream::iter(first).chain(ReceiverStream::new(parts));
            ended(parts, task)
        }
    }

    /// Compares the orders of a page with the archived documents of its range.
    async fn compare_range(
        self,
        walk: Walk,
        mut from: Value,
        page: Page,
        sender: mpsc::Sender<Part>,
    ) -> Result<(), Error> {
        let reader = &self.comparer.reader;
        let extent = self.extent();
        let limit = self.page_size() * DENSITY;
        let mut taken = page.orders.len();
        let mut orders = page.orders;
        let mut is_first = true;
        loop {
            if !is_first {
                self.pace.due().await;
            }
            let archived = reader
                .archive_page(&from, page.next.as_ref(), extent, limit)
                .await?;
            if !is_first {
                // Done at once: to wait for what is under way would be to wait for the pages behind
                // this one, which wait for it.
                let documents = archived.documents.len();
                self.pace.took(documents);
                self.pace.done(documents);
            }
            let (here, later) = match &archived.next {
                None => (orders, Vec::new()),
                Some(next) => reader.parted(&walk, orders, &from, next).await?,
            };
            orders = later;
            let compared =
                self.comparer
                    .compare(Way::Range, Source::Bulk, here, archived.documents);
            let next = archived.next.as_ref().or(page.next.as_ref());
            let part = Part {
                compared: compared.await?,
                taken,
                next: next.cloned().map(Position::Both),
            };
            if sender.send(part).await.is_err() {
                return Ok(());
            }
            let Some(next) = archived.next else {
                return Ok(());
            };
            from = next;
            (taken, is_first) = (0, false);
        }
    }

    /// Compares the orders of a page with what the archive holds under their `_id`s.
    async fn compare_orders(self, page: Page, sender: mpsc::Sender<Part>) -> Result<(), Error> {
        let taken = page.orders.len();
        let ids: Vec<Value> = page
            .orders
            .iter()
            .map(Order::id)
            .map(ValueRef::to_owned)
            .collect();
        let reader = &self.comparer.reader;
        let archived = reader.with_ids(Side::Archive, &ids, self.extent(), Source::Bulk);
        let archived = archived.await?;
        let compared = self
            .comparer
            .compare(Way::Orders, Source::Bulk, page.orders, archived);
        let next = match page.next {
            Some(next) => Position::Orders(next),
            None => Position::Archive(ValueRef::MIN_KEY.to_owned()),
        };
        let part = Part {
            compared: compared.await?,
            taken,
            next: Some(next),
        };
        let _ = sender.send(part).await;
        Ok(())
    }

    fn of_archive(&self, from: Value) -> Parts {
        let (sender, parts) = mpsc::channel(1);
        let source = self.clone();
        let comparing = async move { source.compare_archive(from, sender).await };
        let task = AbortOnDropHandle::new(tokio::spawn(comparing.in_current_span()));
        Box::pin(ended(ReceiverStream::new(parts), task).ready_chunks(PAGES))
    }

    /// Walks the archive, after the orders.
    async fn compare_archive(
        self,
        mut from: Value,
        sender: mpsc::Sender<Part>,
    ) -> Result<(), Error> {
        loop {
            let limit = self.page_size().min(self.pace.portion());
            self.pace.admit(limit).await;
            let page = self
                .comparer
                .reader
                .archive_page(&from, None, self.extent(), limit)
                .await?;
            let taken = page.documents.len();
            self.pace.took(taken);
            let compared =
                self.comparer
                    .compare(Way::Archive, Source::Bulk, Vec::new(), page.documents);
            let last = from.as_ref() == ValueRef::MAX_KEY;
            let end = (!last).then(|| ValueRef::MAX_KEY.to_owned());
            let next = page.next.or(end);
            let part = Part {
                compared: compared.await?,
                taken,
                next: next.clone().map(Position::Archive),
            };
            if sender.send(part).await.is_err() {
                return Ok(());
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn extent(&self) -> Extent {
        match self.comparer.compares() {
            true => Extent::Whole,
            false => Extent::Id,
        }
    }
}

/// Parts, and at their end what became of whoever makes them.
fn ended<T: Send + 'static>(
    parts: impl Stream<Item = T> + Send + 'static,
    task: AbortOnDropHandle<Result<(), Error>>,
) -> Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>> {
    let outcome = async move {
        match task.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => Some(Err(fault())),
        }
    };
    let end = stream::once(outcome).filter_map(async |end| end);
    Box::pin(parts.map(Ok).chain(end))
}

/// The same of parts that may be faults already.
fn ending(
    parts: impl Stream<Item = Result<Part, Error>> + Send + 'static,
    task: AbortOnDropHandle<Result<(), Error>>,
) -> Parts {
    let parts = ended(parts, task).map(|part| part.and_then(|part| part));
    Box::pin(parts.ready_chunks(PAGES))
}

/// What is said of a task that panicked.
pub(super) fn fault() -> Error {
    Error::Unusable(
        "orders could not be compared because of a fault of the server; please report it"
            .to_owned(),
    )
}
