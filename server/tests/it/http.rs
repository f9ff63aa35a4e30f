//! The HTTP port answers what it is there for, to whom it is there for, and nothing else.

use std::net::SocketAddr;

use crate::{
    process::{archd, run, settings_on},
    support::{
        TestServer,
        http::{get, say},
        within,
    },
};

/// A server that answers HTTP, and where.
async fn answering() -> (TestServer, SocketAddr) {
    let server = TestServer::start_with(|config| {
        config.http = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        config.http_hosts = vec!["archd.example.com".to_owned()];
    })
    .await;
    let address = server.http.unwrap();
    (server, address)
}

#[tokio::test]
async fn livez_says_that_the_process_lives() {
    let (server, address) = answering().await;
    let answer = get(address, "/livez").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "alive\n"));
    server.shut_down().await;
    let closed = tokio::net::TcpStream::connect(address).await;
    assert!(closed.is_err(), "the port is closed with the server");
}

#[tokio::test]
async fn only_requests_that_read_are_answered_and_each_refusal_says_why() {
    let (_server, address) = answering().await;
    let table = [
        ("GET /livez", address.to_string(), 200, "alive"),
        ("GET /livez?any=thing", address.to_string(), 200, "alive"),
        ("HEAD /livez", address.to_string(), 200, ""),
        (
            "GET /livez",
            "archd.example.com:80".to_owned(),
            200,
            "alive",
        ),
        (
            "GET http://localhost/livez",
            "evil.example".to_owned(),
            200,
            "alive",
        ),
        (
            "GET http://evil.example/livez",
            address.to_string(),
            421,
            "ARCHD_HTTP_HOSTS",
        ),
        (
            "GET /livez",
            "evil.example".to_owned(),
            421,
            "ARCHD_HTTP_HOSTS",
        ),
        ("GET /nothing", address.to_string(), 404, "/livez"),
        ("GET /livez/", address.to_string(), 404, "/livez"),
        ("GET /../etc/passwd", address.to_string(), 404, "/livez"),
        ("HEAD /nothing", address.to_string(), 404, ""),
        ("POST /livez", address.to_string(), 405, "GET or HEAD"),
        ("OPTIONS *", address.to_string(), 405, "GET or HEAD"),
        ("BREW /nothing", address.to_string(), 405, "GET or HEAD"),
    ];
    for (line, host, status, words) in table {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = say(address, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert!(answer.body.contains(words), "{line}: {answer:?}");
        assert_eq!(
            answer.body.is_empty(),
            words.is_empty(),
            "{line}: {answer:?}"
        );
        let allow = (status == 405).then_some("GET, HEAD");
        assert_eq!(answer.header("allow"), allow, "{line}");
        for (header, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{line}");
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{line}: {policy}");
    }
    let nameless = say(address, b"GET /livez HTTP/1.1\r\n\r\n").await;
    assert_eq!(nameless.status, 400);
    let old = say(address, b"GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.status, 200, "some probes are that old");
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_setting() {
    let server = TestServer::start().await;
    let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = other.local_addr().unwrap().to_string();
    let settings = [
        ("ARCHD_HTTP", http.as_str()),
        ("ARCHD_LISTEN", "127.0.0.1:0"),
    ];
    let settings = settings_on(server.database.name(), &settings).await;
    for command in ["serve", "watch"] {
        let (code, _, stderr) = run(&[command], &settings).await;
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains("--http or ARCHD_HTTP"), "{stderr}");
        assert!(stderr.contains(&http), "{stderr}");
    }
    // A job serves nobody, whatever else runs on this machine.
    for job in ["batch", "verify"] {
        let running = archd(&[job, "--wait=1m"], &settings).status();
        assert!(within(running).await.unwrap().success(), "{job}");
    }
}
