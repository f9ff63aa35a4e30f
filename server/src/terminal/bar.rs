//! The bar of a batch, drawn on standard error below the log.

use indicatif::{ProgressBar, ProgressStyle};
use order_archiver_api::{
    progress::{BAR, BLOCKS, HELD_BACK, without_throttle},
    text::one_line,
    v1 as pb,
};
use parking_lot::{Mutex, MutexGuard};

/// The bar that is drawn, if one is.
static BAR_BELOW: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The progress of a batch on standard error, where that is a terminal; it goes when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct BatchBar(ProgressBar);

impl BatchBar {
    /// Begins with nothing to show.
    pub(crate) fn new() -> BatchBar {
        let bar = ProgressBar::new(0);
        *below() = Some(bar.clone());
        BatchBar(bar)
    }

    /// Shows how far the batch is.
    pub(crate) fn show(&self, batch: impl FnOnce() -> pb::Batch) {
        if self.0.is_hidden() {
            return;
        }
        let batch = batch();
        let count = |orders: i64| u64::try_from(orders).unwrap_or(0);
        let found = batch.counts.unwrap_or_default().found;
        let held_back = one_line(&batch.throttle);
        let template = if held_back.is_empty() { BAR } else { HELD_BACK };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.set_style(style.progress_chars(BLOCKS));
        self.0.set_prefix(held_back);
        self.0.set_length(count(batch.estimated_total.max(found)));
        self.0.set_position(count(found));
        self.0.set_message(without_throttle(&batch));
    }
}

impl Default for BatchBar {
    fn default() -> Self {
        BatchBar::new()
    }
}

impl Drop for BatchBar {
    fn drop(&mut self) {
        *below() = None;
        self.0.finish_and_clear();
    }
}

/// The bar, if one is drawn that people see.
pub(super) fn shown_bar() -> Option<ProgressBar> {
    // A copy: whoever waits for standard error must not hold up those who end the bar.
    below().clone().filter(|bar| !bar.is_hidden())
}

fn below() -> MutexGuard<'static, Option<ProgressBar>> {
    BAR_BELOW.lock()
}
