//! What goes to a terminal: text of other people made safe for it, colours where it takes them, and
//! below the log the bar of a job.

mod bar;
mod log;

use std::io;

use anstream::{AutoStream, ColorChoice};
use terminal_size::{Width, terminal_size_of};

pub(crate) use self::{
    bar::{JobBar, Shown},
    log::Log,
};
pub use crate::log_queue::flush_log;
pub use order_archiver_api::{
    paint,
    text::{one_line, tame, tame_json},
};

/// Whether standard output is a terminal that takes colours, and nobody has refused them by
/// NO_COLOR.
pub fn has_colours() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// How wide the terminal is that standard output goes to, if it goes to one that says so.
pub fn columns() -> Option<usize> {
    let (Width(columns), _) = terminal_size_of(io::stdout())?;
    (columns > 0).then_some(columns.into())
}
