//! Requests that are none: whatever bytes a method is called with, it answers with an error that it
//! knows, and no handler breaks.

use std::{fs, path::Path, time::Duration};

use http_body::Frame;
use prost::Message;
use tokio::time::timeout;
use tonic::{Code, Status, body::Body, client::GrpcService, codegen::Bytes, transport::Channel};

use super::{database, started};
use crate::connections::serves;

/// A body that is there whole.
struct Whole(Option<Bytes>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Status>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// The paths of all methods of the contract.
fn paths() -> Vec<String> {
    let set = order_archiver_api::FILE_DESCRIPTOR_SET;
    let set = prost_types::FileDescriptorSet::decode(set).unwrap();
    let services = set.file.iter().flat_map(|file| {
        let services = file.service.iter();
        services.map(move |service| (format!("/{}.{}", file.package(), service.name()), service))
    });
    let paths = services.flat_map(|(path, service)| {
        let methods = service.method.iter();
        methods.map(move |method| format!("{path}/{}", method.name()))
    });
    paths.collect()
}

/// What is sent: the bodies of the fuzzers' requests, and each with a few of its bytes changed.
fn bodies(seed: u64) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/requests");
    let mut files: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let mut state = seed;
    let mut chance = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut bodies = Vec::new();
    for file in files {
        let body = fs::read(file).unwrap().split_off(2);
        let mut changed = body.clone();
        for _ in 0..3 {
            if !changed.is_empty() {
                let at = chance(changed.len());
                changed[at] = chance(256) as u8;
            }
        }
        bodies.extend([body, changed]);
    }
    bodies
}

/// The status of a call with this body; none where the answer is a good one, or a stream.
async fn status(channel: &Channel, path: &str, message: &[u8]) -> Option<Status> {
    let mut channel = channel.clone();
    let mut body = vec![0];
    body.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend(message);
    let request = http::Request::post(format!("http://archd{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Whole(Some(body.into()))))
        .unwrap();
    std::future::poll_fn(|cx| GrpcService::<Body>::poll_ready(&mut channel, cx))
        .await
        .unwrap();
    let answer = GrpcService::call(&mut channel, request);
    let answer = timeout(Duration::from_secs(20), answer)
        .await
        .expect("no answer");
    Status::from_header_map(answer.unwrap().headers())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_bytes_a_method_is_called_with_no_handler_breaks() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut server = started(&database().await, 1_024).await;
    let channel = server.connect().await;
    let bodies = bodies(seed);
    let paths = paths();
    let (mut calls, mut refused) = (0, 0);
    for path in &paths {
        let asked = bodies.iter().map(|body| status(&channel, path, body));
        for (status, body) in futures::future::join_all(asked).await.iter().zip(&bodies) {
            calls += 1;
            let Some(status) = status else { continue };
            refused += usize::from(status.code() != Code::Ok);
            // Of bytes that are no message tonic says so.
            let broken = matches!(status.code(), Code::Internal | Code::Unknown)
                && !status.message().contains("decode");
            assert!(!broken, "{path}: {status:?}, for {body:02x?}");
        }
    }
    println!("{calls} calls, {refused} refused");
    assert!(calls >= 30 * 50 && refused > calls / 2);
    serves(&server, Duration::from_secs(5)).await;
    server.stop().await;
    let rest = server.rest_of_log().await;
    assert!(!rest.contains("panicked"), "{rest}");
}
