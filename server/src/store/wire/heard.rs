//! What was heard of each server, and what that makes of them all: why none can be worked with.

use std::io;

use bson::{Bson, Document};
use mongodb::error::ErrorKind;

use crate::store::{Error, encoding::document::whole};

/// What MongoDB 6.0 calls its protocol.
const OLDEST_WIRE: i64 = 17;

/// What was last heard of a server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    Reply { set: Option<String>, role: Role },
    Failure(Failure),
}

/// What a server says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    Secondary,
    /// An arbiter, or a member that starts or recovers.
    Other,
    /// Started for a set that was never initiated, or that has removed it.
    Uninitiated,
    Standalone,
    /// A router of a sharded cluster.
    Router,
    /// Older than what archd needs, whatever else it is.
    TooOld,
}

/// Why a server was not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Its certificate is not trusted.
    Certificate,
    /// It refuses ours, or that we have none.
    OurCertificate,
    /// It ended the connection, or answered something that is not what was asked for.
    Ended,
    Refused,
    Unresolved,
    TooLate,
}

/// Why none of these servers can be worked with, by what was heard of them; none where they may be,
/// or nothing is known.
pub(super) fn account(heard: &[Heard], asked: Option<&str>, direct: bool) -> Option<Error> {
    let replies: Vec<(Option<&str>, Role)> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Reply { set, role } => Some((set.as_deref(), *role)),
            Heard::Failure(_) => None,
        })
        .collect();
    let failures = heard.iter().filter_map(|heard| match heard {
        Heard::Failure(failure) => Some(*failure),
        Heard::Reply { .. } => None,
    });
    let is = |role: Role| replies.iter().any(|(_, known)| *known == role);
    if is(Role::TooOld) {
        return Some(too_old());
    }
    if replies.is_empty() {
        let failure = failures.min_by_key(|failure| failure.rank())?;
        return Some(failure.account());
    }
    if is(Role::Uninitiated) && !is(Role::Primary) && !is(Role::Secondary) {
        return Some(Error::Unavailable(
            "its replica set has not been initiated, or has removed this member: run rs.initiate() on it once".to_owned(),
        ));
    }
    if let Some(asked) = asked
        && replies.iter().all(|(set, _)| *set != Some(asked))
    {
        let other = replies.iter().find_map(|(set, _)| *set);
        return Some(Error::Unusable(match other {
            Some(other) => format!(
                "MONGODB_URI asks for the replica set {asked:?} and its servers belong to {other:?}: correct replicaSet there"
            ),
            None => format!(
                "MONGODB_URI asks for the replica set {asked:?} and its server belongs to none: leave replicaSet out there, or start mongod with --replSet"
            ),
        }));
    }
    let works = [Role::Primary, Role::Standalone, Role::Router];
    if works.into_iter().any(is) {
        return None;
    }
    Some(Error::Unavailable(if direct {
        "the one member that MONGODB_URI names is no primary: leave directConnection out there and name the replica set, so that archd finds the primary".to_owned()
    } else {
        format!(
            "its replica set has no primary, {} of {} members answer: rs.status() on one of them tells why; a majority of those that vote must be up to elect one",
            replies.len(),
            heard.len()
        )
    }))
}

/// This MongoDB is older than what archd needs.
fn too_old() -> Error {
    Error::Unusable(
        "this version of MongoDB is not supported; upgrade it to 6.0 or newer".to_owned(),
    )
}

impl Failure {
    /// The lower, the more it tells.
    fn rank(self) -> u8 {
        match self {
            Failure::Certificate => 0,
            Failure::OurCertificate => 1,
            Failure::Unresolved => 2,
            Failure::Refused => 3,
            Failure::Ended => 4,
            Failure::TooLate => 5,
        }
    }

    fn account(self) -> Error {
        match self {
            Failure::Certificate => Error::Unusable(
                "the server's certificate is not trusted: name the file of the authority that signed it with tlsCAFile in MONGODB_URI, and see that the certificate is for the host that is named there and has not expired".to_owned(),
            ),
            Failure::OurCertificate => Error::Unusable(
                "the server refuses the TLS connection: give a certificate that it accepts with tlsCertificateKeyFile in MONGODB_URI".to_owned(),
            ),
            Failure::Unresolved => Error::Unavailable(
                "a host in MONGODB_URI has no address yet: see that its name is right and that the DNS knows it".to_owned(),
            ),
            Failure::Refused => Error::Unavailable("nobody listens there: connection refused".to_owned()),
            Failure::Ended => Error::Unavailable("the connection was ended by the other side".to_owned()),
            Failure::TooLate => Error::Unavailable("no answer in time".to_owned()),
        }
    }
}

pub(super) fn of_reply(reply: &Document) -> Heard {
    let says = |name: &str| reply.get_bool(name).unwrap_or(false);
    let role = if whole(reply.get("maxWireVersion")) < OLDEST_WIRE {
        Role::TooOld
    } else if reply.get("msg") == Some(&Bson::from("isdbgrid")) {
        Role::Router
    } else if says("isreplicaset") {
        Role::Uninitiated
    } else if !reply.contains_key("setName") {
        Role::Standalone
    } else if says("isWritablePrimary") || says("ismaster") {
        Role::Primary
    } else if says("secondary") {
        Role::Secondary
    } else {
        Role::Other
    };
    Heard::Reply {
        set: reply.get_str("setName").ok().map(str::to_owned),
        role,
    }
}

pub(super) fn of_failure(kind: &ErrorKind) -> Failure {
    let ErrorKind::Io(error) = kind else {
        return match kind {
            ErrorKind::DnsResolve { .. } => Failure::Unresolved,
            _ => Failure::Ended,
        };
    };
    if let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref()) {
        return match tls {
            rustls::Error::InvalidCertificate(_) => Failure::Certificate,
            rustls::Error::AlertReceived(_) => Failure::OurCertificate,
            _ => Failure::Ended,
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused,
        io::ErrorKind::TimedOut => Failure::TooLate,
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::InvalidData => Failure::Ended,
        // The system's resolver has no kind of its own.
        _ if error.to_string().starts_with("failed to lookup") => Failure::Unresolved,
        _ => Failure::TooLate,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    fn reply(set: Option<&str>, role: Role) -> Heard {
        Heard::Reply {
            set: set.map(str::to_owned),
            role,
        }
    }

    #[test]
    fn what_somebody_has_to_mend_is_told_from_what_passes() {
        let secondary = || reply(Some("rs0"), Role::Secondary);
        let down = || Heard::Failure(Failure::Refused);
        let ghost = || reply(None, Role::Uninitiated);
        for (heard, asked, direct, permanent, words) in [
            (
                vec![secondary()],
                Some("other"),
                false,
                true,
                "asks for the replica set \"other\" and its servers belong to \"rs0\"",
            ),
            (
                vec![reply(None, Role::Standalone)],
                Some("rs0"),
                false,
                true,
                "belongs to none",
            ),
            (
                vec![secondary(), secondary(), down()],
                Some("rs0"),
                false,
                false,
                "no primary, 2 of 3 members answer",
            ),
            (
                vec![secondary()],
                None,
                true,
                false,
                "leave directConnection out",
            ),
            (
                vec![ghost(), ghost()],
                Some("rs0"),
                false,
                false,
                "rs.initiate()",
            ),
            (
                vec![down(), Heard::Failure(Failure::Certificate)],
                None,
                false,
                true,
                "tlsCAFile",
            ),
            (
                vec![Heard::Failure(Failure::OurCertificate)],
                None,
                false,
                true,
                "tlsCertificateKeyFile",
            ),
            (
                vec![Heard::Failure(Failure::Unresolved)],
                None,
                false,
                false,
                "has no address yet",
            ),
            (
                vec![down(), down()],
                None,
                false,
                false,
                "connection refused",
            ),
            (
                vec![reply(Some("rs0"), Role::TooOld)],
                None,
                false,
                true,
                "upgrade it to 6.0",
            ),
        ] {
            let error = account(&heard, asked, direct).unwrap_or(Error::HistoryLost);
            assert!(error.to_string().contains(words), "{heard:?}: {error}");
            assert_eq!(!error.is_transient(), permanent, "{heard:?}: {error}");
        }
        for fine in [
            vec![],
            vec![reply(Some("rs0"), Role::Primary), secondary()],
            vec![reply(None, Role::Router)],
        ] {
            let asked = fine
                .iter()
                .any(|heard| *heard == secondary())
                .then_some("rs0");
            assert!(account(&fine, asked, false).is_none(), "{fine:?}");
        }
    }

    #[test]
    fn a_servers_greeting_says_what_it_is() {
        let greeting = |with: Document| {
            let mut reply = doc! { "maxWireVersion": 17, "isWritablePrimary": false };
            reply.extend(with);
            match of_reply(&reply) {
                Heard::Reply { role, .. } => role,
                heard => panic!("{heard:?}"),
            }
        };
        for (with, role) in [
            (
                doc! { "maxWireVersion": 13, "setName": "rs0" },
                Role::TooOld,
            ),
            (doc! { "msg": "isdbgrid" }, Role::Router),
            (doc! { "isreplicaset": true }, Role::Uninitiated),
            (doc! { "isWritablePrimary": true }, Role::Standalone),
            (
                doc! { "isWritablePrimary": true, "setName": "rs0" },
                Role::Primary,
            ),
            (
                doc! { "secondary": true, "setName": "rs0" },
                Role::Secondary,
            ),
            (doc! { "arbiterOnly": true, "setName": "rs0" }, Role::Other),
        ] {
            assert_eq!(greeting(with.clone()), role, "{with}");
        }
    }
}
