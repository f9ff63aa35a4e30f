//! `archctl archive`: one order, several, and a list on standard input.

use serde_json::json;

use crate::{
    fake::Fake,
    program::{run, run_with_input},
};

#[test]
fn several_orders_are_a_line_each_and_one_failure_does_not_stop_the_others() {
    let fake = Fake::start();
    let ended = run(
        &fake.endpoint(),
        &["archive", "CMD-1", "EN-COURS", "TWICE", "INCOMPLETE"],
    );
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.stdout,
        "\
CMD-1  archived
EN-COURS  not delivered: EN-COURS is not delivered
TWICE  already archived
INCOMPLETE  archived, without nom_livreur
"
    );
}

#[test]
fn standard_input_has_a_number_a_line() {
    let fake = Fake::start();
    let ended = run_with_input(
        &fake.endpoint(),
        &["archive", "-"],
        b"CMD-1\r\n\n  CMD-2  \nCMD-livr\xc3\xa9e",
    );
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(
        ended.stdout,
        "CMD-1  archived\nCMD-2  archived\nCMD-livrée  archived\n"
    );
}

#[test]
fn a_line_that_can_not_be_a_number_spoils_itself_alone() {
    let fake = Fake::start();
    let long = "x".repeat(100_000);
    let input = [
        b"\xef\xbb\xbfCMD-1\n\xff\xfe\nCMD-2\n",
        long.as_bytes(),
        b"\nCMD-3\n",
    ]
    .concat();
    let ended = run_with_input(&fake.endpoint(), &["archive", "-"], &input);
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""));
    let mut lines: Vec<&str> = ended.stdout.lines().collect();
    lines.sort_unstable();
    let shown = format!("{}…", &long[..40]);
    assert_eq!(
        lines,
        [
            "CMD-1  archived",
            "CMD-2  archived",
            "CMD-3  archived",
            &format!("{shown}  invalid field: line 4 of standard input is longer than 1024 bytes"),
            "\u{fffd}\u{fffd}  invalid field: line 2 of standard input is not UTF-8",
        ]
    );
    let ended = run_with_input(&fake.endpoint(), &["archive", "-", "-o", "json"], &input);
    let answers: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let failed = |answer: &&serde_json::Value| answer["failure"]["code"] == 3;
    assert_eq!(answers.as_array().unwrap().iter().filter(failed).count(), 2);
}

#[test]
fn a_list_longer_than_any_buffer_gets_every_answer() {
    let fake = Fake::start();
    let numbers: String = (0..20_000).map(|index| format!("CMD-{index}\n")).collect();
    let ended = run_with_input(
        &fake.endpoint(),
        &["archive", "-", "-o", "ndjson"],
        numbers.as_bytes(),
    );
    assert_eq!(ended.code, 0);
    let answers = ended.json_lines();
    assert_eq!(answers.len(), 20_000);
    assert_eq!(answers[19_999]["result"]["numero_commande"], "CMD-19999");
}

#[test]
fn what_was_archived_before_the_server_left_is_told() {
    let fake = Fake::start();
    for format in ["json", "ndjson"] {
        let ended = run(
            &fake.endpoint(),
            &["archive", "CMD-1", "BREAK", "-o", format],
        );
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(ended.stdout.contains("CMD-1"), "{ended:?}");
        assert!(ended.stderr.contains("the server is stopping"), "{ended:?}");
    }
}

#[test]
fn json_is_one_value_and_ndjson_a_line_each() {
    let fake = Fake::start();
    let result = json!({"result": {
        "numero_commande": "CMD-1", "outcome": "ARCHIVE_OUTCOME_ARCHIVED", "incomplete": false, "missing_fields": [],
    }});
    assert_eq!(
        run(&fake.endpoint(), &["archive", "CMD-1", "-o", "json"]).json(),
        result
    );

    let several = run(
        &fake.endpoint(),
        &["archive", "CMD-1", "CMD-1", "-o", "json"],
    );
    assert_eq!(several.json(), json!([result, result]));

    let lines = run(
        &fake.endpoint(),
        &["archive", "CMD-1", "EN-COURS", "-o", "ndjson"],
    );
    let failure = json!({"failure": {
        "numero_commande": "EN-COURS", "code": 9, "reason": "NOT_DELIVERED", "message": "EN-COURS is not delivered",
    }});
    assert_eq!(lines.json_lines(), [result, failure]);
}
