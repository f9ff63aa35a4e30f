//! Every exit code, and the words that come with it.

use std::{io::Write, net::TcpListener, thread};

use tonic::Status;

use crate::{
    fake::Fake,
    program::{archctl, run},
};

#[test]
fn each_code_of_the_server_has_its_exit() {
    let fake = Fake::start();
    for (code, exit) in [
        (2, 1),
        (3, 2),
        (4, 4),
        (5, 3),
        (6, 6),
        (7, 5),
        (8, 4),
        (9, 6),
        (13, 1),
        (14, 4),
        (16, 5),
    ] {
        let ended = run(&fake.endpoint(), &["archive", &format!("CODE-{code}")]);
        assert_eq!(ended.code, exit, "{ended:?}");
        assert_eq!(ended.stdout, "");
        assert!(
            ended.stderr.starts_with("error: as the test wishes\n") || code == 4,
            "{ended:?}"
        );
    }
}

#[test]
fn done_is_0() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["archive", "CMD-1"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "CMD-1  archived\n", "")
    );
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let fake = Fake::start();
    let archived = run(&fake.endpoint(), &["archive", "CMD\u{1b}[2J"]);
    assert_eq!(archived.stdout, "CMD\\u{1b}[2J  archived\n");
    let refused = run(&fake.endpoint(), &["batch", "show", "b\u{1b}[2J"]);
    assert_eq!(refused.stderr, "error: there is no batch b\\u{1b}[2J\n");
}

#[test]
fn an_error_names_commands_and_no_rpcs() {
    let fake = Fake::start();
    let status =
        Status::failed_precondition("nobody watches; StartBatch archives by now, says GetWatcher");
    fake.refuse_next(status);
    let ended = run(&fake.endpoint(), &["watch", "status"]);
    assert_eq!(
        ended.stderr,
        "error: nobody watches; `archctl batch start` archives by now, says `archctl watch status`\n"
    );
}

#[test]
fn nobodys_name_can_turn_a_line_around_in_any_output() {
    let fake = Fake::start();
    let name = "CMD\u{202e}\u{9b}2J";
    for args in [
        &["archive", name][..],
        &["archive", name, "CMD-2"],
        &["orders", "show", name],
        &["batch", "show", name],
    ] {
        for format in ["table", "wide", "json", "ndjson"] {
            let ended = run(&fake.endpoint(), &[args, &["-o", format]].concat());
            for text in [&ended.stdout, &ended.stderr] {
                let steers = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
                assert!(!text.contains(steers), "{text:?}");
            }
            if format.contains("json") && args[0] != "batch" {
                let json = ended.json_lines_or_one();
                assert!(json.to_string().contains(name), "{json}");
            }
        }
    }
}

#[test]
fn an_empty_variable_counts_as_none() {
    for setting in [
        "CONFIG",
        "PROFILE",
        "ENDPOINT",
        "TIMEOUT",
        "OUTPUT",
        "TIME_ZONE",
    ] {
        let variable = format!("ARCHCTL_{setting}");
        let mut completions = archctl(&["completions", "bash"]);
        let ended = completions.env(variable, "").output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    let refused = archctl(&["completions", "bash"])
        .env("ARCHCTL_ENDPOINT", "not an address")
        .status()
        .unwrap();
    assert_eq!(refused.code(), Some(2));
}

#[test]
fn a_bad_field_is_named() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["archive", ""]);
    assert_eq!(ended.code, 2);
    assert_eq!(
        ended.stderr,
        "error: one field is bad\n  - numero_commande: must not be empty\n"
    );
}

#[test]
fn an_order_under_way_is_a_precondition_with_a_hint() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["archive", "EN-COURS"]);
    assert_eq!(ended.code, 6);
    assert_eq!(
        ended.stderr,
        "error: EN-COURS is not delivered\n  - EN-COURS: status is en_cours, expected livrée\n\
         hint: it can be archived once it is delivered; `archctl tail` shows when it is, and `archctl orders why EN-COURS` this order\n"
    );
}

#[test]
fn a_database_that_is_away_says_when_to_come_back() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["archive", "AWAY"]);
    assert_eq!(ended.code, 4);
    assert_eq!(
        ended.stderr,
        "error: the database is away\nhint: try again in 2s\n"
    );
}

#[test]
fn an_answer_that_does_not_come_is_a_deadline() {
    let fake = Fake::start();
    let ended = run(&fake.endpoint(), &["--timeout", "200ms", "archive", "SLOW"]);
    assert_eq!(ended.code, 4);
    assert!(
        ended.stderr.starts_with(&format!(
            "error: no answer from {} in time\n",
            fake.endpoint()
        )),
        "{ended:?}"
    );
    assert!(
        ended.stderr.contains("it took longer than 200ms"),
        "{ended:?}"
    );
}

#[test]
fn a_server_that_is_not_there_is_looked_for() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for command in [
        &["stats"][..],
        &["tail"],
        &["batch", "watch", "b-1"],
        &["archive", "A", "B"],
        &["seed"],
    ] {
        let ended = run(&address.to_string(), command);
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(
            ended.stderr.contains(&format!(
                "error: archd at http://{address} can't be reached\n"
            )),
            "{ended:?}"
        );
        assert!(ended.stderr.contains("Connection refused"), "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("hint: is archd running? Start it with `archd`"),
            "{ended:?}"
        );
    }
}

#[test]
fn something_else_on_the_port_is_not_archd() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let _ = connection
                .unwrap()
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let ended = run(&address.to_string(), &["stats"]);
    assert_eq!(ended.code, 4, "{ended:?}");
}

#[test]
fn wrong_words_are_usage() {
    for args in [
        &["--endpoint", "not an address", "stats"][..],
        &["--endpoint", "ftp://archive.internal", "stats"],
        &["--ca", "ca.pem", "stats"],
        &["--endpoint", "https://a", "--ca", "missing.pem", "stats"],
        &["--endpoint", "https://a", "--ca", "Cargo.toml", "stats"],
        &["--endpoint", "https://a", "--cert", "missing.pem", "stats"],
        &["--timeout", "0s", "stats"],
        &["batch", "start", "--before", "yesterday"],
        &["batch", "start", "--limit", "0"],
        &["batch", "start", "--max-runtime", "0s"],
        &["batch", "start", "--max-rate", "0"],
        &["batch", "start", "--max-lag", "2"],
        &["batch", "start", "--max-write-latency", "off"],
        &["batch", "start", "--dry-run", "--create-indexes"],
        &["batch", "tune", "b-1"],
        &["batch", "tune", "b-1", "--max-rate", "-5"],
        &["batch", "tune", "--max-rate", "5"],
        &["orders", "list", "--incomplete", "--complete"],
        &["tail", "--kind", "gossip"],
        &["archive", "-", "CMD-1"],
        &["seed", "--live-lifetime", "30s"],
        &["quarantine", "drop", "q-1"],
        &["archive"],
        &["batch"],
        &["stat"],
        &[],
    ] {
        let ended = run("localhost", args);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn a_bad_option_of_a_batch_is_named_with_its_mend() {
    for (option, value, mend) in [
        ("--limit", "-1", "-1 is not in 1.."),
        ("--before", "yesterday", "give a date, 2025-10-16"),
        (
            "--max-runtime",
            "2",
            "give a duration such as 90s, 15m or 24h",
        ),
        (
            "--max-rate",
            "-1",
            "give a whole number from 1 to 2147483647, or off",
        ),
        ("--max-lag", "off", "give a duration such as 90s"),
        ("--max-write-latency", "0s", "must be longer than nothing"),
    ] {
        let ended = run("localhost", &["batch", "start", option, value]);
        assert_eq!(ended.code, 2, "{ended:?}");
        for words in [option, mend] {
            assert!(ended.stderr.contains(words), "{words}: {ended:?}");
        }
    }
}

#[test]
fn a_bad_endpoint_says_what_a_good_one_is() {
    for endpoint in ["not an address", "host:99999", "http://"] {
        let ended = run(endpoint, &["stats"]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("give HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT"),
            "{ended:?}"
        );
    }
}

#[test]
fn an_endpoint_needs_no_scheme() {
    let fake = Fake::start();
    let bare = fake.endpoint().replace("http://", "");
    assert_eq!(
        run("localhost:1", &["archive", "CMD-1", "--endpoint", &bare]).code,
        0
    );
}
