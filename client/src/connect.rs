//! The connection to the server: one channel for everything a command asks.

use std::time::Duration;

use order_archiver_api::v1::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient, instance_service_client::InstanceServiceClient,
    quarantine_service_client::QuarantineServiceClient, seed_service_client::SeedServiceClient,
    stats_service_client::StatsServiceClient,
    verification_service_client::VerificationServiceClient,
    watcher_service_client::WatcherServiceClient,
};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::health_client::HealthClient;

use crate::{globals::Globals, output::Output};

/// A page ends at 3 MiB of documents as the database has them, and Extended JSON can be many times
/// longer.
const MAX_MESSAGE: usize = 64 << 20;

/// What a command needs: where to ask, how long to wait, and where the answer goes.
pub(crate) struct Session {
    pub(crate) output: Output,
    channel: Channel,
    timeout: Duration,
}

impl Session {
    /// Connects with the first call, and again after each loss, so that every failure arrives as
    /// the status of a call.
    pub(crate) fn new(globals: &Globals) -> Self {
        let channel = Endpoint::from(globals.endpoint.uri())
            .connect_timeout(globals.timeout)
            // A tail can be quiet for an hour: only pings tell a quiet server from a dead one.
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .connect_lazy();
        Self {
            output: Output::new(globals.output),
            channel,
            timeout: globals.timeout,
        }
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

    pub(crate) fn archive(&self) -> ArchiveServiceClient<Channel> {
        ArchiveServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn batch(&self) -> BatchServiceClient<Channel> {
        BatchServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel.clone())
    }

    pub(crate) fn instance(&self) -> InstanceServiceClient<Channel> {
        InstanceServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn quarantine(&self) -> QuarantineServiceClient<Channel> {
        QuarantineServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn seed(&self) -> SeedServiceClient<Channel> {
        SeedServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn stats(&self) -> StatsServiceClient<Channel> {
        StatsServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn verification(&self) -> VerificationServiceClient<Channel> {
        VerificationServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn watcher(&self) -> WatcherServiceClient<Channel> {
        WatcherServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }
}
