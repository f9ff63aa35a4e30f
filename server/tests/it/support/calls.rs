//! Every client of a test's server, and the calls that many tests make.

use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient, instance_service_client::InstanceServiceClient,
    quarantine_service_client::QuarantineServiceClient, seed_service_client::SeedServiceClient,
    stats_service_client::StatsServiceClient,
    verification_service_client::VerificationServiceClient,
    watcher_service_client::WatcherServiceClient,
};
use tonic::{Status, Streaming, transport::Channel};

use super::{TestServer, eventually, last, within};

impl TestServer {
    pub(crate) fn archive(&self) -> ArchiveServiceClient<Channel> {
        ArchiveServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20)
    }

    pub(crate) fn batches(&self) -> BatchServiceClient<Channel> {
        BatchServiceClient::new(self.channel.clone())
    }

    pub(crate) fn watcher(&self) -> WatcherServiceClient<Channel> {
        WatcherServiceClient::new(self.channel.clone())
    }

    pub(crate) fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel.clone())
    }

    pub(crate) fn stats(&self) -> StatsServiceClient<Channel> {
        StatsServiceClient::new(self.channel.clone())
    }

    pub(crate) fn seeds(&self) -> SeedServiceClient<Channel> {
        SeedServiceClient::new(self.channel.clone())
    }

    pub(crate) fn instance_service(&self) -> InstanceServiceClient<Channel> {
        InstanceServiceClient::new(self.channel.clone())
    }

    /// The instances on the database, as this one tells of them.
    pub(crate) async fn instances(&self) -> Vec<pb::Instance> {
        let answer = self
            .instance_service()
            .list_instances(pb::ListInstancesRequest {})
            .await;
        answer.unwrap().into_inner().instances
    }

    pub(crate) fn quarantine(&self) -> QuarantineServiceClient<Channel> {
        QuarantineServiceClient::new(self.channel.clone())
    }

    pub(crate) fn verifications(&self) -> VerificationServiceClient<Channel> {
        VerificationServiceClient::new(self.channel.clone())
    }

    /// Starts a verification that reads differences again at once, unless its options say otherwise;
    /// the flag says whether it was there before.
    pub(crate) async fn start_verification(
        &self,
        mut options: pb::VerificationOptions,
        request_id: &str,
    ) -> Result<(pb::Verification, bool), Status> {
        options.settle.get_or_insert_default();
        let request = pb::StartVerificationRequest {
            options: Some(options),
            request_id: request_id.to_owned(),
        };
        let answer = self.verifications().start_verification(request).await?;
        let answer = answer.into_inner();
        Ok((answer.verification.unwrap(), answer.already_running))
    }

    /// Waits for a verification to end.
    pub(crate) async fn verification_end(&self, id: &str) -> pb::Verification {
        let request = pb::WatchVerificationRequest { id: id.to_owned() };
        let states = self.verifications().watch_verification(request).await;
        last(states.unwrap().into_inner()).await;
        let request = pb::GetVerificationRequest { id: id.to_owned() };
        let answer = self.verifications().get_verification(request).await;
        answer.unwrap().into_inner().verification.unwrap()
    }

    /// Runs a verification with these options to its end.
    pub(crate) async fn verify_with(&self, options: pb::VerificationOptions) -> pb::Verification {
        let (verification, _) = self.start_verification(options, "").await.unwrap();
        self.verification_end(&verification.id).await
    }

    /// Waits until a verification has looked at an order and is still running.
    pub(crate) async fn verification_under_way(&self, id: &str) {
        let request = pb::WatchVerificationRequest { id: id.to_owned() };
        let states = self.verifications().watch_verification(request).await;
        let mut states = states.unwrap().into_inner();
        within(async {
            loop {
                let state = states.message().await.unwrap().unwrap();
                let verification = state.verification.unwrap();
                assert!(
                    verification.end_time.is_none(),
                    "too quick: {verification:?}"
                );
                if verification.counts.unwrap().delivered > 0 {
                    return;
                }
            }
        })
        .await;
    }

    /// Asks for one order.
    pub(crate) async fn archive_order(
        &self,
        numero: &str,
    ) -> Result<pb::ArchiveResult, tonic::Status> {
        let request = pb::ArchiveOrderRequest {
            numero_commande: numero.to_owned(),
        };
        self.archive()
            .archive_order(request)
            .await
            .map(|response| response.into_inner().result.unwrap())
    }

    /// Starts a batch; the flag says whether it was there before.
    pub(crate) async fn start_batch(
        &self,
        options: pb::BatchOptions,
        request_id: &str,
    ) -> Result<(pb::Batch, bool), Status> {
        let request = pb::StartBatchRequest {
            options: Some(options),
            request_id: request_id.to_owned(),
        };
        let response = self.batches().start_batch(request).await?.into_inner();
        Ok((response.batch.unwrap(), response.already_running))
    }

    /// Runs a batch to its end.
    pub(crate) async fn run_batch(&self) -> pb::Batch {
        self.run_batch_with(pb::BatchOptions::default()).await
    }

    /// Runs a batch with these options to its end.
    pub(crate) async fn run_batch_with(&self, options: pb::BatchOptions) -> pb::Batch {
        let (batch, _) = self.start_batch(options, "").await.unwrap();
        self.batch_end(&batch.id).await
    }

    /// Gives a running batch another rate.
    pub(crate) async fn set_rate(&self, id: &str, orders_per_second: i32) {
        let request = pb::TuneBatchRequest {
            id: id.to_owned(),
            max_orders_per_second: Some(orders_per_second),
            ..Default::default()
        };
        self.batches().tune_batch(request).await.unwrap();
    }

    /// Waits until a batch has archived an order and is still running.
    pub(crate) async fn batch_under_way(&self, id: &str) {
        let request = pb::WatchBatchRequest { id: id.to_owned() };
        let mut states = self
            .batches()
            .watch_batch(request)
            .await
            .unwrap()
            .into_inner();
        within(async {
            loop {
                let batch = states.message().await.unwrap().unwrap().batch.unwrap();
                assert!(batch.end_time.is_none(), "too quick: {batch:?}");
                if batch.counts.unwrap().found > 0 {
                    return;
                }
            }
        })
        .await;
    }

    /// Waits for a batch to end.
    pub(crate) async fn batch_end(&self, id: &str) -> pb::Batch {
        let request = pb::WatchBatchRequest { id: id.to_owned() };
        let stream = self
            .batches()
            .watch_batch(request)
            .await
            .unwrap()
            .into_inner();
        last(stream).await;
        // All of it, where what is followed is told in short.
        eventually(async || {
            let request = pb::GetBatchRequest { id: id.to_owned() };
            let answer = self.batches().get_batch(request).await.ok()?;
            answer.into_inner().batch
        })
        .await
    }

    /// The watcher as it is now.
    pub(crate) async fn watcher_now(&self) -> pb::Watcher {
        let answer = self.watcher().get_watcher(pb::GetWatcherRequest {}).await;
        answer.unwrap().into_inner().watcher.unwrap()
    }

    /// Stops the watcher for a while.
    pub(crate) async fn pause_watcher(&self) -> pb::Watcher {
        let mut client = self.watcher();
        let paused = client.pause_watcher(pb::PauseWatcherRequest {}).await;
        paused.unwrap().into_inner().watcher.unwrap()
    }

    /// Has it watch again.
    pub(crate) async fn resume_watcher(&self) -> pb::Watcher {
        let mut client = self.watcher();
        let resumed = client.resume_watcher(pb::ResumeWatcherRequest {}).await;
        resumed.unwrap().into_inner().watcher.unwrap()
    }

    /// The statistics without anything that has to be asked for.
    pub(crate) async fn stats_now(&self) -> pb::GetStatsResponse {
        self.get_stats(pb::GetStatsRequest::default()).await
    }

    pub(crate) async fn get_stats(&self, request: pb::GetStatsRequest) -> pb::GetStatsResponse {
        let answer = self.stats().get_stats(request).await;
        answer.unwrap().into_inner()
    }

    /// A page of the batches.
    pub(crate) async fn list_batches(
        &self,
        request: pb::ListBatchesRequest,
    ) -> pb::ListBatchesResponse {
        let answer = self.batches().list_batches(request).await;
        answer.unwrap().into_inner()
    }

    /// A page of the quarantine.
    pub(crate) async fn list_quarantined(
        &self,
        request: pb::ListQuarantinedRequest,
    ) -> pb::ListQuarantinedResponse {
        let answer = self.quarantine().list_quarantined(request).await;
        answer.unwrap().into_inner()
    }

    pub(crate) async fn tail_events(
        &self,
        request: pb::TailEventsRequest,
    ) -> Streaming<pb::TailEventsResponse> {
        let answer = self.events().tail_events(request).await;
        answer.unwrap().into_inner()
    }

    /// The news from now on; once this is back, nothing is missed any more.
    pub(crate) async fn news(&self) -> Streaming<pb::TailEventsResponse> {
        let mut news = self.tail_events(pb::TailEventsRequest::default()).await;
        within(news.message()).await.unwrap().unwrap();
        news
    }

    /// Waits until the watcher is in a state.
    pub(crate) async fn watcher_is(&self, state: pb::WatcherState) {
        eventually(async || {
            let answer = self.watcher().get_watcher(pb::GetWatcherRequest {}).await;
            let watcher = answer.ok()?.into_inner().watcher?;
            (watcher.state() == state).then_some(())
        })
        .await;
    }
}

/// The counts of a report as found, archived, duplicates and errors, once they balance.
pub(crate) fn tally(counts: Option<pb::OrderCounts>) -> [i64; 4] {
    let counts = counts.unwrap();
    let pb::OrderCounts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone: _,
    } = counts;
    assert_eq!(found, archived + duplicates + errors, "{counts:?}");
    assert!(incomplete <= archived, "{counts:?}");
    [found, archived, duplicates, errors]
}
