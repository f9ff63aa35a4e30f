//! `archd batch` on a terminal shows how far it is, below its log; anywhere else it writes its log alone.

use std::process::Stdio;

use devkit::ReplicaSet;
use tokio::process::Command;

use crate::{
    process::{archd, run},
    support::{TestServer, orders, within},
};

/// What the bar is drawn with.
const BAR: char = '█';

#[tokio::test]
async fn a_batch_on_a_terminal_shows_how_far_it_is() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(60)).await;
    let uri = ReplicaSet::shared().await.unwrap().uri();
    let settings = [
        ("MONGODB_URI", uri.as_str()),
        ("MONGODB_DATABASE", server.database.name()),
    ];
    let batch = archd(&["batch", "--max-rate=30"], &settings);
    let batch = batch.as_std();
    let words = std::iter::once(batch.get_program()).chain(batch.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
    // A new terminal has no size.
    let line = format!("stty cols 80 rows 24; {}", words.join(" "));
    let shown = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .envs(settings)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let shown = within(shown).await.unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{text}");
    assert!(text.contains(" of 60 orders"), "{text}");
    assert!(text.contains(BAR), "{text}");
    // The log and the statistics are there as ever.
    for words in ["batch ended", "Archived:       60 orders"] {
        assert!(text.contains(words), "{words}: {text}");
    }

    let (code, stdout, stderr) = run(&["batch"], &settings).await;
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.contains(BAR) && !stderr.contains(BAR), "{stderr}");
}
