//! Who can reach the listeners: what is refused of that, and what is told.

use std::net::SocketAddr;

use super::{
    problem::Problem,
    setting::Setting,
    sources::Chosen,
    table::{AUTH_FILE, HTTP, INSECURE_LISTEN, LISTEN, TLS_CERT, TLS_CLIENT_CA, TLS_KEY},
};

/// Whom a listener on loopback is open to that asks nobody.
const EVERYBODY: &str = "whoever has an account on this machine may do everything there";

/// What is said of the listeners.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    /// Refused.
    pub(super) problems: Vec<Problem>,
    /// Allowed by name, and yet to be warned of.
    pub(super) warnings: Vec<String>,
    /// As it is by default, and yet to be known.
    pub(super) notes: Vec<String>,
}

/// What these settings, of which `bad` names those that can't be read, let others do.
pub(super) fn of(chosen: &Chosen, bad: &[Problem]) -> Exposure {
    let good = |setting: &Setting| bad.iter().all(|problem| problem.name != setting.name);
    let mut exposure = Exposure {
        problems: half_given(chosen),
        ..Exposure::default()
    };
    let (tls, authentication) = has(chosen);
    let (lacks, open_to) = match (tls, authentication) {
        (true, true) => return exposure,
        (false, true) => (
            "without TLS",
            "what is sent there is not encrypted on its way through this machine",
        ),
        // TLS alone is no access control.
        (true, false) => ("without authentication", EVERYBODY),
        (false, false) => ("without TLS and without authentication", EVERYBODY),
    };
    let is_allowed = chosen.text(&INSECURE_LISTEN) == "true";
    for setting in [LISTEN, HTTP].iter().filter(|setting| good(setting)) {
        let Some(address) = chosen.address_unless_off(setting) else {
            continue;
        };
        let name = setting.name;
        if is_of_this_machine(address) {
            exposure
                .notes
                .push(format!("{name} is {address}, {lacks}: {open_to}"));
        } else if is_allowed {
            exposure.warnings.push(format!(
                "{name} is {address}, which other machines may reach, {lacks}: {} allows it",
                INSECURE_LISTEN.name
            ));
        } else {
            exposure.problems.push(chosen.problem(
                setting,
                format!("is an address that other machines may reach, {lacks}"),
                "give ARCHD_TLS_CERT, ARCHD_TLS_KEY and ARCHD_AUTH_FILE, or listen on 127.0.0.1, or allow it by ARCHD_INSECURE_LISTEN=true",
            ));
        }
    }
    exposure
}

/// Files that are of no use without another one.
fn half_given(chosen: &Chosen) -> Vec<Problem> {
    let is_given = |setting: &Setting| chosen.text_unless_off(setting).is_some();
    const BOTH: &str = "give both, or neither";
    // A certificate says who somebody is, and the file what they may do.
    const LINE: &str = "give both; a first line of the file is `san NAME read`, with a DNS name of a client's certificate for NAME";
    let pairs = [
        (&TLS_CERT, &TLS_KEY, BOTH),
        (&TLS_KEY, &TLS_CERT, BOTH),
        (&TLS_CLIENT_CA, &TLS_CERT, BOTH),
        (&TLS_CLIENT_CA, &AUTH_FILE, LINE),
    ];
    pairs
        .into_iter()
        .filter(|(given, other, _)| is_given(given) && !is_given(other))
        .map(|(given, other, mend)| {
            let wrong = format!("is of no use without {}", other.name);
            chosen.problem(given, wrong, mend)
        })
        .collect()
}

/// Whether callers are protected by TLS, and the server by asking who they are.
fn has(chosen: &Chosen) -> (bool, bool) {
    let is_given = |setting: &Setting| chosen.text_unless_off(setting).is_some();
    (is_given(&TLS_CERT), is_given(&AUTH_FILE))
}

fn is_of_this_machine(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
