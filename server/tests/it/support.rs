//! A server of its own for each test, on a database of its own, with every client ready.

use std::{future::Future, time::Duration};

use archd::{
    bytes::raw::{ValueRef, Writer, kind},
    config::Config,
};
use bson::{Bson, Document, RawDocumentBuf, doc, oid::ObjectId};
use devkit::ReplicaSet;
use futures::TryStreamExt;
use mongodb::{Collection, Database, options::ReadConcern};
use order_archiver_api::v1 as pb;
use pb::{
    archive_service_client::ArchiveServiceClient, batch_service_client::BatchServiceClient,
    event_service_client::EventServiceClient, instance_service_client::InstanceServiceClient,
    quarantine_service_client::QuarantineServiceClient, seed_service_client::SeedServiceClient,
    stats_service_client::StatsServiceClient, watcher_service_client::WatcherServiceClient,
};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt;

/// Longest that anything a test waits for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server and its database.
pub(crate) struct TestServer {
    pub(crate) config: Config,
    pub(crate) address: String,
    pub(crate) database: Database,
    pub(crate) channel: Channel,
    pub(crate) stop: CancellationToken,
    pub(crate) running: JoinHandle<Result<(), archd::Error>>,
}

impl TestServer {
    /// Starts a server on a fresh database of the shared mongod, and waits until it serves.
    pub(crate) async fn start() -> TestServer {
        TestServer::start_with(|_| {}).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> TestServer {
        TestServer::start_on(ReplicaSet::shared().await.unwrap(), change).await
    }

    /// The same, on a mongod that the test may do harm to.
    pub(crate) async fn start_on(set: &ReplicaSet, change: impl FnOnce(&mut Config)) -> TestServer {
        let database = set.fresh_database().await.unwrap();
        let mut config = Config::simulation(&set.uri(), database.name()).unwrap();
        change(&mut config);
        let server = TestServer::launch(config, database).await;
        server.ready().await;
        server
    }

    /// A server on a mongod of the test's own, in a database of that name; does not wait.
    pub(crate) async fn on(uri: &str, database: &str) -> TestServer {
        TestServer::on_with(uri, database, |_| {}).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn on_with(
        uri: &str,
        database: &str,
        change: impl FnOnce(&mut Config),
    ) -> TestServer {
        let mut config = Config::simulation(uri, database).unwrap();
        change(&mut config);
        let client = mongodb::Client::with_uri_str(uri).await.unwrap();
        TestServer::launch(config, client.database(database)).await
    }

    /// Another instance on the same database of the shared mongod, ready.
    pub(crate) async fn another(&self, change: impl FnOnce(&mut Config)) -> TestServer {
        let uri = ReplicaSet::shared().await.unwrap().uri();
        let server = TestServer::on_with(&uri, self.database.name(), change).await;
        server.ready().await;
        server
    }

    /// Starts a server with these settings, and does not wait.
    pub(crate) async fn launch(config: Config, database: Database) -> TestServer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let running = tokio::spawn(archd::run(listener, config.clone(), stop.clone()));
        let channel = Channel::from_shared(address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        TestServer {
            config,
            address,
            database,
            channel,
            stop,
            running,
        }
    }

    /// Waits until health says SERVING.
    pub(crate) async fn ready(&self) {
        self.health(tonic_health::ServingStatus::Serving).await;
    }

    /// Waits until health says this of the whole server.
    pub(crate) async fn health(&self, wanted: tonic_health::ServingStatus) {
        let mut client = tonic_health::pb::health_client::HealthClient::new(self.channel.clone());
        let request = tonic_health::pb::HealthCheckRequest {
            service: String::new(),
        };
        let mut answers = client.watch(request).await.unwrap().into_inner();
        let wait = async {
            while let Some(answer) = answers.message().await.unwrap() {
                if answer.status == wanted as i32 {
                    return;
                }
            }
            panic!("health ended");
        };
        within(wait).await;
    }

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

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// Puts documents into a collection.
    pub(crate) async fn insert(
        &self,
        collection: &str,
        documents: impl IntoIterator<Item = Document>,
    ) {
        let documents: Vec<Document> = documents.into_iter().collect();
        self.collection(collection)
            .insert_many(documents)
            .await
            .unwrap();
    }

    /// Puts documents into a collection whose names and strings may be any bytes.
    pub(crate) async fn insert_raw(
        &self,
        collection: &str,
        documents: impl IntoIterator<Item = RawDocumentBuf>,
    ) {
        for document in documents {
            let mut command = Writer::default();
            let member = ValueRef {
                kind: kind::DOCUMENT,
                bytes: document.as_bytes(),
            };
            command
                .string("insert", collection)
                .array("documents", [member]);
            let reply = self.database.run_raw_command(command.finish());
            let reply = reply.await.unwrap();
            assert_eq!(reply.get_i32("n").unwrap(), 1, "{reply}");
        }
    }

    /// Everything in a collection that a majority holds, by `_id`, whatever its bytes.
    pub(crate) async fn all_raw(&self, collection: &str) -> Vec<RawDocumentBuf> {
        let collection = self.database.collection::<RawDocumentBuf>(collection);
        let found = collection.find(doc! {}).sort(doc! { "_id": 1 });
        let found = found.read_concern(ReadConcern::majority());
        found.await.unwrap().try_collect().await.unwrap()
    }

    /// Everything in a collection that a majority holds, by `_id`: what the audit sees too.
    pub(crate) async fn all(&self, collection: &str) -> Vec<Document> {
        self.collection(collection)
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .read_concern(ReadConcern::majority())
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap()
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

    /// Stops the server and waits until it has left.
    pub(crate) async fn shut_down(self) {
        self.stop.cancel();
        drop(self.channel);
        within(self.running).await.unwrap().unwrap();
    }
}

/// The reason that a status gives, and the fields that it names.
pub(crate) fn faults(status: &Status) -> (String, Vec<String>) {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("{status:?} gives no reason"));
    assert_eq!(info.domain, "orderarchiver.v1", "{status:?}");
    let fields = status.get_details_bad_request().into_iter();
    let fields = fields.flat_map(|faults| faults.field_violations);
    (
        info.reason,
        fields.map(|violation| violation.field).collect(),
    )
}

/// That a status is worth a retry, and says so to programs.
pub(crate) fn assert_unavailable(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(faults(status).0, reason, "{status:?}");
    let retry = status.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some(), "{status:?}");
}

/// That somebody has to mend something, and no program is to ask again before.
pub(crate) fn assert_unusable(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(faults(status).0, "DATABASE_UNUSABLE", "{status:?}");
    assert!(status.get_details_retry_info().is_none(), "{status:?}");
}

/// Delivered orders with the numbers CMD-2025-000001 and so on.
pub(crate) fn orders(count: usize) -> impl Iterator<Item = Document> {
    (1..=count).map(|number| order(format!("CMD-2025-{number:06}")))
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

/// The last message of a stream.
pub(crate) async fn last<M>(mut stream: Streaming<M>) -> M {
    within(async {
        let mut last = None;
        while let Some(message) = stream.message().await.unwrap() {
            last = Some(message);
        }
        last.unwrap()
    })
    .await
}

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(wait: impl Future<Output = T>) -> T {
    timeout(PATIENCE, wait)
        .await
        .expect("this took longer than a test may wait")
}

/// A delivered order that refers to the documents of [`references`].
pub(crate) fn order(numero: impl Into<Bson>) -> Document {
    doc! {
        "_id": ObjectId::new(), "numero_commande": numero, "status": "livrée", "id_client": 1, "id_livreur": 1, "id_restaurant": 1, "id_menu": 1,
        "coût_commande": 24.9, "date_commande": bson::DateTime::from_millis(1_760_624_625_000),
    }
}

/// One of each kind of document that an order refers to, by collection.
pub(crate) fn references() -> [(&'static str, Document); 4] {
    [
        (
            "Client",
            doc! { "id_client": 1, "Prénom": "Zoé", "Nom": "Martin", "Email": "zoe@example.fr" },
        ),
        (
            "Livreur",
            doc! { "id_livreur": 1, "Prénom": "Ali", "Nom": "Benali" },
        ),
        (
            "Restaurants",
            doc! { "id_restaurant": 1, "name": "Le Bistrot" },
        ),
        (
            "Menu",
            doc! { "id_menu": 1, "name": "Menu du jour", "price": 12.5 },
        ),
    ]
}

impl TestServer {
    /// Puts [`references`] where orders find them.
    pub(crate) async fn with_references(self) -> TestServer {
        for (collection, document) in references() {
            self.insert(collection, [document]).await;
        }
        self
    }
}

impl TestServer {
    /// Makes the index that batches page along when it is there.
    pub(crate) async fn index_status(&self) {
        let key = doc! { "status": 1, "_id": 1 };
        let index = mongodb::IndexModel::builder().keys(key).build();
        self.collection("Commande")
            .create_index(index)
            .await
            .unwrap();
    }

    /// Another server on the same database.
    pub(crate) async fn second(&self, change: impl FnOnce(&mut Config)) -> TestServer {
        let mut config = self.config.clone();
        change(&mut config);
        let server = TestServer::launch(config, self.database.clone()).await;
        server.ready().await;
        server
    }

    /// The watcher as it is now.
    pub(crate) async fn watcher_now(&self) -> pb::Watcher {
        let answer = self.watcher().get_watcher(pb::GetWatcherRequest {}).await;
        answer.unwrap().into_inner().watcher.unwrap()
    }

    /// The news from now on; once this is back, nothing is missed any more.
    pub(crate) async fn news(&self) -> Streaming<pb::TailEventsResponse> {
        let request = pb::TailEventsRequest::default();
        let mut news = self
            .events()
            .tail_events(request)
            .await
            .unwrap()
            .into_inner();
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

    /// Waits until the archive holds at least so many orders, and names them all.
    pub(crate) async fn archived(&self, at_least: usize) -> Vec<String> {
        eventually(async || {
            let archive = self.all("Historique").await;
            let numero = |order: &Document| {
                order
                    .get_str("numero_commande")
                    .unwrap_or("none")
                    .to_owned()
            };
            let mut numeros: Vec<String> = archive.iter().map(numero).collect();
            numeros.sort();
            (numeros.len() >= at_least).then_some(numeros)
        })
        .await
    }
}

/// Asks again and again until there is an answer, for what nothing tells of by itself.
pub(crate) async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    within(async {
        let mut pause = interval(Duration::from_millis(20));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}
