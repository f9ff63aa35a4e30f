//! What is wrong, or that nothing is: the first thing to read.

use order_archiver_api::{
    paint::{AT_FAULT, WELL},
    problems::{Problem, problems},
    text::columns,
    v1::WatcherState,
};
use ratatui::{
    style::Style,
    text::{Line, Span},
};

use super::style;
use crate::{
    render::{
        text::{cut, one_line},
        units::{moment, whole_length},
    },
    top::{ask::Figures, model::Model},
};

/// The most problems that are shown.
const MOST: usize = 4;
const MOST_ON_TALL: usize = 6;

/// One line, or one for each problem; on a tall screen another for what mends it.
pub(super) fn lines(model: &Model, width: usize, is_tall: bool) -> Vec<Line<'static>> {
    let shown = model.shown();
    if let Some(fault) = &shown.fault {
        let since = shown.answered.map(|answered| {
            let seconds = (model.now - answered).num_seconds().max(0);
            format!(
                "for {}: ",
                whole_length(&prost_types::Duration { seconds, nanos: 0 })
            )
        });
        let text = format!("{}{fault}; trying again", since.unwrap_or_default());
        return vec![labelled("NO ANSWER", style::banner(AT_FAULT), &text, width)];
    }
    let problems = problems(&shown.figures.stats);
    if problems.is_empty() {
        let text = nothing(&shown.figures);
        return vec![labelled("OK", style::banner(WELL), &text, width)];
    }
    let most = if is_tall { MOST_ON_TALL } else { MOST };
    // The last line tells of those that there is no room for.
    let told = if problems.len() > most {
        most - 1
    } else {
        problems.len()
    };
    let mut lines: Vec<Line<'static>> = problems
        .iter()
        .take(told)
        .enumerate()
        .flat_map(|(index, problem)| of_problem(problem, index == 0, width, is_tall))
        .collect();
    if told < problems.len() {
        let more = problems.len() - told;
        lines.push(below(
            &format!("… and {more} more: `archctl status`"),
            width,
        ));
    }
    lines
}

const NOT_OK: &str = "NOT OK";

fn of_problem(
    problem: &Problem,
    is_first: bool,
    width: usize,
    is_tall: bool,
) -> Vec<Line<'static>> {
    let room = width.saturating_sub(NOT_OK.len() + 3);
    let mut text = problem.text.clone();
    let remedy = format!("→ {}", problem.remedy);
    let fits = columns(&text) + 1 + columns(&remedy) <= room;
    if fits {
        text = format!("{text} {remedy}");
    }
    let mut lines = vec![match is_first {
        true => labelled(NOT_OK, style::banner(AT_FAULT), &text, width),
        false => below(&text, width),
    }];
    if !fits && is_tall {
        lines.push(below(&remedy, width).style(style::LABEL));
    }
    lines
}

/// What is sure while nothing is wrong.
fn nothing(figures: &Figures) -> String {
    let watcher = figures.stats.watcher.as_ref();
    let watcher = watcher.filter(|watcher| watcher.state() == WatcherState::Watching);
    match watcher.and_then(|watcher| watcher.position_time.as_ref()) {
        Some(time) => format!("every order delivered up to {} is archived", moment(time)),
        None => "nothing is wrong".to_owned(),
    }
}

fn labelled(label: &str, style: Style, text: &str, width: usize) -> Line<'static> {
    let room = width.saturating_sub(label.len() + 3);
    Line::from(vec![
        Span::styled(format!(" {label} "), style),
        Span::raw(format!(" {}", cut(&one_line(text), room))),
    ])
}

/// A line that goes on below the label of a problem.
fn below(text: &str, width: usize) -> Line<'static> {
    let margin = NOT_OK.len() + 3;
    let text = cut(&one_line(text), width.saturating_sub(margin));
    Line::raw(format!("{}{text}", " ".repeat(margin)))
}
