//! A server of its own for each test, on a database of its own.

use std::net::SocketAddr;

use archd::config::Config;
use devkit::ReplicaSet;
use mongodb::Database;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::within;

/// A running server and its database.
pub(crate) struct TestServer {
    pub(crate) config: Config,
    pub(crate) address: String,
    /// Where HTTP is answered, if the settings of the test want that.
    pub(crate) http: Option<SocketAddr>,
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
        let http = match config.http {
            Some(http) => Some(TcpListener::bind(http).await.unwrap()),
            None => None,
        };
        let stop = CancellationToken::new();
        let http_address = http.as_ref().map(|http| http.local_addr().unwrap());
        let running = archd::run(listener, http, config.clone(), stop.clone());
        let running = tokio::spawn(running);
        let channel = Channel::from_shared(address.clone())
            .unwrap()
            .connect()
            .await
            .unwrap();
        TestServer {
            config,
            address,
            http: http_address,
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

    /// Stops the server and waits until it has left.
    pub(crate) async fn shut_down(self) {
        self.stop.cancel();
        drop(self.channel);
        within(self.running).await.unwrap().unwrap();
    }

    /// Another server on the same database.
    pub(crate) async fn second(&self, change: impl FnOnce(&mut Config)) -> TestServer {
        let mut config = self.config.clone();
        change(&mut config);
        let server = TestServer::launch(config, self.database.clone()).await;
        server.ready().await;
        server
    }
}
