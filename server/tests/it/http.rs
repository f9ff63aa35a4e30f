//! The HTTP port answers what it is there for, to whom it is there for, and nothing else.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    child::Server,
    connections::serves,
    process::{run, settings_on},
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
    let closed = TcpStream::connect(address).await;
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
    let nameless = say(address, b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n").await;
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
        let (code, _, stderr) = run(&[job], &settings).await;
        assert_eq!(code, Some(0), "{job}: {stderr}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_in_the_words_of_http() {
    const MIB: usize = 1024 * 1024;
    let (_server, address) = answering().await;
    let long = "x".repeat(MIB);
    let many = "X: y\r\n".repeat(1_000);
    let table = [
        (
            format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nLong: {long}\r\n\r\n"),
            [431, 431],
        ),
        (
            format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n{many}\r\n"),
            [431, 431],
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nHost: {address}\r\n\r\n"),
            [414, 431],
        ),
        ("this is no HTTP\r\n\r\n".to_owned(), [400, 400]),
    ];
    for (request, statuses) in table {
        let answer = say(address, request.as_bytes()).await;
        assert!(statuses.contains(&answer.status), "{answer:?}");
    }
}

/// What a peer says before it leaves its connection to itself.
const SILENT: &str = "";
const HALF_A_HEAD: &str = "GET /livez HTTP/1.1\r\nHost: local";
const LISTENS: &str = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
const IDLE: &str = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
const WORDS: &str = "GET /page/words.js HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn crowds_that_leave_connections_open_shut_out_neither_probes_nor_callers() {
    const CROWD: usize = 400;
    // 1,024 files leave 256 to the connections of HTTP.
    let server = Server::fresh(1_024, &[("ARCHD_HTTP", "127.0.0.1:0")]).await;
    let http = server.http.unwrap();
    // 300 times that part of the page is more than the system keeps for a peer that reads none.
    let never_reads = WORDS.repeat(300);
    for said in [SILENT, HALF_A_HEAD, IDLE, &never_reads] {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let mut peer = within(TcpStream::connect(http)).await.unwrap();
            let _ = peer.write_all(said.as_bytes()).await;
            crowd.push(peer);
        }
        let start = Instant::now();
        let probe = timeout(Duration::from_secs(5), get(http, "/livez")).await;
        assert_eq!(probe.expect("a probe was shut out").status, 200);
        println!("a probe is answered after {:?}", start.elapsed());
        serves(&server, Duration::from_secs(5)).await;
    }
    let peak = server.peak_memory();
    println!("at most {peak} MiB");
    assert!(peak < 256, "{peak} MiB");
}

#[tokio::test]
async fn those_who_listen_leave_room_for_probes() {
    let server = Server::fresh(1_024, &[("ARCHD_HTTP", "127.0.0.1:0")]).await;
    let http = server.http.unwrap();
    let mut crowd = Vec::new();
    let mut answers = BTreeMap::new();
    // As many as there are places, each of which is answered before the next one comes.
    for _ in 0..256 {
        let mut peer = within(TcpStream::connect(http)).await.unwrap();
        peer.write_all(LISTENS.as_bytes()).await.unwrap();
        let mut head = [0; "HTTP/1.1 200".len()];
        within(peer.read_exact(&mut head)).await.unwrap();
        let head = String::from_utf8_lossy(&head).into_owned();
        *answers.entry(head).or_insert(0) += 1;
        crowd.push(peer);
    }
    let expected = [("HTTP/1.1 200", 230), ("HTTP/1.1 503", 26)];
    let expected = expected.map(|(head, times)| (head.to_owned(), times));
    assert_eq!(answers, BTreeMap::from(expected));
    let probe = timeout(Duration::from_secs(5), get(http, "/livez")).await;
    assert_eq!(probe.expect("a probe was shut out").status, 200);
}
