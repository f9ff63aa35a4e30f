//! How many orders were archived, step by step over the day.

use order_archiver_api::{paint, statistics::thousands, v1::StatsPoint};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::{Sparkline, SparklineBar},
};

use super::style;

/// A bar for each step, in the colour of a fault where there were errors.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, series: &[StatsPoint]) {
    let [head, bars] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let width = usize::from(bars.width);
    // Each step is as wide as every other.
    let columns = (width / series.len().max(1)).max(1);
    let shown = &series[series.len().saturating_sub(width / columns)..];
    let counts = |point: &StatsPoint| point.counts.unwrap_or_default();
    let archived = |point: &StatsPoint| counts(point).archived;
    let most = shown.iter().map(archived).max().unwrap_or(0);
    let head_text = format!(
        "Archived in the last 24h, at most {} in 20 min",
        thousands(most)
    );
    frame.render_widget(Line::styled(head_text, style::LABEL), head);
    let steps = shown.iter().flat_map(|point| {
        let colour = match counts(point).errors {
            ..1 => paint::Style::new(),
            _ => paint::AT_FAULT,
        };
        let value = u64::try_from(archived(point)).unwrap_or(0);
        let bar = SparklineBar::from(value).style(style::of(colour));
        std::iter::repeat_n(bar, columns)
    });
    frame.render_widget(Sparkline::default().data(steps), bars);
}
