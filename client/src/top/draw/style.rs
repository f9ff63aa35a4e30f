//! The styles of this screen, which are those of everything else that `archctl` prints.

use clap::builder::styling::{AnsiColor, Color};
use order_archiver_api::paint;
use ratatui::style::{self, Modifier, Style};

use crate::render::screen::screen;

/// What stands beside a value to say what it is.
pub(super) const LABEL: Style = Style::new().add_modifier(Modifier::DIM);

/// The same style; on a screen that has no colours, none.
pub(super) fn of(style: paint::Style) -> Style {
    match screen().colours {
        true => coloured(style),
        false => Style::new(),
    }
}

/// The style of a label such as `NOT OK`, which is seen without colours, too.
pub(super) fn banner(style: paint::Style) -> Style {
    of(style).add_modifier(Modifier::BOLD | Modifier::REVERSED)
}

fn coloured(style: paint::Style) -> Style {
    let colour = match style.get_fg_color() {
        Some(Color::Ansi(AnsiColor::Red)) => style::Color::Red,
        Some(Color::Ansi(AnsiColor::Green)) => style::Color::Green,
        Some(Color::Ansi(AnsiColor::Yellow)) => style::Color::Yellow,
        Some(Color::Ansi(AnsiColor::Cyan)) => style::Color::Cyan,
        _ => return Style::new(),
    };
    Style::new().fg(colour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_colours_that_they_have_elsewhere() {
        for (word, colour) in [
            ("failed", style::Color::Red),
            ("watching", style::Color::Green),
            ("paused", style::Color::Yellow),
            ("running", style::Color::Cyan),
        ] {
            assert_eq!(coloured(paint::of_word(word)), Style::new().fg(colour));
        }
        assert_eq!(coloured(paint::of_word("CMD-1")), Style::new());
    }
}
