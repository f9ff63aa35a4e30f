//! `archctl verify repair`: nothing is replaced that nobody has seen and said yes to, and each
//! outcome is told.

use order_archiver_api::v1::{Difference, DifferenceClass};

use crate::{
    fake::{Fake, verification::difference},
    program::run,
};

fn with(differences: Vec<Difference>) -> Fake {
    let fake = Fake::start();
    *fake.script.differences.lock().unwrap() = differences;
    fake
}

fn some_of_each() -> Vec<Difference> {
    vec![
        difference(DifferenceClass::Missing, "CMD-1"),
        difference(DifferenceClass::Altered, "CMD-2"),
        difference(DifferenceClass::Damaged, "CMD-3"),
        difference(DifferenceClass::Doubled, "CMD-4"),
        difference(DifferenceClass::Orphaned, "CMD-5"),
    ]
}

#[test]
fn without_a_yes_it_says_what_it_would_replace_and_asks_for_nothing() {
    let fake = with(some_of_each());
    let all = "--class missing --class altered --class damaged --class doubled";
    for (asked, what) in [
        (
            all,
            "  1 to be archived: missing from the archive\n  \
             2 to be replaced by what the live order of today makes\n  \
             1 to be taken out of the archive, or replaced, so that one is left\n",
        ),
        ("CMD-2 CMD-9", "  1 to be replaced by what the live"),
    ] {
        let args = format!("verify repair {asked}");
        let args: Vec<&str> = args.split(' ').collect();
        let ended = run(&fake.endpoint(), &args);
        assert_eq!(ended.code, 6, "{ended:?}");
        let told = format!("Nothing was done. There are\n{what}");
        assert!(ended.stderr.contains(&told), "{ended:?}");
        assert!(
            ended.stderr.ends_with("--yes --reason TEXT does it.\n"),
            "{ended:?}"
        );
        assert!(ended.stdout.contains("\naltered  CMD-2"), "{ended:?}");
        assert!(!ended.stdout.contains("CMD-5"), "{ended:?}");
        let asked = fake.last_request();
        assert!(asked.starts_with("ListDifferencesRequest"), "{asked}");
    }
}

#[test]
fn missing_orders_need_no_yes() {
    let fake = with(some_of_each());
    for which in [&["--class", "missing"][..], &["CMD-1"]] {
        let args = [&["verify", "repair"], which].concat();
        let ended = run(&fake.endpoint(), &args);
        assert_eq!(
            (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
            (0, "CMD-1  missing  archived\n", "1 archived.\n")
        );
        let asked = fake.last_request();
        assert!(asked.contains("confirmed: false"), "{asked}");
    }
}

#[test]
fn a_yes_replaces_with_who_and_why() {
    let fake = with(some_of_each());
    let args = [
        "verify",
        "repair",
        "--verification",
        "v-1",
        "--class",
        "altered",
        "--class",
        "doubled",
        "--yes",
        "--reason",
        "edited by hand",
        "--by",
        "marie",
    ];
    let ended = run(&fake.endpoint(), &args);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.stdout,
        "CMD-2  altered  replaced; kept as r-1\nCMD-4  doubled  removed; kept as r-2\n"
    );
    assert_eq!(ended.stderr, "1 replaced, 1 removed.\n");
    assert_eq!(
        fake.last_request(),
        "RepairOrdersRequest { verification_id: \"v-1\", classes: [Altered, Doubled], numeros_commande: [], \
         confirmed: true, reason: \"edited by hand\", by: \"marie\" }"
    );
}

#[test]
fn one_that_was_refused_is_told_and_is_the_exit_code() {
    let fake = with(vec![
        difference(DifferenceClass::Altered, "MENDED"),
        difference(DifferenceClass::Altered, "HELD"),
        difference(DifferenceClass::Missing, "CMD-1"),
    ]);
    let args = [
        "verify", "repair", "MENDED", "HELD", "CMD-1", "--yes", "--reason", "why",
    ];
    let ended = run(&fake.endpoint(), &args);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(
        ended.stdout,
        "MENDED  altered  not so any more\nHELD  altered  refused: the live order is gone\n\
         CMD-1  missing  archived\n"
    );
    assert_eq!(ended.stderr, "1 archived, 1 not so any more, 1 refused.\n");
    for (format, lines) in [("json", 1), ("ndjson", 3)] {
        let ended = run(&fake.endpoint(), &[&args[..], &["-o", format]].concat());
        let json = ended.json_lines_or_one();
        assert_eq!(json[1]["outcome"], "REPAIR_OUTCOME_REFUSED");
        assert!(ended.stdout.lines().count() >= lines, "{ended:?}");
    }
}

#[test]
fn what_was_repaired_before_the_server_left_is_told() {
    let fake = with(vec![
        difference(DifferenceClass::Missing, "CMD-1"),
        difference(DifferenceClass::Missing, "BREAK"),
    ]);
    for format in ["table", "json", "ndjson"] {
        let args = ["verify", "repair", "--class", "missing", "-o", format];
        let ended = run(&fake.endpoint(), &args);
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(ended.stdout.contains("CMD-1"), "{ended:?}");
        let told = "What was repaired stays so; the same command again repairs the rest.";
        assert!(ended.stderr.contains(told), "{ended:?}");
    }
}

#[test]
fn nothing_to_repair_is_no_fault() {
    let fake = Fake::start();
    let args = ["verify", "repair", "--class", "altered"];
    let ended = run(&fake.endpoint(), &args);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (0, "There was nothing to repair.\n")
    );
}

#[test]
fn what_turned_up_after_the_look_is_refused_with_a_hint() {
    let fake = Fake::start();
    fake.refuse_next(crate::fake::refusal(
        tonic::Code::FailedPrecondition,
        "NOT_CONFIRMED",
        "archived documents would be replaced",
        &[],
    ));
    let ended = run(&fake.endpoint(), &["watch", "status"]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (
            6,
            "error: archived documents would be replaced\n\
             hint: --yes with --reason TEXT replaces them; each document that is replaced is kept\n"
        )
    );
}
