//! `archctl health`: whether archd serves, in a word and an exit code, at once or within some time.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::{
    fake::Fake,
    program::{Running, run},
};

#[test]
fn a_server_that_serves_is_done_and_one_that_does_not_a_problem() {
    let fake = Fake::start();
    let health = run(&fake.endpoint(), &["health"]);
    assert_eq!(
        (health.code, health.stdout.as_str(), health.stderr.as_str()),
        (0, "serving\n", "")
    );
    assert!(fake.last_request().contains("service: \"\""));
    fake.script.serves.store(false, Ordering::SeqCst);
    let health = run(&fake.endpoint(), &["health"]);
    assert_eq!(
        (health.code, health.stdout.as_str(), health.stderr.as_str()),
        (
            11,
            "not serving\n",
            "`archctl status` says what is wrong.\n"
        )
    );
}

#[test]
fn a_service_is_asked_about_by_its_resource() {
    let fake = Fake::start();
    fake.script.serves.store(false, Ordering::SeqCst);
    let health = run(&fake.endpoint(), &["health", "watcher", "-o", "json"]);
    assert_eq!(health.code, 11, "{health:?}");
    let json: serde_json::Value = serde_json::from_str(&health.stdout).unwrap();
    let service = "orderarchiver.v1.WatcherService";
    assert_eq!(json, json!({ "service": service, "status": "NOT_SERVING" }));
    assert!(fake.last_request().contains(service));
    let unknown = run(
        &fake.endpoint(),
        &["health", "verification", "--wait", "1h"],
    );
    assert_eq!(unknown.code, 3, "{unknown:?}");
}

#[test]
fn a_wait_ends_when_the_server_serves_though_it_was_not_there_at_first() {
    let fake = Fake::start();
    fake.script.serves.store(false, Ordering::SeqCst);
    let endpoint = fake.endpoint();
    let script = std::sync::Arc::clone(&fake.script);
    let revive = fake.die();
    let health = Running::start(&endpoint, &["health", "--wait", "1m"]);
    let _fake = revive();
    // It is asked at least once while the server does not serve.
    while !script.was_asked("HealthCheckRequest") {
        std::thread::yield_now();
    }
    script.serves.store(true, Ordering::SeqCst);
    let ended = health.end();
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, "serving\n", "")
    );
}

#[test]
fn a_wait_in_vain_ends_with_the_last_answer() {
    let fake = Fake::start();
    fake.script.serves.store(false, Ordering::SeqCst);
    let health = run(&fake.endpoint(), &["health", "--wait", "600ms"]);
    assert_eq!((health.code, health.stdout.as_str()), (11, "not serving\n"));
    let endpoint = fake.endpoint();
    drop(fake);
    let away = run(&endpoint, &["health", "--wait", "600ms"]);
    assert_eq!((away.code, away.stdout.as_str()), (4, ""));
    assert!(away.stderr.contains("can't be reached"), "{away:?}");
}
