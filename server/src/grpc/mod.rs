//! The edge: protobuf in, protobuf out. The only code that knows tonic and the contract.

mod archive;
mod archive_list;
mod archive_order;
mod archived_order;
mod batch;
mod event;
mod instance;
mod jobs;
mod quarantine;
mod seed;
mod stats;
mod verification;
mod watcher;

mod order_stream;

mod access;
mod admission;
mod audit;
mod connection;
mod health;
pub(crate) mod limits;
mod listener;
mod measures;
mod methods;
mod pace;
mod request_id;
mod stopping;

mod call;
mod cursor;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod page;
mod status;

use order_archiver_api::{FILE_DESCRIPTOR_SET, v1 as pb};
use pb::{
    archive_service_server::ArchiveServiceServer, batch_service_server::BatchServiceServer,
    event_service_server::EventServiceServer, instance_service_server::InstanceServiceServer,
    quarantine_service_server::QuarantineServiceServer, seed_service_server::SeedServiceServer,
    stats_service_server::StatsServiceServer,
    verification_service_server::VerificationServiceServer,
    watcher_service_server::WatcherServiceServer,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, codec::CompressionEncoding::Gzip, service::Routes};
use tower::{ServiceBuilder, util::MapResponseLayer};
use tower_http::catch_panic::CatchPanicLayer;

use self::{
    access::Asking, admission::Admission, audit::Audit, call::Calls, health::Own, jobs::Followed,
    limits::Limits, listener::Grpc, measures::Measuring, request_id::RequestIds,
};
use crate::{
    access::Access,
    config::{Config, Profile},
    metrics::names,
    parts::Parts,
    repair::Repairer,
    sockets::{Entrance, Listener},
};

/// A service that takes requests of so many bytes, unpacked, and understands gzip: it answers with
/// it whoever says to understand it.
macro_rules! served {
    ($service:expr, $most:expr) => {
        $service
            .max_decoding_message_size($most)
            .accept_compressed(Gzip)
            .send_compressed(Gzip)
    };
}

/// Serves callers until `stop` is cancelled, then until the last of them has left. Up to
/// `other_connections` are not theirs.
pub(crate) async fn serve(
    listener: TcpListener,
    entrance: Entrance,
    other_connections: usize,
    config: &Config,
    parts: Parts,
    access: Access,
    stop: CancellationToken,
) {
    let limits = Limits::new();
    let taken = parts.store.most_connections() + other_connections;
    let most = listener::most_connections(config.max_connections, taken);
    let calls = Calls {
        monitor: parts.monitor.clone(),
        request_timeout: config.request_timeout,
        stop: stop.clone(),
        limits: limits.clone(),
        audit: Audit::new(
            parts.store.for_callers(),
            config.instance.clone(),
            parts.tasks.clone(),
        ),
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    // By itself the health service would say SERVING until it is told otherwise.
    health::report(&reporter, false, &[]).await;
    parts.tasks.spawn(health::report_on(
        reporter,
        parts.monitor.clone(),
        Own::of(&parts),
        parts.leaving.clone(),
    ));
    let measuring = Measuring::new(&parts.metrics);
    let connections = parts.metrics.gauge(&names::CONNECTIONS, &["grpc"]);
    let mut routes = Routes::builder();
    routes.add_service(served!(health, limits::REQUEST));
    if config.reflection {
        let descriptors = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        };
        let (now, alpha) = (descriptors().build_v1(), descriptors().build_v1alpha());
        let now = now.expect("the descriptors were compiled into this program");
        let alpha = alpha.expect("the descriptors were compiled into this program");
        routes.add_service(served!(now, limits::REQUEST));
        routes.add_service(served!(alpha, limits::REQUEST));
    }
    add_services(&mut routes, config, parts, calls);
    let service = ServiceBuilder::new()
        .layer(RequestIds)
        .layer(measuring)
        .layer(CatchPanicLayer::custom(after_a_panic))
        .layer(MapResponseLayer::new(explain))
        .layer(Asking::new(access))
        .layer(Admission::new(limits, stop.clone()))
        .service(routes.routes().prepare());
    let grpc = Grpc {
        service,
        longest_call: config.request_timeout,
    };
    Listener::new(listener, entrance, most, connections)
        .serve(grpc, stop)
        .await;
}

/// Adds the contract's services, each with the largest request that it takes.
fn add_services(
    routes: &mut tonic::service::RoutesBuilder,
    config: &Config,
    parts: Parts,
    calls: Calls,
) {
    let Parts {
        store,
        pipeline,
        coalescer,
        archiver,
        verifier,
        heartbeat,
        privileges,
        live,
        tasks,
        ..
    } = parts;
    let simulation = config.profile == Profile::Simulation;
    // Any number of callers shares what is theirs of the connections to the database.
    let (store, pipeline) = (store.for_callers(), pipeline.for_callers());
    let (short, long, cursor) = (
        limits::REQUEST,
        limits::LONG_REQUEST,
        limits::CURSOR_REQUEST,
    );
    let archive = archive::ArchiveService {
        calls: calls.clone(),
        coalescer,
        store: store.clone(),
    };
    let batch = batch::BatchService {
        followed: Followed::new(calls.clone(), store.clone()),
        calls: calls.clone(),
        archiver: archiver.for_callers(),
        store: store.clone(),
    };
    let watcher = watcher::WatcherService {
        calls: calls.clone(),
        store: store.clone(),
        may_watch: heartbeat.description().may_watch,
        instance: config.instance.clone(),
    };
    let instance = instance::InstanceService {
        calls: calls.clone(),
        store: store.clone(),
        own: heartbeat.description().clone(),
    };
    let event =
        event::EventService::new(calls.clone(), store.clone(), live, config.max_tail_readers);
    let stats = stats::StatsService {
        calls: calls.clone(),
        store: store.clone(),
        privileges,
        schedule: config.schedule.clone(),
    };
    let seed = seed::SeedService {
        calls: calls.clone(),
        store: store.clone(),
        simulation,
    };
    let verification = verification::VerificationService {
        followed: Followed::new(calls.clone(), store.clone()),
        calls: calls.clone(),
        store: store.clone(),
        verifier: verifier.for_callers(),
        repairer: Repairer::new(store.clone(), pipeline.clone()),
        tasks,
        schedule: config.schedule.clone(),
    };
    let quarantine = quarantine::QuarantineService {
        calls,
        store,
        pipeline,
        instance: config.instance.clone(),
    };
    routes
        .add_service(served!(ArchiveServiceServer::new(archive), short))
        .add_service(served!(BatchServiceServer::new(batch), short))
        .add_service(served!(WatcherServiceServer::new(watcher), short))
        .add_service(served!(InstanceServiceServer::new(instance), short))
        .add_service(served!(EventServiceServer::new(event), cursor))
        .add_service(served!(StatsServiceServer::new(stats), short))
        .add_service(served!(SeedServiceServer::new(seed), short))
        .add_service(served!(QuarantineServiceServer::new(quarantine), long))
        .add_service(served!(VerificationServiceServer::new(verification), long));
}

fn after_a_panic(_: Box<dyn std::any::Any + Send>) -> http::Response<tonic::body::Body> {
    tracing::error!("a call panicked; this is a fault of the server, please report it");
    status::internal().into_http()
}

/// Gives a status that the transport made, as for a message over its limit, the details that every
/// status has here.
fn explain<B>(mut response: http::Response<B>) -> http::Response<B> {
    let bare = Status::from_header_map(response.headers())
        .filter(|status| status.code() != Code::Ok && status.details().is_empty());
    if let Some(status) = bare {
        *response.headers_mut() = status::of_transport(status)
            .into_http::<()>()
            .into_parts()
            .0
            .headers;
    }
    response
}
