//! Log lines under the names of the Elastic Common Schema.
//!
//! What the schema has no name for goes where no two lines can disagree on its type: text and flags
//! under `labels`, numbers under `archd`.

use std::{fmt, process};

use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
        time::{FormatTime, SystemTime},
    },
    registry::{LookupSpan, Scope},
};

use super::spans::current_ids;
use crate::config::Config;

/// The version of the schema whose names these are.
const VERSION: &str = "8.11.0";

/// What makes a line of an event.
#[derive(Clone, Debug)]
pub(super) struct Ecs {
    /// What all lines of this process say.
    own: Map<String, Value>,
}

impl Ecs {
    pub(super) fn new(config: &Config) -> Ecs {
        let own = json!({
            "ecs.version": VERSION,
            "event.dataset": "archd.log",
            "service.name": "archd",
            "service.version": env!("CARGO_PKG_VERSION"),
            "service.node.name": config.instance,
            "host.hostname": config.host,
            "process.pid": process::id(),
        });
        let Value::Object(own) = own else {
            unreachable!("it is written as an object")
        };
        Ecs { own }
    }
}

impl<S> FormatEvent<S, JsonFields> for Ecs
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line::default();
        let spans = context.event_scope().into_iter();
        for span in spans.flat_map(Scope::from_root) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            // The names come from this program; what can't be read as JSON was none.
            let fields = fields.and_then(|fields| serde_json::from_str(fields).ok());
            line.span(span.name(), fields.unwrap_or_default());
        }
        event.record(&mut line);

        let level = event.metadata().level().to_string().to_ascii_lowercase();
        let mut members = Map::new();
        members.insert("@timestamp".to_owned(), time.into());
        members.insert("log.level".to_owned(), level.into());
        members.insert("message".to_owned(), line.message.into());
        members.extend(self.own.clone());
        members.insert("log.logger".to_owned(), event.metadata().target().into());
        members.extend(line.named);
        if let Some([trace, span]) = current_ids() {
            members.insert("trace.id".to_owned(), trace.into());
            members.insert("span.id".to_owned(), span.into());
        }
        for (name, rest) in [("labels", line.labels), ("archd", line.numbers)] {
            if !rest.is_empty() {
                members.insert(name.to_owned(), rest.into());
            }
        }
        writeln!(writer, "{}", Value::Object(members))
    }
}

/// The fields of an event, sorted.
#[derive(Default)]
struct Line {
    message: String,
    /// Under names of the schema.
    named: Map<String, Value>,
    labels: Map<String, Value>,
    numbers: Map<String, Value>,
}

impl Line {
    /// Adds the fields of a span around the event.
    fn span(&mut self, span: &str, fields: Map<String, Value>) {
        for (field, value) in fields {
            match (span, field.as_str(), &value) {
                ("call", "request_id", _) => self.name("http.request.id", value),
                // What is done for several calls together is told of each.
                ("callers", "request_ids", Value::String(ids)) => {
                    let ids: Vec<&str> = ids.split(' ').collect();
                    self.name("http.request.id", json!(ids));
                }
                _ => self.add(format!("{span}_{field}"), value),
            }
        }
    }

    fn name(&mut self, name: &str, value: Value) {
        self.named.insert(name.to_owned(), value);
    }

    fn add(&mut self, field: String, value: Value) {
        match value {
            Value::Number(_) => self.numbers.insert(field, value),
            Value::String(_) => self.labels.insert(field, value),
            other => self.labels.insert(field, other.to_string().into()),
        };
    }

    fn text(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "error" => self.name("error.message", text.into()),
            "peer" => self.name("client.address", text.into()),
            name => self.add(name.to_owned(), text.into()),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // The schema's whole numbers are signed.
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.add(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name().to_owned(), json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name().to_owned(), value.into());
    }
}
