//! Colours, on a screen that has them.

use order_archiver_api::paint::{self, AT_FAULT, ODD, Style, WELL, in_style, of_word};

use super::screen::screen;

pub(super) use order_archiver_api::paint::of_field;

/// The text in a style, on a screen that has colours.
pub(crate) fn painted(style: Style, text: &str) -> String {
    if screen().colours {
        in_style(style, text)
    } else {
        text.to_owned()
    }
}

/// What is as it should be.
pub(crate) fn well(text: &str) -> String {
    painted(WELL, text)
}

/// What is at fault.
pub(crate) fn fault(text: &str) -> String {
    painted(AT_FAULT, text)
}

/// What somebody may want to look at.
pub(crate) fn odd(text: &str) -> String {
    painted(ODD, text)
}

/// A word in the colour of what it says.
pub(crate) fn word(text: &str) -> String {
    painted(of_word(text), text)
}

/// Lines of a label, a colon and a value, framed or not, with the values in their colours.
pub(crate) fn labelled(text: &str) -> String {
    if screen().colours {
        paint::labelled(text)
    } else {
        text.to_owned()
    }
}
