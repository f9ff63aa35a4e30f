//! Pace: how whoever runs a pass holds it back.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// What a pass asks before it reads, and tells after it has.
pub trait Pace: Send + Sync + 'static {
    /// The most orders to take at once.
    fn portion(&self) -> usize;
    /// Waits until at most so many more may be read.
    fn admit(&self, orders: usize) -> impl Future<Output = ()> + Send;
    /// Waits until the rate allows for more, however much is read and not compared yet.
    fn due(&self) -> impl Future<Output = ()> + Send;
    /// Notes that so many were read since the latest admission.
    fn took(&self, orders: usize);
    /// Notes that so many of those that were read are compared.
    fn done(&self, orders: usize);
}

/// A pace, and what was read at it and is not compared yet: whatever becomes of that, the pace does
/// not wait for it.
pub(super) struct Taken<P: Pace> {
    pace: Arc<P>,
    under_way: AtomicUsize,
}

impl<P: Pace> Taken<P> {
    pub(super) fn new(pace: Arc<P>) -> Taken<P> {
        Taken {
            pace,
            under_way: AtomicUsize::new(0),
        }
    }
}

impl<P: Pace> Pace for Taken<P> {
    fn portion(&self) -> usize {
        self.pace.portion()
    }

    async fn admit(&self, orders: usize) {
        self.pace.admit(orders).await;
    }

    async fn due(&self) {
        self.pace.due().await;
    }

    fn took(&self, orders: usize) {
        self.under_way.fetch_add(orders, Ordering::Relaxed);
        self.pace.took(orders);
    }

    fn done(&self, orders: usize) {
        self.under_way.fetch_sub(orders, Ordering::Relaxed);
        self.pace.done(orders);
    }
}

impl<P: Pace> Drop for Taken<P> {
    fn drop(&mut self) {
        self.pace.done(self.under_way.load(Ordering::Relaxed));
    }
}

/// No limit at all.
#[derive(Clone, Copy, Debug)]
pub struct Unlimited;

impl Pace for Unlimited {
    fn portion(&self) -> usize {
        usize::MAX
    }

    async fn admit(&self, _: usize) {}

    async fn due(&self) {}

    fn took(&self, _: usize) {}

    fn done(&self, _: usize) {}
}
