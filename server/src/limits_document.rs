//! Holds `docs/limits.md` to the limits that are in force. No part of the product.

use std::{env, fmt::Write, fs, path::Path};

use crate::{grpc::limits::table, http::limits, sockets::limits as sockets};

const MARK: &str =
    "<!-- What follows is written by UPDATE_DOCS=1 cargo test --workspace -- limits -->\n";

fn tables() -> String {
    let mut text = String::new();
    for (title, rows) in [
        ("Connections of gRPC and HTTP", sockets::rows()),
        ("Connections of gRPC", table::connections()),
        ("Calls and requests", table::requests()),
        ("Streams and answers", table::streams()),
        ("HTTP", limits::rows()),
        ("HTTP of `archd functions`", limits::of_the_custom_handler()),
    ] {
        let _ = write!(
            text,
            "\n## {title}\n\n| what | limit | beyond it |\n|---|---|---|\n"
        );
        for (what, limit, beyond) in rows {
            let _ = writeln!(text, "| {what} | {limit} | {beyond} |");
        }
    }
    text
}

#[test]
fn every_limit_is_in_the_document_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/limits.md");
    let text = fs::read_to_string(&path).unwrap();
    let (head, _) = text.split_once(MARK).expect("the document has its mark");
    let expected = format!("{head}{MARK}{}", tables());
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
    } else {
        assert_eq!(
            text, expected,
            "UPDATE_DOCS=1 cargo test --workspace -- limits"
        );
    }
}

#[test]
fn no_limit_is_left_out() {
    let limits = include_str!("grpc/limits.rs");
    let table = include_str!("grpc/limits/table.rs");
    let constants = limits.lines().filter_map(|line| {
        let line = line.strip_prefix("pub(super) ").unwrap_or(line);
        line.strip_prefix("const ")?.split(':').next()
    });
    let left_out: Vec<&str> = constants.filter(|name| !table.contains(name)).collect();
    assert!(left_out.is_empty(), "the table has no row for {left_out:?}");
}
