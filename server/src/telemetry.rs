//! Opens the log: on standard error, because standard output is for data.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::LogFormat;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("read the filter of log lines")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// This process has a log already.
    #[error("open the log")]
    Open(#[from] tracing_subscriber::util::TryInitError),
}

/// Opens the log of this process, once.
///
/// # Errors
///
/// When the filter is bad, or the log is open already.
pub fn init(filter: &str, format: LogFormat) -> Result<(), Error> {
    let terminal = io::stderr().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    // By default a line that cannot be written is lamented with `eprintln!`, which panics when standard error is gone.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    if text {
        registry
            .with(lines.with_ansi(terminal && !no_color))
            .try_init()?;
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()?;
    }
    Ok(())
}
