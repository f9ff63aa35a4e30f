//! Where words go: data to standard output, talk to standard error.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::builder::styling::{AnsiColor, Style};
use order_archiver_api::{json::to_json, v1::UnreadableDocument};
use prost::{Message, Name};
use serde_json::Value;
use terminal_size::{Height, Width, terminal_size};

use crate::{
    fault::{Fault, Report},
    format::Format,
    globals::Globals,
    render::{screen::Screen, text},
};

/// How wide a screen is that does not say so.
const USUAL: usize = 80;

/// Standard output, in one format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// How many columns a line may take that is printed by itself, and not in a table: as many as
    /// the terminal has now. Nothing is cut for a pipe, or for whoever wants everything.
    pub(crate) fn columns_of_line(self) -> Option<usize> {
        (self.format == Format::Table && io::stdout().is_terminal()).then(columns)
    }

    /// How many lines the terminal has now that text goes to; none where it goes elsewhere.
    pub(crate) fn rows(self) -> Option<usize> {
        let is_seen = self.is_table() && io::stdout().is_terminal() && !is_dumb();
        let (_, Height(rows)) = is_seen.then(terminal_size).flatten()?;
        (rows > 0).then_some(rows.into())
    }

    pub(crate) fn is_table(self) -> bool {
        matches!(self.format, Format::Table | Format::Wide)
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    pub(crate) fn is_ndjson(self) -> bool {
        self.format == Format::Ndjson
    }

    /// Prints the one answer of a command.
    pub(crate) fn one<M: Message + Name>(
        self,
        message: &M,
        render: impl FnOnce(&M) -> String,
    ) -> Result<(), Fault> {
        match self.is_table() {
            true => self.text(&render(message)),
            false => self.value(&to_json(message)?),
        }
    }

    /// Prints the one answer of a command as JSON.
    pub(crate) fn value(self, json: &Value) -> Result<(), Fault> {
        match self.format {
            Format::Json => self.json(&format!("{json:#}")),
            _ => self.json(&json.to_string()),
        }
    }

    /// Prints every item of a list; an empty list is an empty array, an empty stream, or a word on
    /// standard error.
    pub(crate) fn all<M: Message + Name>(
        self,
        items: &[M],
        render: impl FnOnce(&[M]) -> String,
    ) -> Result<(), Fault> {
        match self.format {
            Format::Table | Format::Wide if items.is_empty() => say("Nothing to show."),
            Format::Table | Format::Wide => self.text(&render(items))?,
            Format::Json => {
                let items = items.iter().map(to_json).collect::<Result<Value, _>>()?;
                self.json(&format!("{items:#}"))?;
            }
            Format::Ndjson => items
                .iter()
                .try_for_each(|item| self.line(item, |_| String::new()))?,
        }
        Ok(())
    }

    /// Prints one item of a stream on a line of its own, at once.
    pub(crate) fn line<M: Message + Name>(
        self,
        item: &M,
        render: impl FnOnce(&M) -> String,
    ) -> Result<(), Fault> {
        match self.format {
            Format::Table | Format::Wide => self.text(&render(item)),
            Format::Json | Format::Ndjson => self.json(&to_json(item)?.to_string()),
        }
    }

    /// Prints JSON, in which nothing steers a terminal either.
    fn json(self, json: &str) -> Result<(), Fault> {
        self.text(&text::tame_json(json))
    }

    /// Prints text that `render` has made safe for a terminal, or that came with the program.
    pub(crate) fn text(self, text: &str) -> Result<(), Fault> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }
}

/// Says something beside the data. Nobody may be listening, and that is fine.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text::tame(text));
}

/// Says what a list leaves out, and why.
pub(crate) fn say_unreadable(document: &UnreadableDocument) {
    say(&text::left_out(document));
}

/// Says why the command failed.
pub(crate) fn say_error(report: &Report) {
    let style = match has_colours(&io::stderr()) {
        true => AnsiColor::Red.on_default().bold(),
        false => Style::new(),
    };
    let _ = writeln!(
        io::stderr(),
        "{style}error:{style:#} {}",
        text::tame(&report.to_string())
    );
}

/// Asks a question on standard error and reads one line; only for a terminal.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut answer = String::new();
    write!(io::stderr(), "{question} ")?;
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

/// What the screen is like that standard output goes to.
pub(crate) fn screen(globals: &Globals) -> Screen {
    Screen {
        columns: (globals.output != Format::Wide).then(columns),
        colours: has_colours(&io::stdout()),
        zone: globals.time_zone,
    }
}

/// As a shell says, which anybody can overrule, or else the terminal itself.
fn columns() -> usize {
    let told = env::var("COLUMNS").ok().and_then(|told| told.parse().ok());
    let seen = terminal_size().map(|(Width(width), _)| width.into());
    // Some terminals say that they have none.
    let known = [told, seen].into_iter().flatten();
    known
        .into_iter()
        .find(|columns| *columns > 0)
        .unwrap_or(USUAL)
}

/// Whether the terminal says that it can't move its cursor.
pub(crate) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether a stream is a terminal that takes colours, and nobody has refused them by NO_COLOR.
fn has_colours<S: RawStream>(stream: &S) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}
