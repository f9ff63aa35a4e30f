//! Drawing the screen: a pure function of what there is to draw.

mod chart;
mod figures;
mod lists;
mod style;
#[cfg(test)]
mod tests;
mod verdict;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Modifier, Style},
    text::{Line, Span, Text},
    widgets::{Block, Clear, Paragraph, Wrap},
};

use super::model::Model;
use crate::render::{
    text::{cut, one_line},
    units::moment_or_dash,
};

/// The smallest screen on which there is room for everything.
const COLUMNS: u16 = 60;
const ROWS: u16 = 16;
/// From how many rows on there is room for blank lines between the parts, and for what mends each
/// problem.
const TALL: u16 = 36;
/// From how many rows on there is room for the chart.
const CHART: u16 = 20;

/// What the keys are for.
const KEYS: &[(&str, &str)] = &[
    ("q, Esc, Ctrl-C", "quit"),
    ("?, h", "show or hide this help"),
    ("p, blank", "hold the screen still, or let it go on"),
    ("1 to 4", "show events, instances, quarantine, near misses"),
    ("Tab, ← →", "show the next list, or the one before"),
    ("s", "sort the list by the next column"),
    ("r", "reverse the order of the list"),
    ("↑ ↓, j k, PgUp PgDn", "scroll the list"),
    ("Home, g", "go back to its first row"),
];

const FOOT: &str = "q quit  ? help  p pause  s sort  r reverse  Tab next list  ↑↓ scroll";

/// Draws all that there is.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < COLUMNS || area.height < ROWS {
        let text = format!(
            "archctl top takes {COLUMNS} columns and {ROWS} lines; here are {} and {}. q quits.",
            area.width, area.height
        );
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        return;
    }
    let is_tall = area.height >= TALL;
    let shown = model.shown();
    let verdict = verdict::lines(model, area.width.into(), is_tall);
    let mut parts = vec![title(model, area.width.into()), verdict];
    let mut chart = None;
    if shown.answered.is_some() {
        parts.push(figures::counts(&shown.figures));
        parts.push(figures::facts(&shown.figures, area.width.into()));
        let height = if is_tall { 7 } else { 3 };
        chart = (area.height >= CHART && !shown.figures.stats.series.is_empty()).then_some(height);
    }
    let heights = parts
        .iter()
        .map(|lines| Constraint::Length(lines.len() as u16));
    let heights = heights
        .chain(chart.map(Constraint::Length))
        .chain([Constraint::Fill(1), Constraint::Length(1)]);
    let areas = Layout::vertical(heights)
        .spacing(u16::from(is_tall))
        .split(area);
    let mut areas = areas.iter().copied();
    for (lines, area) in parts.into_iter().zip(areas.by_ref()) {
        frame.render_widget(Text::from(lines), area);
    }
    if chart.is_some()
        && let Some(area) = areas.next()
    {
        chart::draw(frame, area, &shown.figures.stats.series);
    }
    if let (Some(list), Some(foot)) = (areas.next(), areas.next()) {
        lists::draw(frame, list, model);
        frame.render_widget(Line::styled(FOOT, style::LABEL), foot);
    }
    if model.help {
        help(frame, area);
    }
}

/// What this is, of which database and server, and as of when; or that it is held still.
fn title(model: &Model, width: usize) -> Vec<Line<'static>> {
    let stats = &model.shown().figures.stats;
    let database = match stats.database.as_str() {
        "" => String::new(),
        name => format!("  {name}"),
    };
    let mut right = moment_or_dash(stats.read_time.as_ref());
    if model.is_paused() {
        right = format!("PAUSED  {right}");
    }
    let left = format!("Order Archiver{database}  {}", model.endpoint);
    let left = cut(&one_line(&left), width.saturating_sub(right.len() + 2));
    let blanks = width.saturating_sub(order_archiver_api::text::columns(&left) + right.len());
    let title = format!("{left}{}{right}", " ".repeat(blanks));
    vec![Line::styled(
        title,
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
    )]
}

/// The keys, in a box in the middle.
fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines = KEYS.iter().map(|(keys, what)| {
        Line::from(vec![
            Span::styled(format!(" {keys:<21}"), Modifier::BOLD),
            Span::raw(format!("{what} ")),
        ])
    });
    let lines: Vec<Line<'_>> = lines.collect();
    let height = (lines.len() as u16 + 2).min(area.height);
    let widest = lines.iter().map(Line::width).max().unwrap_or(0);
    let width = (widest as u16 + 2).min(area.width);
    let area = area.centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" Keys ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
