//! `archctl top` on a terminal: it draws, hears keys, outlives its server, and gives the terminal
//! back however it ends.

use std::process::Command;

use crate::{
    fake::{Fake, news::archived},
    program::{run, words},
    pty::Terminal,
};

/// `archctl top` on a terminal of 80×24, in a shell that then shows the exit code and what the
/// terminal is like.
fn start(endpoint: &str) -> Terminal {
    start_asking(endpoint, "50ms")
}

/// The same, with so long between two answers.
fn start_asking(endpoint: &str, every: &str) -> Terminal {
    let top = words(&["top", "--every", every]);
    let line =
        format!("sh -c \"echo pid=\\$\\$; exec {top}\"; echo code=$?; stty -a; read -r line");
    let mut terminal = Terminal::does((80, 24), endpoint, &line);
    terminal.shows("1 Events");
    assert!(terminal.is_taken());
    terminal
}

/// Waits for the end of `archctl top`, after which the terminal is as it was before.
fn is_back(terminal: &mut Terminal, code: i32) {
    terminal.shows(&format!("code={code}"));
    terminal.shows("icanon");
    assert!(!terminal.is_taken(), "{}", terminal.screen());
    let screen = terminal.screen();
    assert!(screen.contains("pid="), "what was there before: {screen}");
    for mode in ["-icanon", "-isig", "-echo ", "-opost"] {
        assert!(!screen.contains(mode), "{mode}: {screen}");
    }
}

#[test]
fn the_screen_goes_with_what_happens_and_with_keys() {
    let fake = Fake::start();
    let mut terminal = start(&fake.endpoint());
    terminal.shows("Order Archiver  livraison");
    terminal.shows("NOT OK  6 orders are in quarantine");
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    terminal.shows("CMD-1");
    *fake.script.figures.lock().unwrap() = |figures| {
        figures.archive_size = 4_711;
        figures.quarantine_size = 0;
    };
    terminal.shows("4,711 orders");
    terminal.shows("OK  nothing is wrong");

    terminal.press("p");
    terminal.shows("PAUSED");
    fake.publish(archived("CMD-2"));
    *fake.script.figures.lock().unwrap() = |figures| figures.archive_size = 42;
    // The keys are heard, and nothing else moves.
    terminal.press("?");
    terminal.shows("hold the screen still");
    terminal.press("?");
    terminal.until("the help is gone", |screen| {
        !screen.contains("hold the screen")
    });
    let screen = terminal.screen();
    assert!(
        screen.contains("4,711 orders") && !screen.contains("CMD-2"),
        "{screen}"
    );
    terminal.press("p");
    terminal.shows("CMD-2");
    terminal.shows("42 orders, and 6 in quarantine");

    terminal.press("3");
    terminal.shows("LAST SEEN ▼");
    terminal.press("s");
    terminal.shows("DETAIL ▼");
    terminal.press("r");
    terminal.shows("DETAIL ▲");
    terminal.press("\t");
    terminal.shows("DIFFERENCE");
    terminal.press("q");
    is_back(&mut terminal, 0);
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let fake = Fake::start();
    for signal in ["TERM", "INT", "HUP"] {
        let mut terminal = start(&fake.endpoint());
        let (_, pid) = terminal.raw().split_once("pid=").unwrap();
        let pid: String = pid.chars().take_while(char::is_ascii_digit).collect();
        let kill = ["-c", r#"kill -s "$1" "$2""#, "signal", signal, &pid];
        assert!(Command::new("sh").args(kill).status().unwrap().success());
        is_back(&mut terminal, 130);
    }
    // In a raw terminal, this key is no signal.
    let mut terminal = start(&fake.endpoint());
    terminal.press("\u{3}");
    is_back(&mut terminal, 0);
}

#[test]
fn a_server_that_goes_and_comes_back_is_told_of() {
    let fake = Fake::start();
    let mut terminal = start(&fake.endpoint());
    let revive = fake.die();
    terminal.shows("NO ANSWER  for ");
    let fake = revive();
    terminal.until("it answers again", |screen| !screen.contains("NO ANSWER"));
    fake.await_tail();
    fake.publish(archived("CMD-1"));
    terminal.shows("CMD-1");
    terminal.press("q");
    is_back(&mut terminal, 0);
}

#[test]
fn a_database_that_is_away_has_a_screen_and_a_server_that_is_not_there_has_none() {
    let fake = Fake::start();
    fake.refuse_next(tonic::Status::unavailable("the database is away"));
    let mut terminal = start_asking(&fake.endpoint(), "1h");
    terminal.shows("NO ANSWER  the database is away; trying again");
    terminal.press("q");
    is_back(&mut terminal, 0);

    let endpoint = fake.endpoint();
    drop(fake);
    let mut terminal = Terminal::with((80, 24), &endpoint, &["top"]);
    assert_eq!(terminal.end(), 4);
    assert!(
        terminal.raw().contains("can't be reached"),
        "{}",
        terminal.raw()
    );
    assert!(
        !terminal.raw().contains("\u{1b}[?1049h"),
        "{}",
        terminal.raw()
    );
}

#[test]
fn where_there_is_no_terminal_a_word_says_so_and_what_there_is_instead() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["top"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert_eq!(
        ended.stderr,
        "error: archctl top draws on a terminal, and standard output is none\n\
         hint: `archctl status` says in a line whether all is well, and `archctl stats --watch` goes on showing the figures\n"
    );
    let line = format!("TERM=dumb {}", words(&["top"]));
    let mut dumb = Terminal::does((80, 24), &fake.endpoint(), &line);
    assert_eq!(dumb.end(), 2);
    assert!(
        dumb.raw().contains("this one calls itself dumb"),
        "{}",
        dumb.raw()
    );
}
