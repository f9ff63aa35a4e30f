//! Figures: the median of several rounds, and whether one reaches what was aimed at.

use std::time::Duration;

/// The middle of some figures, the smaller of two middles.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

/// The lowest and the highest of some figures, as a table shows them.
pub(crate) fn spread(figures: &[f64]) -> String {
    let lowest = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{lowest:.0}–{highest:.0}")
}

/// Microseconds for each order.
pub(crate) fn each(time: Duration, orders: usize) -> f64 {
    time.as_secs_f64() * 1e6 / orders as f64
}

/// Says whether a figure is at least what was aimed at.
pub(crate) fn at_least(what: &str, figure: f64, aim: f64) {
    say(what, figure, "at least", aim, figure >= aim);
}

/// Says whether a figure is at most what was aimed at.
pub(crate) fn at_most(what: &str, figure: f64, aim: f64) {
    say(what, figure, "at most", aim, figure <= aim);
}

fn say(what: &str, figure: f64, side: &str, aim: f64, reached: bool) {
    let verdict = if reached { "reached" } else { "missed" };
    println!("- {what}: **{figure:.2}**, aim {side} {aim}: {verdict}");
}
