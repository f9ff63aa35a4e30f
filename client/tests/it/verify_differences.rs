//! `archctl verify differences` and `acknowledge`: what was found, all of it in flat memory, and what
//! somebody said of it.

use std::{fs, io::BufRead};

use order_archiver_api::v1::{Difference, DifferenceClass};
use serde_json::Value;
use tonic::Status;

use crate::{
    fake::{Fake, verification::difference},
    program::{piped, run},
};

fn with(differences: Vec<Difference>) -> Fake {
    let fake = Fake::start();
    *fake.script.differences.lock().unwrap() = differences;
    fake
}

fn missing(count: usize) -> Vec<Difference> {
    (0..count)
        .map(|number| difference(DifferenceClass::Missing, &format!("CMD-{number:05}")))
        .collect()
}

#[test]
fn ndjson_has_all_of_them_once_across_a_lost_connection() {
    let fake = with(missing(120));
    fake.refuse_next(Status::unavailable("the server is stopping"));
    let ended = run(&fake.endpoint(), &["verify", "differences", "-o", "ndjson"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines = ended.json_lines();
    let numbers = lines.iter().map(|line| &line["numero_commande"]);
    let wanted = (0..120).map(|number| Value::from(format!("CMD-{number:05}")));
    assert!(numbers.eq(&wanted.collect::<Vec<_>>()), "{lines:?}");
    assert!(ended.stderr.contains("The connection is lost"), "{ended:?}");
}

#[test]
fn a_table_has_a_hundred_and_says_that_there_are_more() {
    let fake = with(missing(120));
    let args = ["verify", "differences", "v-1"];
    let usual = run(&fake.endpoint(), &args);
    assert_eq!(usual.stdout.lines().count(), 101, "{usual:?}");
    assert!(usual.stderr.contains("Only the first 100"), "{usual:?}");
    for format in ["table", "json", "ndjson"] {
        let limited = [&args[..], &["--limit", "7", "-o", format]].concat();
        let limited = run(&fake.endpoint(), &limited);
        let told = limited.stdout.matches("CMD-").count();
        assert_eq!(told, 7, "{limited:?}");
    }
}

#[test]
fn only_the_classes_that_were_asked_for_are_listed() {
    let fake = with(vec![
        difference(DifferenceClass::Missing, "CMD-1"),
        difference(DifferenceClass::NotRebuildable, "CMD-2"),
        difference(DifferenceClass::NearMiss, "CMD-3"),
    ]);
    let args = [
        "verify",
        "differences",
        "--class",
        "not-rebuildable",
        "--class",
        "near-miss",
    ];
    let listed = run(&fake.endpoint(), &args);
    assert!(!listed.stdout.contains("CMD-1"), "{listed:?}");
    assert!(
        listed.stdout.contains("\nnot rebuildable  CMD-2"),
        "{listed:?}"
    );
    assert!(
        listed.stdout.contains("\nnear miss        CMD-3"),
        "{listed:?}"
    );
    assert!(fake.last_request().contains("verification_id: \"latest\""));
}

#[test]
fn an_acknowledgement_says_who_and_why_and_is_listed() {
    let fake = with(vec![difference(DifferenceClass::Altered, "CMD-1")]);
    let args = [
        "verify",
        "acknowledge",
        "CMD-1",
        "--reason",
        "corrected by hand",
        "--by",
        "marie",
    ];
    let noted = run(&fake.endpoint(), &args);
    let table = "\
NUMERO  CLASS    BY     TIME                  WHY IT MAY STAY
CMD-1   altered  marie  2025-10-16 14:23:45Z  corrected by hand
";
    assert_eq!((noted.code, noted.stdout.as_str()), (0, table));
    let listed = run(&fake.endpoint(), &["verify", "acknowledgements"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (0, table));
    let nothing = ["verify", "acknowledge", "CMD-2", "--reason", "none"];
    assert_eq!(run(&fake.endpoint(), &nothing).code, 3);
}

#[cfg(target_os = "linux")]
#[test]
fn twenty_thousand_differences_pass_through_flat_memory() {
    const DIFFERENCES: usize = 20_000;
    const MOST_KIB: u64 = 40 * 1024;
    let mut differences = missing(DIFFERENCES);
    for difference in &mut differences {
        difference.detail = "x".repeat(4_096);
    }
    let fake = with(differences);
    let args = ["verify", "differences", "-o", "ndjson"];
    let (mut child, mut stdout) = piped(&fake.endpoint(), &args);
    let mut line = String::new();
    let (mut lines, mut bytes) = (0, 0);
    // What is left fits no pipe, so the program is still there to be asked.
    while lines < DIFFERENCES - 100 {
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
    assert_eq!(
        (lines, child.wait().unwrap().code()),
        (DIFFERENCES, Some(0))
    );
}
