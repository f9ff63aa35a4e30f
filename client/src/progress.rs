//! Long work on standard error: bars on a terminal, a line now and then elsewhere.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use order_archiver_api::{
    progress::{BAR, BLOCKS, HELD_BACK},
    v1::{SeedDataResponse, SeedPhase},
};

use crate::{
    job::Job,
    output::say,
    render::{self, screen::screen, text},
};

/// How often a line is said at most where there is no terminal.
const SELDOM: Duration = Duration::from_secs(30);

/// Lines of talk for a log or a mail, where a change is no reason to say something.
#[derive(Default)]
struct Lines {
    last: Option<(Instant, String)>,
}

impl Lines {
    fn say(&mut self, line: String) {
        let now = Instant::now();
        if self.is_due(now, &line) {
            say(&line);
            self.last = Some((now, line));
        }
    }

    /// Not so soon after the last, and not what was said already.
    fn is_due(&self, now: Instant, line: &str) -> bool {
        let Some((then, said)) = &self.last else {
            return true;
        };
        now.duration_since(*then) >= SELDOM && said != line
    }
}

/// The progress of one job.
pub(crate) struct JobProgress {
    bar: ProgressBar,
    lines: Lines,
}

impl JobProgress {
    pub(crate) fn new() -> Self {
        Self {
            bar: ProgressBar::new(0),
            lines: Lines::default(),
        }
    }

    pub(crate) fn show(&mut self, job: &impl Job) {
        if self.bar.is_hidden() {
            return self.lines.say(job.line());
        }
        let (done, estimated) = job.orders();
        let most = screen().columns.unwrap_or(usize::MAX);
        let held_back = text::cut(&text::one_line(job.throttle()), most);
        let template = if held_back.is_empty() { BAR } else { HELD_BACK };
        self.bar.set_style(bar(template));
        self.bar.set_prefix(held_back);
        self.bar.set_length(unsigned(estimated.max(done)));
        self.bar.set_position(unsigned(done));
        self.bar.set_message(job.without_throttle());
    }

    /// Takes the bar away, so that what follows starts on a clean line.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for JobProgress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The progress of a seeding: a bar for each collection, then one line for the live orders.
pub(crate) struct SeedProgress {
    bars: MultiProgress,
    collections: HashMap<String, ProgressBar>,
    live: Option<ProgressBar>,
    phase: SeedPhase,
    lines: Lines,
}

impl SeedProgress {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            collections: HashMap::new(),
            live: None,
            phase: SeedPhase::Unspecified,
            lines: Lines::default(),
        }
    }

    pub(crate) fn show(&mut self, seeded: &SeedDataResponse) {
        if self.bars.is_hidden() {
            // Each phase is news.
            if self.phase != seeded.phase() {
                self.phase = seeded.phase();
                self.lines = Lines::default();
            }
            return self.lines.say(render::seed::progress(seeded));
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
        .progress_chars(BLOCKS)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_terminal_a_line_is_said_every_half_minute_at_most() {
        let begin = Instant::now();
        let mut lines = Lines::default();
        assert!(lines.is_due(begin, "1 of 9"));
        lines.last = Some((begin, "1 of 9".to_owned()));
        for (after, line, due) in [
            (0, "2 of 9", false),
            (29, "8 of 9", false),
            (30, "8 of 9", true),
            (90, "1 of 9", false),
        ] {
            let now = begin + Duration::from_secs(after);
            assert_eq!(lines.is_due(now, line), due, "{after} {line}");
        }
    }
}
