//! Every RPC over TLS, by those who show a certificate, a bad one, or none.

use std::{error::Error, net::SocketAddr};

use devkit::{
    ReplicaSet,
    certificates::{Authority, Issued, Subject},
};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use super::{
    call,
    table::{CALLERS, contents, methods},
};
use crate::{
    child::Server,
    process::settings_on,
    support::{TestServer, eventually, faults, pki::Pki},
};

/// A certificate for a name, with which it is a DNS name beside a common name that says nothing.
fn named(authority: &Authority, name: &str) -> Issued {
    let subject = Subject::client("anybody").dns(name).unwrap();
    authority.issue(subject).unwrap()
}

fn assert_unidentified(method: &str, what: &str, status: &Status) {
    let told = format!("{method} by {what}: {status:?}");
    assert_eq!(status.code(), Code::Unauthenticated, "{told}");
    assert_eq!(faults(status).0, "UNAUTHENTICATED", "{told}");
}

/// Where a call got nowhere: the status is the client's own, of a connection that was lost.
fn assert_unheard(method: &str, what: &str, status: &Status) {
    let told = format!("{method} by {what}: {status:?}");
    assert!(status.source().is_some(), "{told}");
    assert!(status.details().is_empty(), "{told}");
}

#[tokio::test]
async fn each_method_is_open_to_certificates_with_its_right_and_to_nobody_else() {
    let pki = Pki::new();
    let lines = |others: &str| {
        let rights = CALLERS.iter().map(|(name, rights)| {
            let rights = rights.join(",");
            format!("san {name} {rights}\n")
        });
        rights.collect::<String>() + others
    };
    let (clients, identities) = (
        pki.path("clients.pem"),
        pki.write("identities", &lines("san revoked destroy\n")),
    );
    let set = ReplicaSet::shared().await.unwrap();
    let database = set.fresh_database().await.unwrap();
    let cert_and_key = (pki.path("server.pem"), pki.path("server.key"));
    let settings = [
        ("ARCHD_TLS_CERT", cert_and_key.0.as_str()),
        ("ARCHD_TLS_KEY", cert_and_key.1.as_str()),
        ("ARCHD_TLS_CLIENT_CA", clients.as_str()),
        ("ARCHD_AUTH_FILE", identities.as_str()),
        ("ARCHD_PROFILE", "simulation"),
    ];
    let settings = settings_on(database.name(), &settings).await;
    let server = Server::start(1_024, &settings).await;
    let plain = TestServer::start().await;

    let by = |shown: Option<&Issued>| pki.connects_to(server.address, shown);
    let revoked = by(Some(&named(&pki.clients, "revoked")));
    let stats = "/orderarchiver.v1.StatsService/GetStats";
    call(&revoked, stats, None).await.unwrap();
    pki.write("identities", &lines(""));
    server.hang_up();
    eventually(async || call(&revoked, stats, None).await.is_err().then_some(())).await;

    let without_name = pki.clients.issue(Subject::client("n-destroys")).unwrap();
    let foreign = Authority::new("clients").unwrap();
    let expired = Subject::client("n-destroys").dns("n-destroys").unwrap();
    let expired = pki.clients.issue(expired.expired()).unwrap();
    let unidentified = [
        ("nobody", by(None)),
        ("a certificate without a name", by(Some(&without_name))),
        ("an unknown name", by(Some(&named(&pki.clients, "nobody")))),
        ("a name that was removed", revoked),
    ];
    let in_plain_text = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let to_plain_text = plain.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let to_plain_text = SocketAddr::from(([127, 0, 0, 1], to_plain_text));
    let destroys = named(&pki.clients, "n-destroys");
    let unheard = [
        ("an expired certificate", by(Some(&expired))),
        ("a foreign one", by(Some(&named(&foreign, "n-destroys")))),
        ("plain text to TLS", in_plain_text.connect_lazy()),
        (
            "TLS to plain text",
            pki.connects_to(to_plain_text, Some(&destroys)),
        ),
    ];
    let known: Vec<_> = CALLERS
        .iter()
        .map(|(name, rights)| (*name, *rights, by(Some(&named(&pki.clients, name)))))
        .collect();

    let before = contents(&database).await;
    for (right, method) in methods() {
        for (what, channel) in &unheard {
            let status = call(channel, method, None).await.unwrap_err();
            assert_unheard(method, what, &status);
        }
        if right.is_empty() {
            continue;
        }
        for (what, channel) in &unidentified {
            let status = call(channel, method, None).await.unwrap_err();
            assert_unidentified(method, what, &status);
        }
        for (name, _, channel) in known.iter().filter(|(_, has, _)| !has.contains(&right)) {
            let status = call(channel, method, None).await.unwrap_err();
            let told = format!("{name} calls {method}: {status:?}");
            assert_eq!(status.code(), Code::PermissionDenied, "{told}");
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["right"], right, "{told}");
        }
    }
    assert_eq!(
        contents(&database).await,
        before,
        "a refusal changes nothing"
    );

    for (right, method) in methods() {
        for (name, has, channel) in &known {
            if !right.is_empty() && !has.contains(&right) {
                continue;
            }
            let answer = call(channel, method, None).await;
            let code = answer.map_or_else(|status| status.code(), |()| Code::Ok);
            let refusals = [Code::PermissionDenied, Code::Unauthenticated];
            assert!(!refusals.contains(&code), "{name} calls {method}: {code:?}");
        }
    }
    assert_ne!(contents(&database).await, before, "what is allowed is done");
}
