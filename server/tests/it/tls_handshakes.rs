//! TLS: who gets in by which certificate, what those hear who do not, and that nobody who is slow
//! to shake hands keeps others out.

use std::time::{Duration, SystemTime};

use devkit::certificates::{Authority, Subject};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tonic::transport::Channel;

use crate::{
    process::run,
    support::{
        eventually, http,
        pki::{self, Pki},
    },
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn who_shows_no_certificate_or_a_good_one_is_served_and_who_shows_a_bad_one_is_not() {
    let pki = Pki::new();
    let server = pki.server(&[]).await;
    let caller = || Subject::client("caller");
    let named = || caller().dns("caller.example.com").unwrap();
    // Of the same name, and with another key.
    let foreign = Authority::new("clients").unwrap();
    let later = SystemTime::now() + DAY;
    let table = [
        ("none", None, true),
        ("one with a name", Some(pki.clients.issue(named())), true),
        (
            "one without a name",
            Some(pki.clients.issue(caller())),
            true,
        ),
        ("a foreign one", Some(foreign.issue(named())), false),
        (
            "an expired one",
            Some(pki.clients.issue(named().expired())),
            false,
        ),
        (
            "one of tomorrow",
            Some(pki.clients.issue(named().valid(later, later + DAY))),
            false,
        ),
        (
            "one of a server",
            Some(
                pki.clients
                    .issue(Subject::server(&["caller.example.com"]).unwrap()),
            ),
            false,
        ),
    ];
    for (what, shown, is_served) in table {
        let shown = shown.map(Result::unwrap);
        let outcome = pki.call(server.address, shown.as_ref()).await;
        assert_eq!(outcome.is_ok(), is_served, "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn plain_text_is_told_to_use_tls_and_probes_need_no_certificate() {
    let pki = Pki::new();
    let server = pki.server(&[("ARCHD_HTTP", "127.0.0.1:0")]).await;
    let http = server.http.unwrap();
    let plain = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let plain = plain.connect_lazy();
    let refused = pki::call(&plain).await.unwrap_err();
    assert!(refused.contains("use https://"), "{refused}");

    let refused = http::get(http, "/livez").await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("https://"), "{refused:?}");
    for path in ["/livez", "/readyz"] {
        assert_eq!(pki.get(http, path).await.status, 200, "{path}");
    }
    for (port, protocol) in [(server.address, "http/1.1"), (http, "h2")] {
        let refused = pki.stream(port, protocol, None).await;
        assert!(refused.is_err(), "{protocol} is not spoken there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_never_ends_its_handshakes_shuts_nobody_out() {
    const PLACES: usize = 40;
    let pki = Pki::new();
    let places = PLACES.to_string();
    let server = pki.server(&[("ARCHD_MAX_CONNECTIONS", &places)]).await;
    let mut crowd = Vec::new();
    for number in 0..4 * PLACES {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 0 {
            // The beginning of a hello.
            let _ = stream
                .write_all(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03")
                .await;
        }
        crowd.push(stream);
    }
    for _ in 0..5 {
        let called = timeout(Duration::from_secs(2), pki.call(server.address, None)).await;
        called.expect("a caller was shut out").unwrap();
    }
    drop(crowd);
}

#[tokio::test]
async fn a_certificate_that_is_about_to_expire_is_told_of() {
    let pki = Pki::new();
    let now = SystemTime::now();
    let subject = Subject::server(&["localhost"]).unwrap();
    let subject = subject.valid(now - 30 * DAY, now + DAY);
    pki.serve_as(&pki.servers.issue(subject).unwrap());
    let mut server = pki.server_alone(&[("ARCHD_HTTP", "127.0.0.1:0")]).await;
    let http = server.http.unwrap();
    let expires = eventually(async || {
        let metrics = pki.get(http, "/metrics").await.body;
        let line = metrics.lines().find_map(|line| {
            line.strip_prefix("order_archiver_certificate_expires_timestamp_seconds ")
        })?;
        Some(line.parse::<f64>().unwrap())
    })
    .await;
    let wanted = (now + DAY).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(expires, wanted.as_secs() as f64);
    server.hang_up();
    server.says("hold what is in force").await;
    let told = server.told("expires at");
    assert!(told.contains(&pki.path("server.pem")), "{told}");
}

#[tokio::test]
async fn files_that_do_not_belong_together_end_the_start() {
    let pki = Pki::new();
    let other = pki.server_certificate();
    let key = pki.write("other.key", &other.key);
    let cert = pki.path("server.pem");
    let settings = [
        ("ARCHD_LISTEN", "127.0.0.1:0"),
        ("ARCHD_TLS_CERT", cert.as_str()),
        ("ARCHD_TLS_KEY", key.as_str()),
    ];
    let (code, _, stderr) = run(&["serve"], &settings).await;
    assert_eq!(code, Some(2), "{stderr}");
    let told = format!("ARCHD_TLS_KEY: {key} is not the key of the certificate in {cert}");
    assert!(stderr.contains(&told), "{stderr}");
    assert!(!stderr.contains("BEGIN"), "{stderr}");
}
