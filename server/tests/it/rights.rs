//! Who may do what: each call asks who makes it, whoever lacks a right is told which, whoever is
//! removed is gone at once, and what was done is in the audit log.

mod archctl;
mod audit;
mod http;
mod over_tls;
mod process;
mod removal;
mod table;

use std::{fs, path::PathBuf};

use order_archiver_api::v1 as pb;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tonic::{Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel};
use tonic_prost::ProstCodec;

use crate::support::TestServer;

/// The methods that need the right to read, and no more.
pub(crate) fn reads() -> impl Iterator<Item = &'static str> {
    table::methods().filter_map(|(right, method)| (right == "read").then_some(method))
}

/// The token of somebody.
fn token(name: &str) -> String {
    format!("{name}.0123456789abcdef0123456789abcdef")
}

/// The line of somebody with this right.
fn line(name: &str, right: &str) -> String {
    let hash = hex::encode(Sha256::digest(token(name)));
    format!("token {name} {right} {hash}\n")
}

/// A file of identities of the test's own.
struct Identities(TempDir);

impl Identities {
    fn new(lines: &[String]) -> Identities {
        let identities = Identities(tempfile::tempdir().unwrap());
        identities.write(lines);
        identities
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("identities")
    }

    fn write(&self, lines: &[String]) {
        fs::write(self.path(), lines.concat()).unwrap();
    }

    /// The same, and the servers of this process are told.
    fn rewrite(&self, lines: &[String]) {
        self.write(lines);
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::HUP).unwrap();
    }

    /// A server that goes by it.
    async fn server(&self) -> TestServer {
        TestServer::start_with(|config| {
            config.auth_file = Some(self.path());
            config.http = Some(([127, 0, 0, 1], 0).into());
        })
        .await
    }
}

/// A request of somebody.
fn of<M>(name: &str, message: M) -> Request<M> {
    with(&token(name), message)
}

/// A request with a token.
fn with<M>(token: &str, message: M) -> Request<M> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// Calls a method by its path with one empty message, whatever it takes and answers, until its
/// answer begins.
async fn call(channel: &Channel, path: &str, token: Option<&str>) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    // Of any other method this is an empty message: no field of theirs is written.
    let message = pb::SeedDataRequest {
        orders: path.ends_with("/SeedData").then_some(1),
        ..Default::default()
    };
    let message = tokio_stream::once(message);
    let request = match token {
        Some(token) => with(token, message),
        None => Request::new(message),
    };
    let path = PathAndQuery::try_from(path).unwrap();
    let codec = ProstCodec::<pb::SeedDataRequest, ()>::default();
    grpc.streaming(request, path, codec).await.map(drop)
}
