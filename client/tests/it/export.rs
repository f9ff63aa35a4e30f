//! `archctl orders export`: every order once, in flat memory, across a lost connection.

use std::{fs, io::BufRead, sync::atomic::Ordering};

use tonic::Status;

use crate::{
    fake::{Fake, archive::ARCHIVED},
    program::{piped, run},
};

#[test]
fn every_document_is_a_line_and_a_lost_connection_goes_on_from_its_page() {
    let fake = Fake::start();
    fake.refuse_next(Status::unavailable("the server is stopping"));
    let args = [
        "orders",
        "export",
        "--client",
        "C-42",
        "--extended-json",
        "relaxed",
    ];
    let ended = run(&fake.endpoint(), &args);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let numbers: Vec<String> = ended
        .json_lines()
        .iter()
        .map(|document| document["numero_commande"].as_str().unwrap().to_owned())
        .collect();
    let wanted: Vec<String> = (0..ARCHIVED)
        .map(|index| format!("CMD-{index:03}"))
        .collect();
    assert_eq!(numbers, wanted);
    assert!(
        ended.stderr.contains("The connection is lost"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.ends_with("Exported 120 orders.\n"),
        "{}",
        ended.stderr
    );
    let asked = fake.last_request();
    for words in [
        "id_client_json: \"\\\"C-42\\\"\"",
        "document_json_format: Relaxed",
    ] {
        assert!(asked.contains(words), "{asked}");
    }
}

#[test]
fn csv_has_a_header_and_a_line_for_each_order() {
    let fake = Fake::start();
    let args = ["orders", "export", "--format", "csv"];
    let ended = run(&fake.endpoint(), &args);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), ARCHIVED + 1);
    assert!(lines[0].starts_with("numero_commande,date_commande,nom_client,"));
    assert_eq!(lines[1], "CMD-000,,Zoé Lefèvre,,,,,,24.9,false,,,");
    assert!(fake.last_request().contains("with_documents: false"));
}

#[test]
fn an_export_that_has_to_leave_an_order_out_names_it_and_fails() {
    let fake = Fake::start();
    fake.script.archived.store(20_014, Ordering::Relaxed);
    let ended = run(&fake.endpoint(), &["orders", "export"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stdout.lines().count(), 20_013);
    assert!(
        ended.stderr.contains("1 orders are left out"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("  - CMD-20013"), "{}", ended.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn twenty_thousand_documents_pass_through_flat_memory() {
    const ORDERS: usize = 20_000;
    const MOST_KIB: u64 = 40 * 1024;
    let fake = Fake::start();
    fake.script.archived.store(ORDERS, Ordering::Relaxed);
    let (mut child, mut stdout) = piped(&fake.endpoint(), &["orders", "export"]);
    let mut line = String::new();
    let (mut lines, mut bytes) = (0, 0);
    // What is left fits no pipe, so the program is still there to be asked.
    while lines < ORDERS - 100 {
        line.clear();
        bytes += stdout.read_line(&mut line).unwrap();
        lines += 1;
    }
    assert!(bytes > 80_000_000, "{bytes}");
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MOST_KIB, "{peak} KiB for {bytes} bytes");
    lines += stdout.lines().count();
    assert_eq!((lines, child.wait().unwrap().code()), (ORDERS, Some(0)));
}

#[test]
fn a_table_has_no_room_for_documents() {
    let fake = Fake::start();
    let refused = run(&fake.endpoint(), &["orders", "list", "--with-documents"]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("--output ndjson"),
        "{}",
        refused.stderr
    );
    let args = [
        "orders",
        "list",
        "--with-documents",
        "-o",
        "ndjson",
        "--limit",
        "2",
    ];
    let lines = run(&fake.endpoint(), &args).json_lines();
    assert!(
        lines[1]["document_json"]
            .as_str()
            .unwrap()
            .contains("CMD-001")
    );
}
