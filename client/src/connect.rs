//! The connection to the server: one channel for everything a command asks.

use std::time::Duration;

use order_archiver_api::{
    REQUEST_ID,
    v1::{
        archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
        event_service_client::EventServiceClient, instance_service_client::InstanceServiceClient,
        quarantine_service_client::QuarantineServiceClient, seed_service_client::SeedServiceClient,
        stats_service_client::StatsServiceClient,
        verification_service_client::VerificationServiceClient,
        watcher_service_client::WatcherServiceClient,
    },
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::health_client::HealthClient;
use uuid::Uuid;

use crate::{fault::Fault, globals::Globals, output::Output, tls};

/// A page ends at 3 MiB of documents as the database has them, and Extended JSON can be many times
/// longer.
const MAX_MESSAGE: usize = 64 << 20;

/// Where a call says who makes it.
const AUTHORIZATION: &str = "authorization";

/// What a command needs: where to ask, how long to wait, and where the answer goes.
pub(crate) struct Session {
    pub(crate) output: Output,
    connection: Connection,
    timeout: Duration,
}

/// The channel, on which every call bears the id of this command and says who makes it.
pub(crate) type Connection = InterceptedService<Channel, Bearing>;

/// What all calls of this command bear.
#[derive(Clone, Debug)]
pub(crate) struct Bearing {
    /// By it one look through the server's log finds what the command made the server do.
    id: MetadataValue<Ascii>,
    /// Who asks, where a token says so.
    authorization: Option<MetadataValue<Ascii>>,
}

impl Bearing {
    fn new(authorization: Option<MetadataValue<Ascii>>) -> Self {
        let id = Uuid::now_v7().to_string();
        Self {
            id: id.parse().expect("a UUID is made of visible characters"),
            authorization,
        }
    }
}

impl Interceptor for Bearing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(REQUEST_ID, self.id.clone());
        if let Some(authorization) = &self.authorization {
            metadata.insert(AUTHORIZATION, authorization.clone());
        }
        Ok(request)
    }
}

impl Session {
    /// Connects with the first call, and again after each loss, so that every failure arrives as
    /// the status of a call.
    ///
    /// Each call bears `authorization`, if there is one.
    pub(crate) fn new(
        globals: &Globals,
        tls: Option<ClientTlsConfig>,
        authorization: Option<MetadataValue<Ascii>>,
    ) -> Result<Self, Fault> {
        let mut endpoint = Endpoint::from(globals.endpoint.uri())
            .connect_timeout(globals.timeout)
            // A tail can be quiet for an hour: only pings tell a quiet server from a dead one.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        if let Some(tls) = tls {
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|error| tls::unusable(&error))?;
        }
        let channel = endpoint.connect_lazy();
        Ok(Self {
            output: Output::new(globals.output),
            connection: InterceptedService::new(channel, Bearing::new(authorization)),
            timeout: globals.timeout,
        })
    }

    /// A request that must be answered within `--timeout`; the server is told so, too.
    pub(crate) fn unary<T>(&self, message: T) -> Request<T> {
        self.unary_for(message, Duration::ZERO)
    }

    /// The same for an answer that may take longer by so much.
    pub(crate) fn unary_for<T>(&self, message: T, longer: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout + longer);
        request
    }

    /// The same for one that must come within `most`, too.
    pub(crate) fn unary_within<T>(&self, message: T, most: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout.min(most));
        request
    }

    pub(crate) fn archive(&self) -> ArchiveServiceClient<Connection> {
        ArchiveServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn batch(&self) -> BatchServiceClient<Connection> {
        BatchServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn events(&self) -> EventServiceClient<Connection> {
        EventServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn health(&self) -> HealthClient<Connection> {
        HealthClient::new(self.connection.clone())
    }

    pub(crate) fn instance(&self) -> InstanceServiceClient<Connection> {
        InstanceServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn quarantine(&self) -> QuarantineServiceClient<Connection> {
        QuarantineServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn seed(&self) -> SeedServiceClient<Connection> {
        SeedServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn stats(&self) -> StatsServiceClient<Connection> {
        StatsServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn verification(&self) -> VerificationServiceClient<Connection> {
        VerificationServiceClient::new(self.connection.clone())
            .max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn watcher(&self) -> WatcherServiceClient<Connection> {
        WatcherServiceClient::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE)
    }
}
