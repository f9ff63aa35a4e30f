//! The log of quarantine: a line for each order that goes there, so many in a minute; the others
//! are counted.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::{Instrument, warn};

use crate::{
    domain::{judge::Refusal, order::Order},
    log_limit::LogLimit,
    store::encoding::ext_json,
};

/// So many lines in such a span of time.
const MOST: u32 = 20;
const SPAN: Duration = Duration::from_secs(60);

/// Tells of orders that go to quarantine. Clones share the limit.
#[derive(Clone, Debug)]
pub(super) struct QuarantineLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: LogLimit,
    /// Whether somebody will tell how many lines were left out.
    counting: AtomicBool,
}

impl QuarantineLog {
    pub(super) fn new() -> QuarantineLog {
        QuarantineLog(Arc::new(Shared {
            limit: LogLimit::new(MOST, SPAN),
            counting: AtomicBool::new(false),
        }))
    }

    /// Tells of an order with a new entry.
    pub(super) fn tell(&self, order: &Order, entry: &str, refusal: &Refusal) {
        let Some(left_out) = self.0.limit.admit(Instant::now()) else {
            return self.tell_the_rest_later();
        };
        tell_the_rest(left_out);
        // The detail names fields, sizes, `_id`s and numbers, and nothing of a person.
        warn!(
            order = order.numero(),
            id = ext_json::shown(order.id(), 64),
            entry,
            reason = refusal.reason.name(),
            detail = refusal.detail,
            "an order went to quarantine"
        );
    }

    fn tell_the_rest_later(&self) {
        if self.0.counting.swap(true, Ordering::Relaxed) {
            return;
        }
        let shared = Arc::downgrade(&self.0);
        let later = async move {
            sleep(SPAN).await;
            if let Some(shared) = Weak::upgrade(&shared) {
                shared.counting.store(false, Ordering::Relaxed);
                tell_the_rest(shared.limit.left_out());
            }
        };
        tokio::spawn(later.in_current_span());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        tell_the_rest(self.limit.left_out());
    }
}

fn tell_the_rest(orders: u64) {
    if orders > 0 {
        warn!(
            orders,
            "more orders went to quarantine; `archctl quarantine list` shows all"
        );
    }
}
