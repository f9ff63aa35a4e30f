//! The password in MONGODB_URI is seen by nobody: not in a log at its most talkative, an error, a
//! status, help or a debug form.

use archd::{config::Config, store::Store};
use devkit::ReplicaSet;

use crate::{
    process::run,
    support::{TestServer, eventually},
};

const CANARY: &str = "c4n4ry";

fn with_canary(host: &str) -> String {
    format!("mongodb://birdwatcher:{CANARY}@{host}/?directConnection=true")
}

fn assert_silent(what: &str, text: &str) {
    assert!(!text.is_empty(), "{what} says nothing at all");
    assert!(!text.contains(CANARY), "{what} sings:\n{text}");
}

#[tokio::test]
async fn no_line_of_the_program_shows_it() {
    let address = ReplicaSet::shared().await.unwrap().nodes()[0].address();
    let (unreachable, refused) = (with_canary("127.0.0.1:1"), with_canary(&address));
    let no_port = with_canary("127.0.0.1:none");
    let bad_option = format!("{unreachable}&tls=perhaps&replicaSet={CANARY}");
    let no_scheme = format!("birdwatcher:{CANARY}@127.0.0.1");
    let table = [
        (unreachable.as_str(), ["batch", "--wait", "3s"], 4),
        (&refused, ["batch", "--wait", "3s"], 1),
        (&no_port, ["batch", "--wait", "3s"], 2),
        (&bad_option, ["batch", "--wait", "3s"], 2),
        (&no_scheme, ["batch", "--wait", "3s"], 2),
        (unreachable.as_str(), ["check", "--wait", "1s"], 4),
        (&refused, ["check", "--wait", "1s"], 5),
        (&bad_option, ["check", "--wait", "1s"], 2),
        (&unreachable, ["batch", "--wait", "never"], 2),
        (&unreachable, ["batch", "--limit", "0"], 2),
        (&unreachable, ["--help", "batch", "--wait=1s"], 0),
        (&unreachable, ["batch", &refused, "--wait=1s"], 2),
    ];
    for format in ["text", "json"] {
        for (uri, arguments, expected) in &table {
            let settings = [
                ("MONGODB_URI", *uri),
                ("ARCHD_LOG", "trace"),
                ("ARCHD_LOG_FORMAT", format),
                ("RUST_BACKTRACE", "full"),
            ];
            let (code, stdout, stderr) = run(arguments, &settings).await;
            assert_eq!(code, Some(*expected), "{arguments:?}: {stderr}");
            assert_silent(&format!("{arguments:?}"), &format!("{stdout}{stderr}"));
        }
    }
}

#[tokio::test]
async fn no_status_and_no_debug_form_shows_it() {
    let address = ReplicaSet::shared().await.unwrap().nodes()[0].address();
    for (host, said) in [
        ("127.0.0.1:1", "can't be reached"),
        (address.as_str(), "refused the user or the password"),
    ] {
        let config = Config::simulation(&with_canary(host), "secret").unwrap();
        let store = Store::new(&config).await.unwrap();
        assert_silent("Config", &format!("{config:#?}"));
        assert_silent("Store", &format!("{store:#?}"));
        let error = store.hello().await.unwrap_err();
        assert_silent("error", &format!("{error} {error:?}"));

        let server = TestServer::on(&with_canary(host), "secret").await;
        let status = eventually(async || {
            let status = server.archive_order("CMD-2025-000001").await.unwrap_err();
            status.message().contains(said).then_some(status)
        })
        .await;
        assert_silent("status", &format!("{status} {status:?}"));
        let details = String::from_utf8_lossy(status.details());
        assert_silent("details", &details);
        assert_silent("metadata", &format!("{:?}", status.metadata()));
    }
}
