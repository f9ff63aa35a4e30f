//! The HTTP port asks as gRPC does, and takes a token as browsers can give it.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Identities, line, token};
use crate::support::{
    http::{Answer, say},
    within,
};

/// Every path that is answered, and one that is not.
const ASKED: [&str; 6] = [
    "/",
    "/page/main.js",
    "/events",
    "/orders/CMD-1",
    "/metrics",
    "/nothing",
];

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn get(address: SocketAddr, path: &str, authorization: Option<&str>) -> Answer {
    let authorization =
        authorization.map_or(String::new(), |it| format!("Authorization: {it}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Connection: close\r\n\r\n"
    );
    say(address, request.as_bytes()).await
}

#[tokio::test]
async fn each_path_but_those_of_probes_asks_for_the_right_to_read() {
    let identities = Identities::new(&[line("reader", "read"), line("archiver", "archive")]);
    let server = identities.server().await;
    let address = server.http.unwrap();
    for path in ["/livez", "/readyz"] {
        for authorization in [None, Some("Bearer whatever")] {
            assert_eq!(
                get(address, path, authorization).await.status,
                200,
                "{path}"
            );
        }
    }
    // What is wrong with the database is not for everybody.
    let ready = async |token: Option<String>| get(address, "/readyz", token.as_deref()).await.body;
    let bearer = |name| Some(format!("Bearer {}", token(name)));
    for stranger in [None, bearer("nobody"), bearer("archiver")] {
        let told = ready(stranger).await;
        assert!(told.contains(r#""ready":true"#), "{told}");
        assert!(!told.contains("database"), "{told}");
    }
    let told = ready(bearer("reader")).await;
    assert!(told.contains(r#""database":"ready""#), "{told}");
    let strangers = [
        None,
        Some(format!("Bearer {}", token("nobody"))),
        Some(basic("reader", "reader")),
        Some(basic(&token("reader"), "")),
        Some("Basic !".to_owned()),
    ];
    for path in ASKED {
        for stranger in &strangers {
            let answer = get(address, path, stranger.as_deref()).await;
            assert_eq!(answer.status, 401, "{path} {stranger:?}: {answer:?}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.starts_with("Basic realm="), "{challenge}");
            assert!(challenge.contains("Bearer"), "{challenge}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        let answer = get(address, path, Some(&basic("", &token("archiver")))).await;
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(answer.body.contains("`read`"), "{path}: {answer:?}");
    }
    for (path, status) in [
        ("/", 200),
        ("/page/main.js", 200),
        ("/orders/CMD-1", 404),
        ("/metrics", 200),
        ("/nothing", 404),
    ] {
        let reader = token("reader");
        for authorization in [
            format!("Bearer {reader}"),
            basic("", &reader),
            basic("anybody", &reader),
        ] {
            let answer = get(address, path, Some(&authorization)).await;
            assert_eq!(answer.status, status, "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_anyway_is_refused_before_anybody_is_asked() {
    let identities = Identities::new(&[line("reader", "read")]);
    let server = identities.server().await;
    let address = server.http.unwrap();
    for (request, status) in [
        (format!("POST / HTTP/1.1\r\nHost: {address}"), 405),
        ("GET / HTTP/1.1\r\nHost: evil.example".to_owned(), 421),
    ] {
        let answer = say(
            address,
            format!("{request}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("www-authenticate"), None, "{answer:?}");
    }
}

#[tokio::test]
async fn the_stream_of_a_page_ends_with_whoever_looks_at_it() {
    let [stays, leaves] = [line("stays", "read"), line("leaves", "read")];
    let identities = Identities::new(&[stays.clone(), leaves]);
    let server = identities.server().await;
    let address = server.http.unwrap();
    let listen = async |name: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /events HTTP/1.1\r\nHost: {address}\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
            basic("me", &token(name))
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = vec![0; 4096];
        let length = within(stream.read(&mut read)).await.unwrap();
        let text = String::from_utf8_lossy(&read[..length]).into_owned();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        stream
    };
    let (mut ends, mut goes_on) = (listen("leaves").await, listen("stays").await);
    identities.rewrite(&[stays]);
    let mut rest = Vec::new();
    within(ends.read_to_end(&mut rest)).await.unwrap();
    // Figures come each second.
    let mut more = [0; 1];
    within(goes_on.read_exact(&mut more)).await.unwrap();
    assert_eq!(
        get(address, "/metrics", Some(&basic("", &token("leaves"))))
            .await
            .status,
        401
    );
}
