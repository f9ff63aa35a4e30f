//! Opens the log: on standard error, because standard output is for data, and in a file if one is
//! asked for; and sends spans to a collector if there is one.

mod ecs;
mod file;
mod spans;

use std::io::{self, IsTerminal};

use tracing::warn;
use tracing_subscriber::{
    EnvFilter, Layer,
    field::RecordFields,
    fmt::{
        FormatFields,
        format::{DefaultFields, JsonFields, Writer},
    },
    layer::SubscriberExt,
    registry::Registry,
    util::SubscriberInitExt,
};

pub(crate) use self::spans::{continue_trace, note_end};
use self::{ecs::Ecs, file::LogFile, spans::Spans};
use crate::{
    config::{Config, LogFormat},
    log_queue::{self, Queue},
    terminal::Log,
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
    /// The file can't be written.
    #[error(
        "ARCHD_LOG_FILE is {path}, which can't be written: {error}; give the path of a file in a folder that this user may write to, or off"
    )]
    File {
        /// Where it would be.
        path: String,
        /// What the system says.
        error: io::Error,
    },
    /// Nothing can be sent to such an address.
    #[error(
        "ARCHD_OTLP_ENDPOINT can't be used: {0}; give an address such as http://127.0.0.1:4317, or off"
    )]
    Collector(#[from] opentelemetry_otlp::ExporterBuildError),
    /// This process has a log already.
    #[error("open the log")]
    Open(#[from] tracing_subscriber::util::TryInitError),
}

impl Error {
    /// Whether other settings would mend it.
    pub fn is_of_settings(&self) -> bool {
        matches!(
            self,
            Error::Filter(_) | Error::File { .. } | Error::Collector(_)
        )
    }
}

/// What of the log and the spans has to be ended.
#[derive(Debug)]
pub struct Telemetry {
    spans: Option<Spans>,
}

impl Telemetry {
    /// Sends the spans that are left, within a few seconds.
    pub async fn close(self) {
        if let Some(spans) = self.spans {
            spans.close().await;
        }
    }
}

/// Opens the log of this process, once. Needs the runtime, if spans are to be sent.
///
/// # Errors
///
/// When the settings of the log can't be used, the log is open already, or there is no thread to
/// write it.
pub fn init(config: &Config) -> Result<Telemetry, Error> {
    let terminal = io::stderr().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let filter = || EnvFilter::try_new(&config.log_filter);
    let mut layers = vec![];
    let mut lost = None;
    if let Some(settings) = &config.log_file {
        let cant = |error| Error::File {
            path: settings.path.display().to_string(),
            error,
        };
        match LogFile::open(settings).map_err(cant)? {
            Some(file) => {
                let queue = Queue::start("ARCHD_LOG_FILE", file)?;
                let layer = match config.log_format {
                    LogFormat::Text => plain_lines(queue),
                    format => lines(config, queue, format, false),
                };
                layers.push(layer.with_filter(filter()?).boxed());
            }
            None => lost = Some(&settings.path),
        }
    }
    let format = match config.log_format {
        LogFormat::Auto if terminal => LogFormat::Text,
        format => format,
    };
    let queue = Log::on_standard_error()?;
    let layer = lines(config, queue, format, terminal && !no_color);
    layers.push(layer.with_filter(filter()?).boxed());
    let spans = config.otlp_endpoint.as_deref();
    let spans = spans
        .map(|endpoint| Spans::to(endpoint, config))
        .transpose()?;
    layers.extend(spans.as_ref().map(Spans::layer));
    tracing_subscriber::registry().with(layers).try_init()?;
    if let Some(path) = lost {
        warn!(
            "ARCHD_LOG_FILE is {}, which another archd writes: this one logs to standard error alone; give each a file of its own",
            path.display()
        );
    }
    Ok(Telemetry { spans })
}

/// How many lines were left out of the log, or of one of its places, since the process began:
/// because nobody took them in time, or because they could not be written.
pub fn dropped() -> u64 {
    log_queue::dropped()
}

type LogLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Lines of a format for a place; of text, with colours or without.
fn lines(config: &Config, queue: &'static Queue, format: LogFormat, ansi: bool) -> LogLayer {
    let json = format != LogFormat::Text;
    // By default a line that cannot be written is lamented with `eprintln!`, which panics when
    // standard error is gone.
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || Log { queue, json })
        .log_internal_errors(false);
    match format {
        LogFormat::Text => layer.with_ansi(ansi).boxed(),
        LogFormat::Auto | LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Ecs => layer
            .with_ansi(false)
            .fmt_fields(JsonFields::new())
            .event_format(Ecs::new(config))
            .boxed(),
    }
}

/// Lines of text without colours, whatever another place has.
fn plain_lines(queue: &'static Queue) -> LogLayer {
    tracing_subscriber::fmt::layer()
        .with_writer(move || Log { queue, json: false })
        .log_internal_errors(false)
        .with_ansi(false)
        .fmt_fields(PlainFields(DefaultFields::new()))
        .boxed()
}

/// The fields of spans are written once for each type of this, so what goes to a terminal with
/// colours needs another type than what goes to a file without.
struct PlainFields(DefaultFields);

impl<'w> FormatFields<'w> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> std::fmt::Result {
        self.0.format_fields(writer, fields)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{env, fs, process::Command};

    use super::*;
    use crate::{config::LogFileSettings, terminal::flush_log};

    const CHILD: &str = "ARCHD_TEST_TELEMETRY_CHILD";
    const FILE: &str = "ARCHD_TEST_TELEMETRY_FILE";

    /// The process that writes a log: this very test, started again by those below. Without its
    /// variable it has nothing to do.
    #[test]
    fn child() {
        let Ok(format) = env::var(CHILD) else { return };
        let mut config = Config::simulation("mongodb://127.0.0.1", "d").unwrap();
        config.log_filter = "info,noisy=warn".to_owned();
        config.log_format = match format.as_str() {
            "text" => LogFormat::Text,
            "ecs" => LogFormat::Ecs,
            _ => LogFormat::Auto,
        };
        config.log_file = env::var(FILE).ok().map(|path| LogFileSettings {
            path: path.into(),
            most_bytes: 1024,
            kept: 2,
        });
        init(&config).unwrap();
        let call = tracing::error_span!("call", request_id = "r-1", method = "S/M");
        call.in_scope(|| tracing::info!(orders = 3, "archived"));
        tracing::info!(target: "noisy", "hidden");
        config.log_file = None;
        assert!(matches!(init(&config), Err(Error::Open(_))));
        flush_log();
    }

    /// What such a process logs on standard error.
    fn log(format: &str, file: Option<&std::path::Path>) -> String {
        let mut child = Command::new(env::current_exe().unwrap());
        child
            .args(["--exact", "telemetry::tests::child", "--nocapture"])
            .env(CHILD, format);
        if let Some(file) = file {
            child.env(FILE, file);
        }
        let output = child.output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && !stdout.contains("archived"),
            "{stdout}{stderr}"
        );
        stderr
    }

    #[test]
    fn the_log_is_on_standard_error_and_has_no_colours_there() {
        let text = log("text", None);
        let ending =
            "call{request_id=\"r-1\" method=\"S/M\"}: archd::telemetry::tests: archived orders=3\n";
        assert!(text.ends_with(ending), "{text:?}");
        assert!(
            !text.contains('\u{1b}') && text.lines().count() == 1,
            "{text:?}"
        );

        let line: serde_json::Value = serde_json::from_str(&log("auto", None)).unwrap();
        assert_eq!(line["message"], "archived");
        assert_eq!(line["orders"], 3);
    }

    #[test]
    fn a_file_has_the_same_lines_as_standard_error() {
        for format in ["text", "auto", "ecs"] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("archd.log");
            let log = log(format, Some(&file));
            let in_file = fs::read_to_string(&file).unwrap();
            // Each layer takes the time for itself.
            let rest = |log: &str| log.split_once("archd").unwrap().1.to_owned();
            assert_eq!(rest(&in_file), rest(&log));
        }
    }
}
