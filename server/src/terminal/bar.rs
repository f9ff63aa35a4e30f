//! The bar of a job, drawn on standard error below the log.

use indicatif::{ProgressBar, ProgressStyle};
use order_archiver_api::{
    progress::{BAR, BLOCKS, HELD_BACK},
    text::one_line,
};
use parking_lot::{Mutex, MutexGuard};

/// The bar that is drawn, if one is.
static BAR_BELOW: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// What a bar shows of a job.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Orders that it has met.
    pub(crate) done: i64,
    /// Orders that there are to meet; 0 while unknown.
    pub(crate) total: i64,
    /// How far it is, on one line.
    pub(crate) message: String,
    /// What holds it back; empty at full speed.
    pub(crate) throttle: String,
}

/// The progress of a job on standard error, where that is a terminal; it goes when this is dropped.
#[derive(Debug)]
pub(crate) struct JobBar(ProgressBar);

impl JobBar {
    /// Begins with nothing to show.
    pub(crate) fn new() -> JobBar {
        let bar = ProgressBar::new(0);
        *below() = Some(bar.clone());
        JobBar(bar)
    }

    /// Shows how far the job is.
    pub(crate) fn show(&self, shown: impl FnOnce() -> Shown) {
        if self.0.is_hidden() {
            return;
        }
        let shown = shown();
        let count = |orders: i64| u64::try_from(orders).unwrap_or(0);
        let held_back = one_line(&shown.throttle);
        let template = if held_back.is_empty() { BAR } else { HELD_BACK };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        self.0.set_style(style.progress_chars(BLOCKS));
        self.0.set_prefix(held_back);
        self.0.set_length(count(shown.total.max(shown.done)));
        self.0.set_position(count(shown.done));
        self.0.set_message(shown.message);
    }
}

impl Default for JobBar {
    fn default() -> Self {
        JobBar::new()
    }
}

impl Drop for JobBar {
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
