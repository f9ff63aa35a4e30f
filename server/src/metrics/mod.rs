//! Metrics: counters, gauges and histograms of this process, as Prometheus reads them. Whoever
//! records one has it made here once, by its name in [`names`], and keeps it.

pub mod docs;
pub mod names;

use std::sync::Arc;

pub(crate) use ::metrics::{Counter, Gauge, Histogram};
use ::metrics::{Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

use self::names::{ALL, Kind, Metric};

static METADATA: Metadata<'_> = Metadata::new("archd", Level::INFO, None);

/// Metrics that are rendered together. Clones are the same.
#[derive(Clone, Debug)]
pub struct Metrics(Option<Arc<PrometheusRecorder>>);

impl Metrics {
    /// Metrics that are kept. [`Metrics::upkeep`] has to be called now and then, as observations
    /// are held one by one until then.
    pub fn new() -> Metrics {
        let builder = ALL
            .iter()
            .fold(PrometheusBuilder::new(), |builder, metric| {
                let Kind::Histogram(edges) = metric.kind else {
                    return builder;
                };
                let name = Matcher::Full(metric.name.to_owned());
                let with_edges = builder.set_buckets_for_metric(name, edges);
                with_edges.expect("every histogram has edges")
            });
        let recorder = builder.build_recorder();
        for Metric {
            name, kind, help, ..
        } in ALL
        {
            let (name, help) = ((*name).into(), SharedString::const_str(help));
            match kind {
                Kind::Counter => recorder.describe_counter(name, None, help),
                Kind::Gauge => recorder.describe_gauge(name, None, help),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, help),
            }
        }
        Metrics(Some(Arc::new(recorder)))
    }

    /// Metrics that nobody will ask for: recording them costs nothing.
    pub fn off() -> Metrics {
        Metrics(None)
    }

    /// A counter, with the values of its labels in their order. It is 0 from now on.
    pub(crate) fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
        match &self.0 {
            Some(recorder) => {
                let counter = recorder.register_counter(&key(metric, labels), &METADATA);
                counter.increment(0);
                counter
            }
            None => Counter::noop(),
        }
    }

    /// A gauge, with the values of its labels in their order.
    pub(crate) fn gauge(&self, metric: &Metric, labels: &[&str]) -> Gauge {
        match &self.0 {
            Some(recorder) => recorder.register_gauge(&key(metric, labels), &METADATA),
            None => Gauge::noop(),
        }
    }

    /// A histogram, with the values of its labels in their order.
    pub(crate) fn histogram(&self, metric: &Metric, labels: &[&str]) -> Histogram {
        match &self.0 {
            Some(recorder) => recorder.register_histogram(&key(metric, labels), &METADATA),
            None => Histogram::noop(),
        }
    }

    /// Adds up the observations of histograms.
    pub(crate) fn upkeep(&self) {
        if let Some(recorder) = &self.0 {
            recorder.handle().run_upkeep();
        }
    }

    /// All of them in the text format of Prometheus.
    pub(crate) fn render(&self) -> String {
        let recorder = self.0.as_ref();
        recorder.map_or_else(String::new, |recorder| recorder.handle().render())
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::off()
    }
}

fn key(metric: &Metric, values: &[&str]) -> Key {
    assert_eq!(
        metric.labels.len(),
        values.len(),
        "{} has other labels",
        metric.name
    );
    let labels = metric.labels.iter().zip(values);
    let labels: Vec<Label> = labels
        .map(|(label, value)| Label::new(label.name, (*value).to_owned()))
        .collect();
    Key::from_parts(metric.name, labels)
}

/// One of what a gauge counts, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: Gauge) -> Counted {
        gauge.increment(1.0);
        Counted(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_with_its_help() {
        let metrics = Metrics::new();
        let orders = metrics.counter(&names::ORDERS, &["watch", "archived"]);
        let latency = metrics.histogram(&names::ARCHIVE_LATENCY, &["watch"]);
        let connections = metrics.gauge(&names::CONNECTIONS, &["http"]);
        orders.increment(2);
        latency.record(Duration::from_millis(1_900));
        metrics.upkeep();
        latency.record(Duration::from_millis(2_100));
        let open = Counted::new(connections.clone());
        drop(Counted::new(connections));
        let text = metrics.render();
        for line in [
            "# TYPE order_archiver_orders_total counter",
            "order_archiver_orders_total{source=\"watch\",fate=\"archived\"} 2",
            "# TYPE order_archiver_archive_latency_seconds histogram",
            "order_archiver_archive_latency_seconds_bucket{source=\"watch\",le=\"1\"} 0",
            "order_archiver_archive_latency_seconds_bucket{source=\"watch\",le=\"2\"} 1",
            "order_archiver_archive_latency_seconds_bucket{source=\"watch\",le=\"5\"} 2",
            "order_archiver_archive_latency_seconds_count{source=\"watch\"} 2",
            "order_archiver_connections{port=\"http\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        let help = format!("# HELP {} {}", names::ORDERS.name, names::ORDERS.help);
        assert!(text.contains(&help), "{text}");
        drop(open);
        let off = Metrics::off();
        off.counter(&names::ORDERS, &["watch", "archived"])
            .increment(1);
        assert_eq!(off.render(), "");
    }
}
