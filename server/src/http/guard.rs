//! The guard: what every request has to keep to, and what every answer says to browsers.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderName, HeaderValue, Method, StatusCode, Version,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, REFERRER_POLICY, WWW_AUTHENTICATE,
        X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use crate::{
    access::{Access, Asked, Refusal, identity::Schemes, rules},
    config::table::HTTP_HOSTS,
    peer::Peer,
};

/// How somebody may say who they are.
const CHALLENGE: &str = r#"Basic realm="archd", charset="UTF-8", Bearer realm="archd""#;

/// What every answer says, unless it says something else itself.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// The names of this machine.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Arc<[String]>);

impl Hosts {
    /// These beside `localhost` and IP addresses, in small letters.
    pub(super) fn new(names: Vec<String>) -> Hosts {
        Hosts(names.into())
    }

    /// Whether a request for this authority is one for this machine. A page of another site can
    /// have a browser call its own name here, and no address: a name is looked up, and may be given
    /// this machine's address after the page was loaded ("DNS rebinding").
    pub(super) fn have(&self, authority: &str) -> bool {
        // The port is of no matter: it may be that of a proxy or of a tunnel.
        let host = match authority
            .strip_prefix('[')
            .and_then(|it| it.split_once(']'))
        {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or_default(),
        };
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        host == "localhost"
            || host.parse::<IpAddr>().is_ok()
            || self.0.iter().any(|name| name == host)
    }
}

/// What requests are held to.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) hosts: Hosts,
    pub(super) access: Access,
}

/// Whether whoever asks for what anybody may ask for may read all else as well.
#[derive(Clone, Copy, Debug)]
pub(super) struct MayRead(pub(super) bool);

/// Lets a request in, or says why not.
pub(super) async fn guard(
    State(guard): State<Guard>,
    mut request: Request,
    next: Next,
) -> Response {
    let admitted = match refusal(&guard.hosts, &request) {
        Some(refusal) => Err(refusal),
        None => guard.access.admit(&asked(&request)).map_err(told),
    };
    let mut response = match admitted {
        Err(refusal) => refusal,
        Ok(admitted) => {
            let may_read = MayRead(guard.access.may_read(&asked(&request)));
            request.extensions_mut().insert(admitted);
            request.extensions_mut().insert(may_read);
            next.run(request).await
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

fn refusal(hosts: &Hosts, request: &Request) -> Option<Response> {
    let named = request.uri().authority().map(|named| named.as_str());
    let header = request.headers().get(HOST).map(HeaderValue::to_str);
    let authority = match (named, header) {
        (Some(named), _) => named,
        (None, Some(Ok(header))) => header,
        // Browsers never leave it out; some probes do.
        (None, None) if request.version() == Version::HTTP_10 => "localhost",
        (None, _) => {
            let text = "a request needs a Host header that can be read\n";
            return Some((StatusCode::BAD_REQUEST, text).into_response());
        }
    };
    if !hosts.have(authority) {
        let text = format!(
            "archd does not answer requests for the name they were made for; if it is a name of this machine, add it to {}\n",
            HTTP_HOSTS.name
        );
        return Some((StatusCode::MISDIRECTED_REQUEST, text).into_response());
    }
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let text = "here things are only read: use GET or HEAD\n";
        let allow = [(ALLOW, "GET, HEAD")];
        return Some((StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response());
    }
    None
}

/// What whoever may not ask is told.
fn told(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Unidentified(why) => {
            let text = format!(
                "{why}; give a token of archd's, as the password beside any user, or as a bearer\n"
            );
            // Browsers ask for the password of the first scheme that they know.
            let ways = [(WWW_AUTHENTICATE, CHALLENGE)];
            (StatusCode::UNAUTHORIZED, ways, text).into_response()
        }
        Refusal::Lacks(right) => {
            let text = format!("this needs the right `{right}`, which the caller does not have\n");
            (StatusCode::FORBIDDEN, text).into_response()
        }
    }
}

fn asked(request: &Request) -> Asked<'_> {
    let path = request.uri().path();
    Asked {
        what: path,
        needed: rules::of_http(path),
        peer: request.extensions().get::<Arc<Peer>>(),
        headers: request.headers(),
        schemes: Schemes::BearerOrBasic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_and_addresses_are_answered() {
        let hosts = Hosts::new(vec!["archd.example.com".to_owned()]);
        for host in [
            "localhost",
            "LocalHost:9464",
            "127.0.0.1:1",
            "10.1.2.3",
            "[::1]:9464",
            "[fe80::1]",
            "archd.example.com",
            "ARCHD.example.com.:80",
        ] {
            assert!(hosts.have(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9464",
            "archd.example.com.evil.example",
            "xarchd.example.com",
            "[::1",
            "[evil]:80",
            "@localhost",
        ] {
            assert!(!hosts.have(host), "{host}");
        }
    }
}
