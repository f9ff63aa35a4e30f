//! `archctl orders why`: one screen that says where an order stands and what to do, and as JSON.

use crate::{fake::Fake, program::run};

#[test]
fn an_order_is_told_on_one_screen_with_the_commands_to_type() {
    let fake = Fake::start();
    let told = run(&fake.endpoint(), &["orders", "why", "CMD-2025-000009"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""));
    for line in [
        "Numero      CMD-2025-000009\n",
        "Archived    no\n",
        "To do       this mends all orders with such a status:",
    ] {
        assert!(told.stdout.contains(line), "{}", told.stdout);
    }
    assert!(told.stdout.lines().count() <= 24, "{}", told.stdout);
    let json = run(
        &fake.endpoint(),
        &["orders", "why", "CMD-2025-000009", "-o", "json"],
    )
    .json();
    assert_eq!(json["conclusion"], "ORDER_CONCLUSION_NEAR_MISS");
    assert_eq!(json["orders"][0]["status_escaped"], r#""livre\u0301e""#);
    assert!(fake.last_request().contains("with_history: false"));
}

#[test]
fn a_look_through_the_history_may_take_longer_than_an_answer() {
    let fake = Fake::start();
    let args = [
        "orders",
        "why",
        "CMD-2025-000001",
        "--history",
        "--history-limit",
        "30s",
        "--timeout",
        "5s",
    ];
    let told = run(&fake.endpoint(), &args);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.contains("\"livrée\" (delivered)"),
        "{}",
        told.stdout
    );
    assert!(
        told.stdout
            .ends_with("where the database's history begins.\n"),
        "{}",
        told.stdout
    );
    let asked = fake.last_request();
    assert!(
        asked.contains("seconds: 30") && asked.contains("35000000u"),
        "{asked}"
    );
    let alone = ["orders", "why", "CMD-2025-000001", "--history-limit", "30s"];
    assert_eq!(run(&fake.endpoint(), &alone).code, 2);
}

#[test]
fn what_nobody_knows_has_an_exit_code_and_other_commands_lead_here() {
    let fake = Fake::start();
    let unknown = run(&fake.endpoint(), &["orders", "why", "nobody"]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    for args in [
        &["orders", "show", "UNARCHIVED"][..],
        &["archive", "EN-COURS"],
    ] {
        let refused = run(&fake.endpoint(), args);
        let number = args[args.len() - 1];
        let wanted = format!("`archctl orders why {number}`");
        assert!(refused.stderr.contains(&wanted), "{refused:?}");
    }
}
