//! `archctl version`: the client's, and the server's where there is one.

use std::net::TcpListener;

use serde_json::json;

use crate::{fake::Fake, program::run};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An address at which nobody listens: a moment ago it was free.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn both_versions_are_shown_and_where_the_server_is() {
    let fake = Fake::start();
    let shown = run(&fake.endpoint(), &["version"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    assert_eq!(
        shown.stdout,
        format!(
            "\
Client    archctl {VERSION}
Server    archd 1.2.3
Endpoint  {}
Instance  archd-1
Host      pod-7
",
            fake.endpoint()
        )
    );
    let json = run(&fake.endpoint(), &["version", "-o", "json"]).json();
    let wanted = json!({
        "client": { "name": "archctl", "version": VERSION },
        "server": {
            "name": "archd", "version": "1.2.3", "endpoint": fake.endpoint(), "instance": "archd-1",
            "host": "pod-7", "id": "e7a1",
        },
    });
    assert_eq!(json, wanted);
    let line = run(&fake.endpoint(), &["version", "-o", "ndjson"]);
    assert_eq!(line.json_lines(), [wanted]);
}

#[test]
fn the_clients_version_is_shown_without_a_server_whose_fault_is_told() {
    let address = nobody();
    let shown = run(&address, &["version"]);
    assert_eq!(shown.code, 4, "{shown:?}");
    assert_eq!(shown.stdout, format!("Client  archctl {VERSION}\n"));
    let fault = format!("error: archd at http://{address} can't be reached\n");
    assert!(shown.stderr.starts_with(&fault), "{shown:?}");

    let shown = run(&address, &["version", "-o", "json"]);
    assert_eq!(shown.code, 4, "{shown:?}");
    assert!(shown.stderr.starts_with(&fault), "{shown:?}");
    let json = shown.json_lines_or_one();
    assert_eq!(json["client"]["version"], VERSION);
    assert!(
        json["server"].is_null() && json.get("server").is_some(),
        "{json}"
    );
}

#[test]
fn whoever_wants_the_clients_version_alone_needs_no_server() {
    let shown = run(&nobody(), &["version", "--client"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    assert_eq!(shown.stdout, format!("Client  archctl {VERSION}\n"));
    let json = run(&nobody(), &["version", "--client", "-o", "json"]).json();
    let wanted = json!({ "client": { "name": "archctl", "version": VERSION } });
    assert_eq!(json, wanted);
}
