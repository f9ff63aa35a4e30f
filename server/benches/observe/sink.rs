//! Who watches: a collector that takes spans and keeps none, a scraper, and readers of the page's
//! events.

use anyhow::{Context, Result, ensure};
use http::{HeaderMap, HeaderValue, Response};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// A collector, until it is dropped.
pub(crate) struct Collector {
    /// Where it is, as a URL.
    pub(crate) address: String,
    _serving: AbortOnDropHandle<()>,
}

/// Opens a collector that accepts every call of gRPC.
pub(crate) async fn open() -> Result<Collector> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", socket.local_addr()?);
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            // It ends with the exporter, which is killed.
            tokio::spawn(async move { accept_all(stream).await.ok() });
        }
    });
    Ok(Collector {
        address,
        _serving: AbortOnDropHandle::new(serving),
    })
}

async fn accept_all(stream: TcpStream) -> Result<()> {
    let mut calls = h2::server::handshake(stream).await?;
    while let Some(call) = calls.accept().await {
        let (mut request, mut answer) = call?;
        tokio::spawn(async move {
            let body = request.body_mut();
            while let Some(part) = body.data().await {
                body.flow_control().release_capacity(part?.len())?;
            }
            let head = Response::builder().header("content-type", "application/grpc");
            let mut sending = answer.send_response(head.body(())?, false)?;
            // An empty message: a byte that says that it is not compressed, and its length.
            sending.send_data(vec![0; 5].into(), false)?;
            let status = ("grpc-status".try_into()?, HeaderValue::from_static("0"));
            sending.send_trailers(HeaderMap::from_iter([status]))?;
            anyhow::Ok(())
        });
    }
    Ok(())
}

/// Reads the metrics once.
pub(crate) async fn scrape(http: &str) -> Result<()> {
    let answer = get(http, "/metrics").await?;
    ensure!(answer.contains("order_archiver_build_info"), "{answer}");
    Ok(())
}

/// The answer to a request, head and all.
pub(crate) async fn get(http: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(http).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer)
}

/// A reader of the page's events, which has been answered.
pub(crate) async fn read_events(http: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(http).await?;
    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut head).await.context("no answer")?;
    ensure!(&head == b"HTTP/1.1 200", "a reader was refused");
    Ok(stream)
}
