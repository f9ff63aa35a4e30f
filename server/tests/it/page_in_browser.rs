//! The page in a real browser, which `tests/page/story.js` plays with: figures change while orders
//! are delivered, in both languages and themes, on a phone, by the keyboard, and over a restart.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bson::{DateTime, Document, doc};
use order_archiver_api::v1 as pb;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::{
    install::{installed, npm_install, skip},
    support::{TestServer, order, orders},
};

/// The folder of the stories.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page");
/// Where the documents have their pictures.
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images");
const PACKAGE: &str = include_str!("../page/package.json");
/// The one thing to do when there is no browser.
const ADVICE: &str = "the page is tried in Chromium: on Debian, `apt-get install chromium npm`; or name one by CHROMIUM";
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// Longest that a story may take, on a machine that is busy compiling.
const PATIENCE: Duration = Duration::from_secs(300);

/// The browser of this machine, if it has one.
fn chromium() -> Option<PathBuf> {
    if let Some(chromium) = env::var_os("CHROMIUM") {
        return Some(chromium.into());
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&folders).collect();
    let found = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|program| program.is_file())
}

/// A server that watches, and a page to look at.
async fn with_page() -> TestServer {
    let server = TestServer::start_with(|config| {
        config.watch = true;
        config.instance = "archd-paris-1".to_owned();
        config.http = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    })
    .await
    .with_references()
    .await;
    server.watcher_is(pb::WatcherState::Watching).await;
    server
}

/// Plays a story, and has happen to the server what it asks for.
async fn play(story: &str, chromium: &Path, mut server: TestServer, pictures: Option<&Path>) {
    let install = || {
        installed("page", &[PACKAGE], |folder| {
            npm_install(folder, PACKAGE, ADVICE)
        })
    };
    let modules = tokio::task::spawn_blocking(install).await.unwrap().unwrap();
    let address = server.http.unwrap();
    let mut command = tokio::process::Command::new("node");
    command
        .arg(Path::new(FOLDER).join(story))
        .env("NODE_PATH", modules.join("node_modules"))
        .env("CHROMIUM", chromium)
        .env("PAGE", format!("http://{address}"))
        .envs(pictures.map(|folder| ("PICTURES", folder)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut running = command.spawn().expect(ADVICE);
    let mut answers = running.stdin.take().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let story = async {
        let mut away = None;
        let mut last = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            println!("{line}");
            let asked: Option<Value> = serde_json::from_str(&line).ok();
            last = line;
            let Some(asked) = asked.filter(|asked| asked["act"].is_string()) else {
                continue;
            };
            match asked["act"].as_str().unwrap() {
                "stop" => {
                    let mut config = server.config.clone();
                    config.http = Some(address);
                    let database = server.database.clone();
                    server.stop.cancel();
                    (&mut server.running).await.unwrap().unwrap();
                    away = Some((config, database));
                }
                "start" => {
                    let (config, database) = away.take().unwrap();
                    server = TestServer::launch(config, database).await;
                }
                deed => {
                    let what = asked["what"].as_array().unwrap().iter();
                    let what: Vec<String> =
                        what.map(|it| it.as_str().unwrap().to_owned()).collect();
                    happen(&server, deed, &what).await;
                }
            }
            answers.write_all(b"{}\n").await.unwrap();
        }
        let ended = running.wait().await.unwrap();
        assert!(ended.success(), "{last}");
    };
    timeout(PATIENCE, story)
        .await
        .expect("the story takes too long");
}

async fn happen(server: &TestServer, deed: &str, what: &[String]) {
    match deed {
        "deliver" | "deliver unwatched" => server.insert("Commande", what.iter().map(order)).await,
        "poison" => server.insert("Commande", [order(7)]).await,
        "near" => {
            let mut near = order(&what[0]);
            near.insert("status", "Livrée");
            server.insert("Commande", [near]).await;
            server.run_batch().await;
        }
        "pause" => {
            server.pause_watcher().await;
        }
        "resume" => {
            server.resume_watcher().await;
        }
        other => panic!("nobody knows how to {other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_goes_on_to_everybody_who_looks() {
    const BEFORE: usize = 1_200;
    let Some(chromium) = chromium() else {
        return skip(ADVICE);
    };
    let server = with_page().await;
    server.insert("Commande", orders(BEFORE)).await;
    server.archived(BEFORE).await;
    play("story.js", &chromium, server, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_show_the_page_as_it_is() {
    let names = ["page-light.png", "page-dark-fr.png", "page-phone.png"];
    let folder = Path::new(PICTURES);
    if env::var_os("UPDATE_DOCS").is_none() {
        let missing = names.iter().find(|name| !folder.join(name).is_file());
        assert_eq!(missing, None, "UPDATE_DOCS=1 makes the pictures anew");
        return;
    }
    let chromium = chromium().expect(ADVICE);
    fs::create_dir_all(folder).unwrap();
    let server = with_page().await;
    server.insert("archd_counters", a_day()).await;
    let numbers = (4_690..4_702).map(|number| format!("CMD-2026-{number:06}"));
    server.insert("Commande", numbers.map(order)).await;
    let quick = pb::BatchOptions {
        create_indexes: true,
        ..pb::BatchOptions::default()
    };
    server.run_batch_with(quick).await;
    let at_once = pb::VerificationOptions {
        settle: Some(prost_types::Duration::default()),
        ..pb::VerificationOptions::default()
    };
    server.verify_with(at_once).await;
    play("pictures.js", &chromium, server, Some(folder)).await;
}

/// Counters as a day leaves them: quiet at night, busy at noon and in the evening.
fn a_day() -> Vec<Document> {
    let now = DateTime::now().timestamp_millis() / 60_000;
    let busy = |hour: f64, at: f64, wide: f64| (-(hour - at).powi(2) / wide).exp();
    (1..24 * 60)
        .map(|ago| {
            let minute = now - ago;
            // As the clocks of Paris have it in winter.
            let hour = ((minute + 60) % (24 * 60)) as f64 / 60.0;
            let rate = 1.0 + 34.0 * busy(hour, 12.6, 2.2) + 62.0 * busy(hour, 20.2, 3.4);
            let uneven = 0.8 + 0.4 * f64::from(u8::try_from(minute * 37 % 100).unwrap()) / 100.0;
            let archived = (rate * uneven) as i64;
            let slow = i64::from(minute % 41 == 0) * archived / 6;
            let some = (archived - slow) / 5;
            let latency = doc! { "to_100_ms": archived - slow - some, "to_500_ms": some / 2, "to_2_s": some - some / 2, "to_5_s": slow };
            let minute = DateTime::from_millis(minute * 60_000);
            doc! {
                "_id": { "door": "watch", "minute": minute }, "minute": minute, "format": 1, "archived": archived,
                "incomplete": archived / 40, "quarantined": i64::from(ago % 433 == 0), "latency": latency,
            }
        })
        .collect()
}
