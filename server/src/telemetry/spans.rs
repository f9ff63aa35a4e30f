//! Spans on their way to a collector, by OTLP over gRPC: calls, chunks and their five steps.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::HeaderMap;
use opentelemetry::{
    KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanKind, Status, TracerProvider, get_active_span},
};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter as OtlpExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter},
};
use tracing::{Level, Metadata, Span, info, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::filter_fn, registry::Registry};

use crate::config::Config;

/// The spans that are sent. Those that live as long as a batch or a watcher are not: each chunk of
/// theirs is a trace of its own.
const SENT: [&str; 8] = [
    "call", "callers", "chunk", "gather", "judge", "enrich", "write", "record",
];
/// Spans that wait to be sent; what comes beyond them is left out.
const WAITING: usize = 16_384;
/// Spans that are sent together.
const TOGETHER: usize = 2_048;
/// How long a span waits at most for others to be sent with.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a process that ends waits for the rest to be sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// The way of spans to their collector.
#[derive(Debug)]
pub(super) struct Spans(SdkTracerProvider);

impl Spans {
    /// Begins to send to a collector, which need not be there yet. Needs the runtime.
    pub(super) fn to(endpoint: &str, config: &Config) -> Result<Spans, ExporterBuildError> {
        let exporter = OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(TOGETHER)
            .with_scheduled_delay(DELAY)
            .build();
        let sender = BatchSpanProcessor::builder(Sender::new(exporter))
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder()
            .with_service_name("archd")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", config.instance.clone()),
                KeyValue::new("host.name", config.host.clone()),
            ])
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(sender)
            .with_resource(resource)
            .build();
        Ok(Spans(provider))
    }

    /// What takes the spans of this process.
    pub(super) fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("archd"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_sent))
            .boxed()
    }

    /// Sends the rest, and waits for that a little.
    pub(super) async fn close(self) {
        let closing = tokio::task::spawn_blocking(move || {
            // What could not be sent has been told by the sender.
            let _ = self.0.shutdown_with_timeout(FAREWELL);
        });
        let _ = closing.await;
    }
}

/// Also warnings and errors that happen in one of these spans.
fn is_sent(metadata: &Metadata<'_>) -> bool {
    let own = metadata.target().starts_with("archd");
    own && match metadata.is_span() {
        true => SENT.contains(&metadata.name()),
        false => *metadata.level() <= Level::WARN,
    }
}

/// Makes a call's span part of the trace that its caller says it belongs to, by the headers of W3C
/// Trace Context.
pub(crate) fn continue_trace(span: &Span, headers: &HeaderMap) {
    if headers.contains_key("traceparent") {
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        // Without a collector there is no trace to continue.
        let _ = span.set_parent(parent);
    }
}

/// Notes the gRPC code that a call has ended with.
pub(crate) fn note_end(span: &Span, code: i32) {
    const OF_THE_SERVER: [i32; 6] = [2, 4, 12, 13, 14, 15];
    span.set_attribute("rpc.grpc.status_code", i64::from(code));
    if OF_THE_SERVER.contains(&code) {
        span.set_status(Status::error(""));
    }
}

/// The ids of the trace and the span that this thread is in, if they are sent.
pub(super) fn current_ids() -> Option<[String; 2]> {
    get_active_span(|span| {
        let context = span.span_context();
        let ids = || {
            [
                context.trace_id().to_string(),
                context.span_id().to_string(),
            ]
        };
        context.is_valid().then(ids)
    })
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Sends spans, and says once when that fails and when it succeeds again.
#[derive(Debug)]
struct Sender {
    exporter: OtlpExporter,
    /// Spans that were left out since some were last sent.
    left_out: AtomicU64,
}

impl Sender {
    fn new(exporter: OtlpExporter) -> Sender {
        Sender {
            exporter,
            left_out: AtomicU64::new(0),
        }
    }
}

impl SpanExporter for Sender {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        batch.iter_mut().for_each(name_call);
        let outcome = self.exporter.export(batch).await;
        match &outcome {
            Ok(()) => {
                let left_out = self.left_out.swap(0, Ordering::Relaxed);
                if left_out > 0 {
                    info!(
                        left_out,
                        "the collector at ARCHD_OTLP_ENDPOINT takes spans again"
                    );
                }
            }
            Err(error) => {
                if self.left_out.fetch_add(spans, Ordering::Relaxed) == 0 {
                    warn!(%error, "spans can't be sent to the collector at ARCHD_OTLP_ENDPOINT: they are left out until they can");
                }
            }
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Calls are known by their methods, which are known only when they come.
fn name_call(span: &mut SpanData) {
    if span.name != "call" {
        return;
    }
    span.span_kind = SpanKind::Server;
    span.attributes.push(KeyValue::new("rpc.system", "grpc"));
    let mut attributes = span.attributes.iter_mut();
    if let Some(method) = attributes.find(|attribute| attribute.key.as_str() == "method") {
        span.name = method.value.as_str().into_owned().into();
        method.key = "rpc.method".into();
    }
}
