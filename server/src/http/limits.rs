//! The limits on callers of HTTP as a table for people, a row each: what is limited, how much of it
//! there may be, and what happens beyond.

use humantime::format_duration as time;

use super::{
    custom_handler,
    listener::{FIELDS, HEAD, MOST, NEXT_REQUEST, OF_FILES, READING, READING_BESIDE_OTHERS},
    order::{AT_ONCE, LONGEST, PATIENCE},
};

/// The rows.
pub(crate) fn rows() -> Vec<(&'static str, String, &'static str)> {
    let kib = |bytes: usize| format!("{} KiB", bytes / 1_024);
    vec![
        (
            "connections",
            format!(
                "{},{:03}, and one for every {OF_FILES} files that the process may open",
                MOST / 1_000,
                MOST % 1_000
            ),
            "the one that has been idle for longest makes way; if all are in use, the next one waits",
        ),
        (
            "connections on which the page is told what happens",
            "nine tenths of them".to_owned(),
            "status 503 with `Retry-After`",
        ),
        (
            "a connection without a request, or with one whose head does not end",
            time(NEXT_REQUEST).to_string(),
            "it is closed",
        ),
        ("the head of a request", kib(HEAD), "status 431, or 414"),
        (
            "header fields of a request",
            FIELDS.to_string(),
            "status 431",
        ),
        (
            "methods",
            "`GET` and `HEAD`, no body is read".to_owned(),
            "status 405",
        ),
        (
            "names that it is asked for",
            "`ARCHD_HTTP_HOSTS`, localhost and addresses".to_owned(),
            "status 421",
        ),
        (
            "a part of an answer that is not read",
            format!(
                "{}; {} where somebody waits for its place",
                time(READING),
                time(READING_BESIDE_OTHERS)
            ),
            "the connection is closed",
        ),
        (
            "orders that are looked for at once",
            AT_ONCE.to_string(),
            "the next one waits",
        ),
        (
            "the wait for an order, its turn included",
            time(PATIENCE).to_string(),
            "status 503 with `Retry-After`",
        ),
        (
            "a number of an order",
            format!("{LONGEST} bytes"),
            "status 400",
        ),
    ]
}

/// The rows of `archd functions`.
pub(crate) fn of_the_custom_handler() -> Vec<(&'static str, String, &'static str)> {
    let kib = |bytes: usize| format!("{} KiB", bytes / 1_024);
    vec![
        (
            "who is answered",
            "this machine, by `localhost` or an address, and no page of a browser".to_owned(),
            "status 403; others do not reach the port",
        ),
        (
            "connections",
            custom_handler::MOST.to_string(),
            "the one that has been idle for longest makes way; if all are in use, the next one waits",
        ),
        ("a call", kib(custom_handler::CALL), "status 413"),
        (
            "the arrival of a call",
            time(custom_handler::ARRIVAL).to_string(),
            "status 408",
        ),
        (
            "batches at once",
            "1".to_owned(),
            "the call joins the one that runs",
        ),
        (
            "the answer to a call",
            "`--wait`, `--max-runtime` and 10s together".to_owned(),
            "the batch is cancelled, or left if it was asked for elsewhere; status 500",
        ),
    ]
}
