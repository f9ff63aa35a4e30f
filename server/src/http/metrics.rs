//! `/metrics`: what Prometheus asks for.

mod database;
mod instance;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::CONTENT_TYPE;

pub(super) use self::instance::Instance;
use super::Context;
use crate::metrics::{Metrics, names};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What this instance has recorded, and what it knows of the database.
pub(super) async fn metrics(State(context): State<Context>) -> Response {
    let (figures, age) = context.figures.get().await;
    context.instance.refresh(&context.parts);
    let mut text = context.parts.metrics.render();
    // Made anew each time: what is not known any more is not there.
    let of_now = Metrics::new();
    if let Some(age) = age {
        of_now.gauge(&names::FIGURES_AGE, &[]).set(age);
    }
    if let Some(figures) = figures {
        if let Some(schedule) = &context.schedule {
            instance::due(&of_now, schedule, figures.stats.read);
        }
        database::write(&of_now, &figures);
    }
    text += &of_now.render();
    ([(CONTENT_TYPE, TEXT)], text).into_response()
}
