//! The list below the figures: events, instances, the quarantine or near misses, sorted by a
//! column.

use std::cmp::Ordering;

use order_archiver_api::{
    paint::{AT_FAULT, Style as Colour, of_field},
    statistics::thousands,
    text::columns,
    v1::{Instance, NearMiss, QuarantineEntry, QuarantineReason, TailEventsResponse},
};
use prost_types::Timestamp;
use ratatui::{
    Frame,
    layout::Rect,
    style::Modifier,
    text::{Line, Span, Text},
};

use super::style;
use crate::{
    render::{
        event, instance,
        text::{cut, one_line, words},
        units::moment_or_dash,
    },
    top::model::{Heard, List, Model, Order},
};

/// The blank columns between two of a list.
const GAP: usize = 2;
/// The fewest columns that are left to the last one.
const LAST: usize = 12;

/// What a cell is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Moment(i64, i32),
    Text(String),
}

struct Cell {
    text: String,
    key: Key,
    colour: Colour,
}

/// A list as it is drawn.
struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// Draws the names of the lists, and the one that is chosen.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    let mut lines = vec![names(model, area.width.into())];
    let table = table(model.list, model.shown());
    let room = usize::from(area.height).saturating_sub(2);
    lines.extend(laid_out(
        table,
        model.order(),
        model.scrolled,
        area.width.into(),
        room,
    ));
    frame.render_widget(Text::from(lines), area);
}

/// The lists, each with how much there is; and why no events come.
fn names(model: &Model, width: usize) -> Line<'static> {
    let heard = model.shown();
    let stats = &heard.figures.stats;
    let batch = stats.last_batch.as_ref();
    let near_misses = batch.map_or(0, |batch| {
        let more = batch.more_near_misses.unwrap_or_default().statuses;
        batch.near_misses.len() as i64 + more
    });
    let names = [
        ("Events", None),
        ("Instances", Some(heard.figures.instances.len() as i64)),
        ("Quarantine", Some(stats.quarantine_size)),
        ("Near misses", Some(near_misses)),
    ];
    let mut line = Line::default();
    for (index, (list, (name, count))) in List::ALL.into_iter().zip(names).enumerate() {
        let count = count.map_or_else(String::new, |count| format!(" {}", thousands(count)));
        let style = match list == model.list {
            true => Modifier::REVERSED | Modifier::BOLD,
            false => Modifier::DIM,
        };
        line.push_span(Span::styled(
            format!(" {} {name}{count} ", index + 1),
            style,
        ));
    }
    if let Some(fault) = heard
        .events_fault
        .as_ref()
        .filter(|_| heard.fault.is_none())
    {
        let room = width.saturating_sub(line.width() + GAP);
        let fault = cut(&one_line(&format!("no events: {fault}")), room);
        line.push_span(Span::styled(format!("  {fault}"), style::of(AT_FAULT)));
    }
    line
}

fn table(list: List, heard: &Heard) -> Table {
    let figures = &heard.figures;
    match list {
        List::Events => Table {
            header: vec!["TIME", "EVENT", "STORY"],
            rows: heard.events.iter().map(of_event).collect(),
        },
        List::Instances => Table {
            header: vec!["INSTANCE", "ADDRESS", "VERSION", "SINCE", "HOLDS"],
            rows: figures.instances.iter().map(of_instance).collect(),
        },
        List::Quarantine => Table {
            header: vec!["NUMERO", "REASON", "ATTEMPTS", "LAST SEEN", "DETAIL"],
            rows: figures.quarantine.iter().map(of_entry).collect(),
        },
        List::NearMisses => {
            let batch = figures.stats.last_batch.as_ref();
            let misses = batch.map_or(&[][..], |batch| &batch.near_misses);
            Table {
                header: vec!["STATUS", "ORDERS", "DIFFERENCE", "EXAMPLES"],
                rows: misses.iter().map(of_near_miss).collect(),
            }
        }
    }
}

fn of_event(event: &TailEventsResponse) -> Vec<Cell> {
    let kind = event::kind(event);
    vec![
        at(event.time.as_ref()),
        Cell {
            colour: event::style(event),
            ..text(&kind)
        },
        text(&event::story(event, true)),
    ]
}

fn of_instance(one: &Instance) -> Vec<Cell> {
    let colour = if one.gone { AT_FAULT } else { Colour::new() };
    vec![
        text(&one.name),
        text(&instance::address(one)),
        text(&one.version),
        at(one.start_time.as_ref()),
        Cell {
            colour,
            ..text(&instance::holds(one))
        },
    ]
}

fn of_entry(entry: &QuarantineEntry) -> Vec<Cell> {
    let reason = match entry.reason() {
        QuarantineReason::Unspecified => "-".to_owned(),
        reason => words(reason.as_str_name(), "QUARANTINE_REASON_"),
    };
    vec![
        text(entry.numero_commande.as_deref().unwrap_or("-")),
        Cell {
            colour: of_field("reason", &reason),
            ..text(&reason)
        },
        number(entry.attempts.into()),
        at(entry.last_seen_time.as_ref()),
        text(&entry.detail),
    ]
}

fn of_near_miss(miss: &NearMiss) -> Vec<Cell> {
    let status = match miss.status_escaped.as_str() {
        "" => &miss.status_json,
        escaped => escaped,
    };
    vec![
        text(status),
        number(miss.orders),
        text(&miss.difference),
        text(&miss.examples.join(", ")),
    ]
}

fn text(text: &str) -> Cell {
    Cell {
        text: one_line(text),
        key: Key::Text(text.to_lowercase()),
        colour: Colour::new(),
    }
}

fn number(number: i64) -> Cell {
    Cell {
        key: Key::Number(number),
        ..text(&thousands(number))
    }
}

fn at(time: Option<&Timestamp>) -> Cell {
    let (seconds, nanos) = time.map_or((i64::MIN, 0), |time| (time.seconds, time.nanos));
    Cell {
        key: Key::Moment(seconds, nanos),
        ..text(&moment_or_dash(time))
    }
}

/// The header, and as many rows as there is room for, the first of them after those that are
/// scrolled past.
fn laid_out(
    mut table: Table,
    order: Order,
    scrolled: usize,
    width: usize,
    room: usize,
) -> Vec<Line<'static>> {
    // What is equal stays as it came.
    table.rows.sort_by(|one, other| compare(one, other, order));
    let mark = if order.descending { "▼" } else { "▲" };
    let names = table.header.iter().enumerate();
    let header: Vec<String> = names
        .map(|(column, name)| match column == order.column {
            true => format!("{name} {mark}"),
            false => (*name).to_owned(),
        })
        .collect();
    let widths = widths(&header, &table.rows, width);
    let cells = header
        .iter()
        .zip(&widths)
        .map(|(name, width)| padded(name, *width));
    let header = Line::styled(cells.collect::<String>(), style::LABEL);
    let rows = table.rows.iter().skip(scrolled).take(room).map(|row| {
        let cells = row.iter().zip(&widths);
        cells
            .map(|(cell, width)| Span::styled(padded(&cell.text, *width), style::of(cell.colour)))
            .collect::<Line<'static>>()
    });
    let mut lines: Vec<Line<'static>> = std::iter::once(header).chain(rows).collect();
    if table.rows.is_empty() {
        lines.push(Line::raw("nothing to show"));
    }
    lines
}

fn compare(one: &[Cell], other: &[Cell], order: Order) -> Ordering {
    let key = |row: &[Cell]| row.get(order.column).map(|cell| cell.key.clone());
    let ordering = key(one).cmp(&key(other));
    match order.descending {
        true => ordering.reverse(),
        false => ordering,
    }
}

/// As wide as the widest cell, and the last column as wide as there is room.
fn widths(header: &[String], rows: &[Vec<Cell>], width: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = header.iter().map(|name| columns(name)).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(&cell.text));
        }
    }
    let Some((last, others)) = widths.split_last_mut() else {
        return widths;
    };
    let taken = |others: &[usize]| others.iter().map(|width| width + GAP).sum::<usize>();
    while width < taken(others) + LAST {
        match others.iter_mut().max() {
            Some(widest) if *widest > 1 => *widest -= 1,
            _ => break,
        }
    }
    *last = width.saturating_sub(taken(others));
    widths
}

/// Cut or filled to so many columns, and a gap.
fn padded(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let blanks = " ".repeat(width - columns(&text) + GAP);
    format!("{text}{blanks}")
}
