//! Before a server stops, callers are sent elsewhere, and those that have not heard of it are answered.

use std::net::SocketAddr;

use crate::{
    process::{archd, settings_on, signal},
    program::{Program, text},
    support::{TestServer, archctl, eventually, http::get, order},
};

/// Waits until a probe answers so.
async fn is_answered(http: SocketAddr, path: &str, status: u16) {
    eventually(async || (get(http, path).await.status == status).then_some(())).await;
}

/// Waits until `archctl health` ends so.
async fn health_is(endpoint: &str, code: i32) {
    eventually(async || (archctl(endpoint, "health").await.code == Some(code)).then_some(())).await;
}

#[tokio::test]
async fn probes_send_callers_elsewhere_while_calls_are_answered() {
    let server = TestServer::start().await;
    server.insert("Commande", [order("CMD-1")]).await;
    let more = [
        ("ARCHD_LISTEN", "127.0.0.1:0"),
        ("ARCHD_HTTP", "127.0.0.1:0"),
        ("ARCHD_LOG_FORMAT", "json"),
        ("ARCHD_SHUTDOWN_DELAY", "5m"),
    ];
    let settings = settings_on(server.database.name(), &more).await;
    let mut leaving = Program::of(&mut archd(&["serve"], &settings));
    let line = leaving.says("listens").await;
    let endpoint = format!("http://{}", text(&line, "address"));
    let line = leaving.says("HTTP is answered").await;
    let http: SocketAddr = text(&line, "address").parse().unwrap();
    leaving.says("the database is ready").await;
    is_answered(http, "/readyz", 200).await;
    health_is(&endpoint, 0).await;

    signal(&leaving.child, "TERM");
    leaving.says("callers are sent elsewhere").await;
    is_answered(http, "/readyz", 503).await;
    is_answered(http, "/livez", 200).await;
    health_is(&endpoint, 11).await;
    // Who has not heard of it comes in, and is answered.
    let archived = archctl(&endpoint, "archive CMD-1").await;
    assert_eq!(archived.code, Some(0), "{archived:?}");
    // A second signal ends it at once, whatever is left of the delay.
    signal(&leaving.child, "TERM");
    assert_eq!(leaving.end().await.0, Some(130));
}

#[tokio::test]
async fn the_stop_comes_after_the_delay() {
    let server = TestServer::start().await;
    let more = [
        ("ARCHD_LISTEN", "127.0.0.1:0"),
        ("ARCHD_LOG_FORMAT", "json"),
        ("ARCHD_SHUTDOWN_DELAY", "300ms"),
    ];
    let settings = settings_on(server.database.name(), &more).await;
    let mut leaving = Program::of(&mut archd(&["serve"], &settings));
    leaving.says("the database is ready").await;
    signal(&leaving.child, "TERM");
    leaving.says("callers are sent elsewhere").await;
    leaving.says("stopping").await;
    assert_eq!(leaving.end().await.0, Some(0));
}
