//! The formats of what goes to standard output.

use std::fmt;

use clap::ValueEnum;

/// What standard output carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people, as wide as the terminal
    Table,
    /// The same with all columns, whatever their width
    Wide,
    /// One pretty JSON value; `tail` prints one compact object per line
    Json,
    /// One compact JSON object per line
    Ndjson,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
