//! The service manager hears by `sd_notify`, on a real socket, that archd is ready, how it is, that
//! it lives as long as its loops turn, and that it stops.
#![cfg(unix)]

use std::time::Duration;

use devkit::Options;
use tokio::{net::UnixDatagram, time::timeout};

use crate::{
    process::{archd, signal},
    support::within,
};

/// A service manager's side.
struct Manager {
    socket: UnixDatagram,
    path: String,
    _folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Manager {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        Manager {
            socket: UnixDatagram::bind(&path).unwrap(),
            path: path.display().to_string(),
            _folder: folder,
        }
    }

    async fn next(&self) -> String {
        let mut message = [0; 4096];
        let length = within(self.socket.recv(&mut message)).await.unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// Waits for a message with these words.
    async fn hears(&self, words: &str) -> String {
        within(async {
            loop {
                let message = self.next().await;
                if message.contains(words) {
                    return message;
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn archd_lives_for_its_service_manager_while_the_database_is_frozen() {
    let set = Options::new().start().await.unwrap();
    let node = &set.nodes()[0];
    let (manager, uri) = (Manager::new(), set.uri());
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("NOTIFY_SOCKET", &manager.path),
        ("WATCHDOG_USEC", "3000000"),
    ];
    let arguments = ["serve", "--listen=127.0.0.1:0", "--log-format=json"];
    let mut program = archd(&arguments, &settings).spawn().unwrap();
    let ready = manager.next().await;
    assert!(
        ready.starts_with("READY=1\nSTATUS=serves gRPC on 127.0.0.1:"),
        "{ready}"
    );
    manager.hears("; the database is ready").await;
    manager.hears("WATCHDOG=1").await;

    node.freeze().unwrap();
    let away = manager.hears("STATUS=").await;
    assert!(!away.contains("the database is ready"), "{away}");
    // Twice the watchdog's time, in which it never waits that long.
    for _ in 0..12 {
        let sign = timeout(Duration::from_secs(3), manager.hears("WATCHDOG=1"));
        sign.await.expect("the watchdog would have killed it");
    }
    node.thaw().unwrap();
    manager.hears("; the database is ready").await;

    signal(&program, "TERM");
    manager.hears("STOPPING=1").await;
    assert_eq!(within(program.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn it_is_ready_without_a_database_and_says_so() {
    let manager = Manager::new();
    let settings = [
        ("MONGODB_URI", "mongodb://user:c4n4ry@127.0.0.1:1"),
        ("NOTIFY_SOCKET", &manager.path),
    ];
    for (arguments, role) in [
        (&["serve", "--listen=127.0.0.1:0"][..], "serves gRPC on"),
        (&["watch"], "watches"),
    ] {
        let mut program = archd(arguments, &settings).spawn().unwrap();
        let ready = manager.hears("READY=1").await;
        assert!(ready.contains(&format!("STATUS={role}")), "{ready}");
        let away = manager.hears("can't be reached").await;
        assert!(!away.contains("c4n4ry"), "{away}");
        // By this it would read its files again, if it had any.
        signal(&program, "HUP");
        signal(&program, "TERM");
        // No watchdog is asked for, so none is fed.
        loop {
            let message = manager.next().await;
            assert!(!message.contains("WATCHDOG"), "{message}");
            if message.contains("STOPPING=1") {
                break;
            }
        }
        let ended = within(program.wait()).await.unwrap();
        assert_eq!(ended.code(), Some(0), "{ended}");
    }
}
