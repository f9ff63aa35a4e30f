//! Long work on standard error: bars on a terminal, a line per change elsewhere.

use std::collections::HashMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use order_archiver_api::v1::{Batch, SeedDataResponse, SeedPhase};

use crate::{
    output::say,
    render::{self, text},
};

/// The progress of one batch.
pub(crate) struct BatchProgress {
    bar: ProgressBar,
    /// What was said last: a state that reads the same is no news.
    said: String,
}

impl BatchProgress {
    pub(crate) fn new() -> Self {
        Self {
            bar: ProgressBar::new(0).with_style(bar("{bar:30} {wide_msg}")),
            said: String::new(),
        }
    }

    pub(crate) fn show(&mut self, batch: &Batch) {
        let line = render::batch::progress(batch);
        if self.bar.is_hidden() {
            if line != self.said {
                say(&line);
            }
        } else {
            let found = batch.counts.unwrap_or_default().found;
            self.bar
                .set_length(unsigned(batch.estimated_total.max(found)));
            self.bar.set_position(unsigned(found));
            self.bar.set_message(line.clone());
        }
        self.said = line;
    }

    /// Takes the bar away, so that what follows starts on a clean line.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for BatchProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The progress of a seeding: a bar for each collection, then one line for the live orders.
pub(crate) struct SeedProgress {
    bars: MultiProgress,
    collections: HashMap<String, ProgressBar>,
    live: Option<ProgressBar>,
    said: String,
}

impl SeedProgress {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            collections: HashMap::new(),
            live: None,
            said: String::new(),
        }
    }

    pub(crate) fn show(&mut self, seeded: &SeedDataResponse) {
        if self.bars.is_hidden() {
            let line = render::seed::progress(seeded);
            // Elsewhere than on a screen, one line a collection is enough.
            let done = seeded.phase() != SeedPhase::Writing || seeded.written >= seeded.total;
            if done && line != self.said {
                say(&line);
                self.said = line;
            }
            return;
        }
        match seeded.phase() {
            SeedPhase::Writing | SeedPhase::Unspecified => self.collection(seeded),
            SeedPhase::Written => {}
            SeedPhase::Live => {
                let bars = &self.bars;
                let live = self
                    .live
                    .get_or_insert_with(|| bars.add(ProgressBar::new_spinner()));
                live.set_message(text::one_line(&render::seed::progress(seeded)));
                live.tick();
            }
        }
    }

    fn collection(&mut self, seeded: &SeedDataResponse) {
        let bars = &self.bars;
        let bar = self
            .collections
            .entry(seeded.collection.clone())
            .or_insert_with(|| {
                let style = bar("{prefix:12} {bar:30} {human_pos} of {human_len} · {elapsed}");
                bars.add(
                    ProgressBar::new(0)
                        .with_style(style)
                        .with_prefix(text::one_line(&seeded.collection)),
                )
            });
        bar.set_length(unsigned(seeded.total));
        bar.set_position(unsigned(seeded.written));
        if seeded.written >= seeded.total {
            bar.finish();
        }
    }
}

fn bar(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
