//! Names of other people can't steer the terminal, nor turn a line around, in any output of
//! `archd`.

use bson::{DateTime, doc};
use serde_json::Value;

use crate::{
    process::{run, settings_on},
    support::TestServer,
};

/// It reads backwards from the fifth character on, and clears the screen where it can.
const NAME: &str = "CMD-\u{202e}1\u{9b}2J\u{1b}[2J\u{2028}";

/// Runs `archd` on a database in which that name stands everywhere, with its log at its most
/// talkative.
async fn said(arguments: &[&str], log: &str) -> (String, String) {
    let server = TestServer::start().await;
    let named = |mut order: bson::Document| {
        order.insert("status", format!("Livrée{NAME}"));
        order
    };
    let orders = [
        crate::support::order(NAME),
        named(crate::support::order("CMD-2")),
    ];
    server.insert("Commande", orders).await;
    server
        .insert("Commande", [crate::support::order(bson::Bson::Null)])
        .await;
    // Not readable: its state is no state, and its name is that name.
    let now = DateTime::now();
    let unreadable = doc! { "_id": NAME, "state": "odd", "created": now, "updated": now };
    server.insert("archd_batches", [unreadable]).await;
    let settings = settings_on(
        server.database.name(),
        &[("ARCHD_LOG_FORMAT", log), ("ARCHD_LOG", "debug")],
    )
    .await;
    let (_, stdout, stderr) = run(arguments, &settings).await;
    (stdout, stderr)
}

#[tokio::test]
async fn no_name_steers_the_terminal() {
    let commands: [&[&str]; 6] = [
        &["batch", "--limit=10"],
        &["batch", "--limit=10", "--output=json"],
        &["check"],
        &["check", "--output=json"],
        &["state"],
        &["state", "--output=json"],
    ];
    let mut told = 0;
    for command in commands {
        for log in ["text", "json"] {
            let (stdout, stderr) = said(command, log).await;
            for text in [&stdout, &stderr] {
                let steers =
                    |c: char| matches!(c, '\u{202e}' | '\u{2028}') || (c.is_control() && c != '\n');
                let bad = text.lines().find(|line| line.contains(steers));
                assert!(bad.is_none(), "{command:?}: {bad:?}");
                told += text.matches("202e").count();
            }
            if command.contains(&"--output=json") {
                let json: Value = serde_json::from_str(&stdout).unwrap();
                assert!(json.is_object());
            }
            if log == "json" {
                for line in stderr.lines() {
                    serde_json::from_str::<Value>(line)
                        .unwrap_or_else(|error| panic!("{error}: {line}"));
                }
            }
        }
    }
    assert!(told > 4, "the name is told, escaped: {told}");
}
