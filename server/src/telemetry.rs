//! Opens the log: on standard error, because standard output is for data.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    config::LogFormat,
    terminal::{self, Log},
};

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("read the filter of log lines")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The system gives no thread to write it.
    #[error("start the thread that writes the log")]
    Start(#[from] io::Error),
    /// This process has a log already.
    #[error("open the log")]
    Open(#[from] tracing_subscriber::util::TryInitError),
}

/// How many lines of the log were left out since the process began.
pub(crate) fn dropped() -> u64 {
    terminal::dropped()
}

/// Opens the log of this process, once.
///
/// # Errors
///
/// When the filter is bad, the log is open already, or there is no thread to write it.
pub fn init(filter: &str, format: LogFormat) -> Result<(), Error> {
    let terminal = io::stderr().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    // By default a line that cannot be written is lamented with `eprintln!`, which panics when
    // standard error is gone.
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || Log { json: !text })
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?);
    if text {
        registry
            .with(lines.with_ansi(terminal && !no_color))
            .try_init()?;
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()?;
    }
    Log::start()?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{env, process::Command};

    use super::*;
    use crate::terminal::flush_log;

    const CHILD: &str = "ARCHD_TEST_TELEMETRY_CHILD";

    /// The process that writes a log: this very test, started again by the one below. Without its
    /// variable it has nothing to do.
    #[test]
    fn child() {
        let Ok(format) = env::var(CHILD) else { return };
        let format = if format == "text" {
            LogFormat::Text
        } else {
            LogFormat::Auto
        };
        init("info,noisy=warn", format).unwrap();
        tracing::info!(orders = 3, "archived");
        tracing::info!(target: "noisy", "hidden");
        assert!(matches!(init("info", format), Err(Error::Open(_))));
        flush_log();
    }

    #[test]
    fn the_log_is_on_standard_error_and_has_no_colours_there() {
        let log = |format: &str| {
            let output = Command::new(env::current_exe().unwrap())
                .args(["--exact", "telemetry::tests::child", "--nocapture"])
                .env(CHILD, format)
                .output()
                .unwrap();
            let stdout = String::from_utf8(output.stdout).unwrap();
            assert!(
                output.status.success() && !stdout.contains("archived"),
                "{stdout}"
            );
            String::from_utf8(output.stderr).unwrap()
        };
        let text = log("text");
        assert!(text.ends_with(": archived orders=3\n"), "{text:?}");
        assert!(
            !text.contains('\u{1b}') && text.lines().count() == 1,
            "{text:?}"
        );

        let line: serde_json::Value = serde_json::from_str(&log("auto")).unwrap();
        assert_eq!(line["message"], "archived");
        assert_eq!(line["orders"], 3);
    }
}
