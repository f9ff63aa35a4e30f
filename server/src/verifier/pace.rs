//! Pace: how whoever runs a pass holds it back.

use std::future::Future;

/// What a pass asks before it reads, and tells after it has.
pub trait Pace: Send + Sync + 'static {
    /// The most orders to take at once.
    fn portion(&self) -> usize;
    /// Waits until at most so many more may be read.
    fn admit(&self, orders: usize) -> impl Future<Output = ()> + Send;
    /// Notes that so many were read since the latest admission.
    fn took(&self, orders: usize);
    /// Notes that so many of those that were read are compared.
    fn done(&self, orders: usize);
}

/// No limit at all.
#[derive(Clone, Copy, Debug)]
pub struct Unlimited;

impl Pace for Unlimited {
    fn portion(&self) -> usize {
        usize::MAX
    }

    async fn admit(&self, _: usize) {}

    fn took(&self, _: usize) {}

    fn done(&self, _: usize) {}
}
