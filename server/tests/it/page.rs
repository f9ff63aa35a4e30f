//! The page and what it is told: everything comes from archd, costs the database the same however
//! many look, and names nobody.

use std::net::SocketAddr;

use bson::{Document, doc};
use devkit::{ReplicaSet, relay::Relay};
use futures::future::join_all;
use order_archiver_api::{json::to_json, v1 as pb};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::Instant,
};

use crate::{
    faults,
    support::{
        TestServer,
        http::{get, say},
        order, within,
    },
};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A server that watches and has a page, and where that is.
async fn with_page() -> (TestServer, SocketAddr) {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.http = Some(ANY_PORT);
    })
    .await
    .with_references()
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    let address = server.http.unwrap();
    (server, address)
}

/// One who listens to what the page is told.
pub(crate) struct Listener(BufReader<TcpStream>);

impl Listener {
    pub(crate) async fn to(address: SocketAddr) -> Listener {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Of version 1.0, so that the body comes as it is.
        let request = format!("GET /events HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut listener = Listener(BufReader::new(stream));
        let head = listener.block().await.unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        listener
    }

    /// The lines up to the next empty one; none at the end.
    async fn block(&mut self) -> Option<String> {
        let mut block = String::new();
        loop {
            let from = block.len();
            if within(self.0.read_line(&mut block)).await.unwrap() == 0 {
                return None;
            }
            if block[from..].trim().is_empty() {
                return Some(block);
            }
        }
    }

    /// What it is told next, by name; none once the stream has ended.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block().await?;
            let Some((name, data)) = block.split_once('\n') else {
                continue;
            };
            if let Some(name) = name.strip_prefix("event: ") {
                let data = data.trim().strip_prefix("data: ").unwrap();
                return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
            }
        }
    }

    /// What it is next told under this name that fulfils a condition.
    pub(crate) async fn hear(&mut self, name: &str, fulfils: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (told, data) = self.next().await.expect("the stream goes on");
            if told == name && fulfils(&data) {
                return data;
            }
        }
    }

    async fn figures(&mut self) -> Value {
        self.hear("figures", |_| true).await
    }
}

#[tokio::test]
async fn the_page_is_whole_comes_from_here_alone_and_is_kept_by_browsers_while_it_is_the_same() {
    let (_server, address) = with_page().await;
    let page = get(address, "/").await;
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    let mut texts = vec![page.body.clone()];
    let mut known: Vec<String> = Vec::new();
    while let Some(text) = texts.pop() {
        let from_page = text.split("\"/page/").skip(1);
        let from_scripts = text.split("from \"./").skip(1);
        let parts = from_page.chain(from_scripts);
        let parts = parts.map(|rest| rest.split(['"', '#']).next().unwrap().to_owned());
        for part in parts.collect::<Vec<_>>() {
            if known.contains(&part) {
                continue;
            }
            let answer = get(address, &format!("/page/{part}")).await;
            assert_eq!(answer.status, 200, "{part}");
            let kind = answer.header("content-type").unwrap();
            assert!(
                ["text/css", "text/javascript", "image/svg"]
                    .iter()
                    .any(|it| kind.starts_with(it)),
                "{kind}"
            );
            texts.push(answer.body);
            known.push(part);
        }
        let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !elsewhere.contains("http://") && !elsewhere.contains("https://"),
            "{elsewhere}"
        );
    }
    assert!(known.len() >= 9, "{known:?}");
    assert_eq!(get(address, "/page/nothing.js").await.status, 404);

    let tag = page.header("etag").unwrap();
    for (tag, status) in [
        (tag, 304),
        (&*format!("\"other\", W/{tag}"), 304),
        ("\"other\"", 200),
    ] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
        );
        let answer = say(address, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{tag}");
        assert_eq!(answer.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn a_reader_is_told_what_goes_on_and_at_most_once_a_second() {
    let (server, address) = with_page().await;
    let mut listener = Listener::to(address).await;
    let series = listener.hear("series", |_| true).await;
    assert_eq!(series["step_seconds"], 900);
    assert_eq!(series["points"].as_array().unwrap().len(), 97);
    let before = listener.figures().await;
    assert_eq!(before["stats"]["lifetime"]["archived"], 0);
    assert_eq!(
        before["stats"]["watcher"]["state"],
        "WATCHER_STATE_WATCHING"
    );
    assert_eq!(before["instance"]["name"], server.config.instance.as_str());

    server.insert("Commande", [order("CMD-1"), order(7)]).await;
    let is_archived = |figures: &Value| figures["stats"]["lifetime"]["found"] == 2;
    let figures = listener.hear("figures", is_archived).await;
    assert_eq!(
        figures["quarantined"][0]["reason"],
        "QUARANTINE_REASON_NO_USABLE_NUMBER"
    );
    let latest = figures["latest"].as_array().unwrap();
    let counts = latest.iter().map(|point| &point["counts"]["archived"]);
    assert_eq!(
        counts.filter_map(Value::as_i64).sum::<i64>(),
        1,
        "{latest:?}"
    );
    let mut other = Listener::to(address).await;
    let names = |events: &Value| {
        let events = events["events"].as_array().unwrap().iter();
        events
            .map(|event| event["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // Who comes later is told of it too.
    let events = other
        .hear("events", |events| names(events).len() == 2)
        .await;
    let mut kinds = names(&events);
    kinds.sort();
    assert_eq!(kinds, ["EVENT_KIND_ARCHIVED", "EVENT_KIND_QUARANTINED"]);

    let began = Instant::now();
    for _ in 0..4 {
        listener.figures().await;
    }
    let took = began.elapsed().as_secs_f64();
    assert!(took > 2.5, "four snapshots within {took} s");

    server.shut_down().await;
    while listener.next().await.is_some() {}
}

#[tokio::test]
async fn however_many_read_the_database_is_asked_as_often() {
    const READERS: usize = 60;
    const SNAPSHOTS: usize = 4;
    let (server, address) = with_page().await;
    let asked = async || {
        let profile = server.collection("system.profile");
        profile.count_documents(doc! {}).await.unwrap()
    };
    let counters = format!("{}.archd_counters", server.database.name());
    let filter =
        doc! { "appName": "archd", "ns": counters, "command.aggregate": { "$exists": true } };
    let profile = doc! { "profile": 1, "filter": filter };
    server.database.run_command(profile).await.unwrap();

    let mut first = Listener::to(address).await;
    first.figures().await;
    let before = asked().await;
    for _ in 0..SNAPSHOTS {
        first.figures().await;
    }
    let by_one = asked().await - before;
    assert!(by_one >= SNAPSHOTS as u64, "{by_one}");

    let others = join_all((0..READERS).map(|_| Listener::to(address))).await;
    let before = asked().await;
    let told = others.into_iter().map(async |mut listener| {
        for _ in 0..SNAPSHOTS {
            listener.figures().await;
        }
        listener
    });
    let others = join_all(told).await;
    let by_all = asked().await - before;
    println!("{by_one} questions for one reader, {by_all} for {READERS}");
    assert!(by_all <= 2 * by_one, "{by_one}, then {by_all}");
    drop((first, others));
}

#[tokio::test]
async fn readers_hear_why_nothing_can_be_read_and_since_when_and_then_go_on() {
    let set = ReplicaSet::shared().await.unwrap();
    let relay = Relay::to_mongod(&set.nodes()[0].address()).await.unwrap();
    let database = faults::fresh(set).await;
    let server = faults::watching(&relay.uri(), database, |config| {
        config.http = Some(ANY_PORT)
    })
    .await;
    let mut listener = Listener::to(server.http.unwrap()).await;
    listener.figures().await;
    relay.pause();
    let trouble = listener.hear("trouble", |_| true).await;
    println!("{trouble}");
    assert!(!trouble["text"].as_str().unwrap().is_empty(), "{trouble}");
    assert!(!trouble.to_string().contains("mongodb://"), "{trouble}");
    // Who comes now hears the last that was known, and the trouble.
    let mut late = Listener::to(server.http.unwrap()).await;
    late.figures().await;
    let same = late.hear("trouble", |_| true).await;
    assert_eq!(same["since_time"], trouble["since_time"]);
    let looked = get(server.http.unwrap(), "/orders/CMD-1").await;
    assert_eq!(looked.status, 503, "{looked:?}");
    relay.resume();
    listener.figures().await;
    late.figures().await;
}

#[tokio::test]
async fn an_order_is_told_as_explain_order_tells_it_and_nobody_is_named() {
    let (server, address) = with_page().await;
    let mut near = order("CMD presque/é");
    near.insert("status", "Livrée");
    let private = |mut order: Document| {
        order.extend(doc! { "adresse": "canary street", "nom_client": "canary" });
        order
    };
    let orders = [order("CMD-1"), near, order(7)].map(&private);
    server.insert("Commande", orders).await;
    server.archived(1).await;
    let mut listener = Listener::to(address).await;
    let mut told = listener.figures().await.to_string();
    for (numero, path) in [
        ("CMD-1", "CMD-1"),
        ("CMD presque/é", "CMD%20presque%2F%C3%A9"),
    ] {
        let answer = get(address, &format!("/orders/{path}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let request = pb::ExplainOrderRequest {
            numero_commande: numero.to_owned(),
            ..pb::ExplainOrderRequest::default()
        };
        let explained = server.verifications().explain_order(request).await;
        let mut explained = to_json(&explained.unwrap().into_inner()).unwrap();
        let mut answered: Value = serde_json::from_str(&answer.body).unwrap();
        for answer in [&mut explained, &mut answered] {
            for moving in ["read_time", "watcher_position_time"] {
                answer.as_object_mut().unwrap().remove(moving);
            }
        }
        assert_eq!(answered, explained);
        told += &answer.body;
    }
    server.insert("Commande", [private(order("CMD-2"))]).await;
    told += &listener.hear("events", |_| true).await.to_string();
    for private in ["canary", "Zoé", "Martin", "zoe@", "Benali"] {
        assert!(!told.contains(private), "{private} in {told}");
    }
    let long = "x".repeat(257);
    for (path, status) in [("CMD-NOBODY", 404), (&*long, 400), ("%FF", 400), ("", 404)] {
        let answer = get(address, &format!("/orders/{path}")).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_holds_up_nobody() {
    let (server, address) = with_page().await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 16];
    within(slow.read_exact(&mut first)).await.unwrap();
    let mut listener = Listener::to(address).await;
    for number in 0..3 {
        server
            .insert("Commande", [order(format!("CMD-{number}"))])
            .await;
        let archived = |figures: &Value| figures["stats"]["lifetime"]["archived"] == number + 1;
        listener.hear("figures", archived).await;
    }
    server.shut_down().await;
}
