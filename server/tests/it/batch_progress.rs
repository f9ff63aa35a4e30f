//! `archd batch` on a terminal shows how far it is, below its log, and what became of it in colours
//! and in the terminal's width; anywhere else it writes its log alone, and plain text.

use std::process::Stdio;

use tokio::process::Command;

use crate::{
    process::{archd, run, settings_on},
    support::{TestServer, order, orders, within},
};

/// What the bar is drawn with.
const BAR: char = '█';

/// What `archd` shows on a terminal that is so wide, on which it succeeds.
async fn on_terminal(arguments: &[&str], settings: &[(&str, &str)], columns: usize) -> String {
    let archd = archd(arguments, &[]);
    let archd = archd.as_std();
    let words = std::iter::once(archd.get_program()).chain(archd.get_args());
    let words: Vec<&str> = words.map(|word| word.to_str().unwrap()).collect();
    // A new terminal has no size.
    let line = format!("stty cols {columns} rows 24; {}", words.join(" "));
    let mut script = Command::new("script");
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        script.env_remove(variable);
    }
    let shown = script
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let shown = within(shown).await.unwrap();
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{text}");
    text
}

#[tokio::test]
async fn a_batch_on_a_terminal_shows_how_far_it_is() {
    let server = TestServer::start().await;
    server.insert("Commande", orders(60)).await;
    let settings = settings_on(server.database.name(), &[]).await;
    let shown = on_terminal(&["batch", "--max-rate=30"], &settings, 80);
    let text = shown.await;
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

#[tokio::test]
async fn what_became_of_a_batch_is_told_in_colours_and_in_the_width_of_the_terminal() {
    let server = TestServer::start().await;
    let orders = [order("CMD-1"), order(bson::Bson::Null)];
    server.insert("Commande", orders).await;
    let settings = settings_on(
        server.database.name(),
        &[
            // What is told of the batch stands behind the log, which has colours of its own.
            ("ARCHD_LOG", "off"),
        ],
    )
    .await;
    let batch = ["batch"];
    let text = on_terminal(&batch, &settings, 80).await;
    for painted in [
        "\u{1b}[31m1 orders  (50.0%)\u{1b}[0m",
        "\u{1b}[32msucceeded (no delivered order was left)\u{1b}[0m",
        "\u{1b}[33mwarning:\u{1b}[0m Client has no index",
    ] {
        assert!(text.contains(painted), "{painted}: {text}");
    }
    for refusal in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let refused = [&settings[..], &[refusal]].concat();
        let text = on_terminal(&batch, &refused, 40).await;
        assert!(!text.contains("\u{1b}[3"), "{text}");
        let (_, text) = text.split_once("STATISTICS OUTPUT").expect(&text);
        let (text, _) = text.split_once("batch ").expect(text);
        assert!(text.contains("Errors:"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 40),
            "{text}"
        );
    }
    let (_, stdout, _) = run(&batch, &settings).await;
    assert!(!stdout.contains('\u{1b}'), "{stdout}");
    assert!(stdout.starts_with('┌'), "{stdout}");
    server.shut_down().await;
}
