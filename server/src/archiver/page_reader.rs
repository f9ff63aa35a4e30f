//! PageReader: the pages of a batch, ahead of their archiving.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use bson::DateTime;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, warn};

use super::{Archiver, stamps::Stamps};
use crate::{
    bytes::raw::Value,
    jobs::Throttle,
    store::{
        Error,
        orders::pages::{Page, PageRequest, View},
    },
};

/// A page of bare `_id`s holds this many times as many orders.
pub(super) const IDS_FOR_ONE: usize = 20;
/// Entries of the index in one page where few orders are delivered ones: even on a slow disk a few
/// seconds' work.
const STRIDE: i32 = 20_000;
/// The database's code for a hint at an index that is not there.
const BAD_VALUE: i32 = 2;

/// Pages as they are read, and whether an earlier run may have archived orders of them that are not
/// counted.
pub(super) type Pages = ReceiverStream<Result<(Page, bool), Error>>;

/// Where a batch's pages come from, and what is known of how to read them.
pub(super) struct PageSource {
    archiver: Archiver,
    pub(super) throttle: Throttle,
    stamps: Mutex<Stamps>,
    /// Only orders from before this moment.
    before: Option<DateTime>,
    /// Whether most orders of the latest page were archived already.
    mostly_archived: AtomicBool,
    /// The index on status and `_id`, if there is one.
    index: OnceLock<String>,
}

impl PageSource {
    pub(super) fn new(
        archiver: Archiver,
        throttle: Throttle,
        stamps: Stamps,
        before: Option<DateTime>,
    ) -> PageSource {
        PageSource {
            archiver,
            throttle,
            stamps: Mutex::new(stamps),
            before,
            mostly_archived: AtomicBool::new(false),
            index: OnceLock::new(),
        }
    }

    /// Pages are read along this index.
    pub(super) fn use_index(&self, name: String) {
        self.index.get_or_init(|| name);
    }

    /// Of so many orders of the latest page so many were archived already.
    pub(super) fn note_archived(&self, orders: i64, archived: i64) {
        if orders > 0 {
            self.mostly_archived
                .store(2 * archived > orders, Ordering::Relaxed);
        }
    }

    pub(super) fn stamps(&self) -> MutexGuard<'_, Stamps> {
        self.stamps.lock()
    }

    /// How much of each order the next page holds.
    fn view(&self) -> View {
        match self.mostly_archived.load(Ordering::Relaxed) {
            true => View::Ids,
            false => View::Whole,
        }
    }
}

/// A place among the orders, and how to go on from there.
pub(super) struct PageReader {
    source: Arc<PageSource>,
    from: Option<Value>,
    /// At most so many orders.
    budget: usize,
    index: Option<String>,
    stride: Option<i32>,
}

impl PageReader {
    /// Reads from a place on.
    pub(super) fn new(source: &Arc<PageSource>, from: Option<Value>, budget: usize) -> PageReader {
        PageReader {
            index: source.index.get().cloned(),
            source: source.clone(),
            from,
            budget,
            stride: None,
        }
    }

    /// Reads ahead of whoever takes the pages, until the handle is dropped.
    pub(super) fn start(self) -> (Pages, AbortOnDropHandle<()>) {
        let (sender, pages) = mpsc::channel(1);
        let reader = tokio::spawn(self.read(sender).in_current_span());
        (ReceiverStream::new(pages), AbortOnDropHandle::new(reader))
    }

    async fn read(mut self, sender: mpsc::Sender<Result<(Page, bool), Error>>) {
        while self.budget > 0 {
            let page = self.next().await;
            if let Ok((page, _)) = &page {
                self.from = page.next.clone();
                self.budget -= page.orders.len();
            }
            let over = self.from.is_none() || page.is_err();
            if sender.send(page).await.is_err() || over {
                return;
            }
        }
    }

    async fn next(&mut self) -> Result<(Page, bool), Error> {
        let source = self.source.clone();
        let limit = |view| match view {
            View::Whole => source.archiver.chunk_size,
            View::Ids => source.archiver.chunk_size * IDS_FOR_ONE,
        };
        source
            .throttle
            .admit(limit(source.view()).min(self.budget))
            .await;
        let doubtful = source.stamps().in_doubt();
        let view = source.view();
        let mut request = PageRequest {
            from: self.from.take(),
            limit: limit(view).min(self.budget).min(source.throttle.portion()),
            before: source.before,
            view,
            index: self.index.clone(),
            stride: self.stride,
        };
        let store = &source.archiver.store;
        let page = loop {
            let in_one_go = request.stride.is_none();
            let page = source.archiver.runner.patiently(|| async {
                match store.order_page(&request).await {
                    Err(error) if error.is_slow() && in_one_go => Ok(None),
                    page => page.map(Some),
                }
            });
            match page.await {
                // Each of the first two happens once at most.
                Ok(None) => {
                    warn!("few of the orders from here on are delivered ones; going on in strides");
                    (self.stride, request.stride) = (Some(STRIDE), Some(STRIDE));
                }
                Err(Error::Refused {
                    code: BAD_VALUE, ..
                }) if request.index.is_some() => {
                    warn!("the index on status and _id is gone; going on along _id");
                    (self.index, request.index) = (None, None);
                }
                Ok(Some(page)) => break page,
                Err(error) => return Err(error),
            }
        };
        source.throttle.took(page.orders.len());
        Ok((page, doubtful))
    }
}
