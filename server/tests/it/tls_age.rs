//! Connections over TLS end when they are old, or the certificate that they began with is: what
//! was revoked meanwhile is looked at again.

use std::{
    io::ErrorKind,
    time::{Duration, Instant, SystemTime},
};

use devkit::certificates::{Issued, Subject};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    child::Server,
    support::{pki::Pki, within},
};

/// Makes one call on a connection of HTTP/2, and waits until the server ends it: after so long, and
/// with a GOAWAY that says that nothing is wrong.
async fn ends_after(pki: &Pki, server: &Server, shown: Option<&Issued>) -> Duration {
    let begun = Instant::now();
    let stream = pki.stream(server.address, "h2", shown).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("http://localhost/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(vec![0; 5].into(), true).unwrap();
    let response = within(response).await.unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    // What a client says to that may find nobody there any more.
    if let Err(error) = within(connection).await.unwrap() {
        let kind = error.get_io().map(std::io::Error::kind);
        let gone = [
            Some(ErrorKind::BrokenPipe),
            Some(ErrorKind::ConnectionReset),
        ];
        assert!(gone.contains(&kind), "{error}");
    }
    drop(client);
    begun.elapsed()
}

#[tokio::test]
async fn a_connection_of_age_is_told_to_leave() {
    let pki = Pki::new();
    let settings = [
        ("ARCHD_MAX_CONNECTION_AGE", "1s"),
        ("ARCHD_HTTP", "127.0.0.1:0"),
    ];
    let server = pki.server(&settings).await;
    let age = ends_after(&pki, &server, None).await;
    // A tenth is left to chance. Whoever asks for nothing is otherwise kept for longer.
    assert!(age >= Duration::from_millis(900), "{age:?}");
    assert!(age < Duration::from_secs(8), "{age:?}");

    let begun = Instant::now();
    let http = server.http.unwrap();
    let mut stream = pki.stream(http, "http/1.1", None).await.unwrap();
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut heard = Vec::new();
    within(async {
        stream.write_all(request).await.unwrap();
        stream.read_to_end(&mut heard).await.unwrap();
    })
    .await;
    assert!(heard.starts_with(b"HTTP/1.1 200"), "{heard:?}");
    assert!(begun.elapsed() >= Duration::from_millis(900));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn a_connection_ends_with_the_certificate_that_it_began_with() {
    let pki = Pki::new();
    let server = pki.server(&[]).await;
    let now = SystemTime::now();
    let subject = Subject::client("caller").valid(now, now + Duration::from_secs(4));
    let shown = pki.clients.issue(subject).unwrap();
    let age = ends_after(&pki, &server, Some(&shown)).await;
    assert!(age >= Duration::from_secs(2), "{age:?}");
    assert!(age < Duration::from_secs(12), "{age:?}");
    pki.call(server.address, Some(&shown)).await.unwrap_err();
}
