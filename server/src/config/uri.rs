//! Where MongoDB is: the one secret among the settings, and everything that can be wrong with how
//! it is written.
//!
//! What is wrong is said without repeating any part of the URI but the names of its options: a
//! password that is not escaped can make any other part hold a piece of it.

use std::{fmt, str::FromStr};

mod found;
pub(crate) mod options;

use self::{
    found::{Found, percent_decoded},
    options::Given,
};
use super::problem::BadValue;

/// A MongoDB URI, whose password no log can show: it has no `Display`, and its `Debug` is blank.
#[derive(Clone)]
pub struct MongodbUri(String);

/// Everything that is wrong with a URI, said without repeating it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the URI of MongoDB {}", .0.iter().map(|fault| fault.wrong.as_str()).collect::<Vec<_>>().join(", "))]
pub struct BadUri(pub Vec<BadValue>);

impl MongodbUri {
    /// The URI itself, for the driver alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it leads to MongoDB Atlas, by the names of its hosts.
    pub fn is_of_atlas(&self) -> bool {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let head = rest.split(['?', '/']).next().unwrap_or_default();
        let hosts = head.rsplit_once('@').map_or(head, |(_, hosts)| hosts);
        hosts.split(',').any(|host| {
            let name = host.split(':').next().unwrap_or_default();
            let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
            name.ends_with(ATLAS)
        })
    }
}

/// How the names of Atlas' hosts end.
const ATLAS: &str = ".mongodb.net";

impl fmt::Debug for MongodbUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MongodbUri(***)")
    }
}

impl FromStr for MongodbUri {
    type Err = BadUri;

    fn from_str(value: &str) -> Result<Self, BadUri> {
        match faults(value) {
            faults if faults.is_empty() => Ok(MongodbUri(value.to_owned())),
            faults => Err(BadUri(faults)),
        }
    }
}

/// What a URI of MongoDB begins with.
pub(crate) const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

/// What has to be escaped in a user and a password, besides `%`.
const RESERVED: [char; 7] = [':', '/', '?', '#', '[', ']', '@'];
/// What the name of a database can't have.
const NOT_IN_DATABASE: [char; 5] = ['/', '\\', ' ', '"', '$'];

/// Everything that is wrong with a URI.
pub(super) fn faults(uri: &str) -> Vec<BadValue> {
    let mut found = Found::default();
    let trimmed = uri.trim();
    if trimmed != uri {
        found.add("has blanks around it", "leave them out");
    } else if uri.contains(|c: char| c.is_whitespace() || c.is_control()) {
        found.add(
            "holds a blank",
            "write %20 for a blank in a password, and leave out any other",
        );
    }
    let scheme = SCHEMES.iter().find_map(|scheme| {
        let rest = trimmed.strip_prefix(scheme)?;
        (!rest.is_empty()).then_some((*scheme, rest))
    });
    let Some((scheme, rest)) = scheme else {
        found.add(
            "does not begin with mongodb:// or mongodb+srv:// and a host",
            "give mongodb://user:password@host:27017/?replicaSet=name",
        );
        return found.0;
    };
    let (head, options) = rest
        .split_once('?')
        .map_or((rest, None), |(head, options)| (head, Some(options)));
    // Without this, everything behind the question mark would be taken for options, and named.
    if !head.contains(['@', '/']) && options.is_some_and(|options| options.contains('@')) {
        found.add(
            "holds an unescaped `?` before its hosts",
            "write %3F for a ? in the user or the password",
        );
        return found.0;
    }
    let (user, hosts) = head
        .rsplit_once('@')
        .map_or((None, head), |(user, hosts)| (Some(user), hosts));
    let options = Given::all(options.unwrap_or_default(), &mut found);
    let mechanism = options::value(&options, "authmechanism");
    credentials(user, mechanism, &mut found);
    let (hosts, database) = hosts
        .split_once('/')
        .map_or((hosts, ""), |(hosts, database)| (hosts, database));
    let hosts = hosts_in(hosts, &mut found);
    if percent_decoded(database).is_none_or(|name| name.contains(NOT_IN_DATABASE)) {
        found.add(
            "names a database that no database can be named",
            "leave the database out of MONGODB_URI, or give the one that the user is kept in; MONGODB_DATABASE names that of the orders",
        );
    }
    let srv = scheme == SCHEMES[1];
    if srv && (hosts.len() != 1 || hosts.iter().any(|has_port| *has_port)) {
        found.add(
            "begins with mongodb+srv:// and names several hosts, or a port",
            "give the one name that the DNS knows, without a port; or begin with mongodb://",
        );
    }
    options::check(&options, hosts.len(), srv, &mut found);
    found.0
}

/// What is without effect in a URI that is good: a sentence each.
pub(super) fn warnings(uri: &str) -> Vec<String> {
    let options = uri.split_once('?').map_or("", |(_, options)| options);
    options::without_effect(&Given::all(options, &mut Found::default()))
}

fn credentials(given: Option<&str>, mechanism: Option<&str>, found: &mut Found) {
    let by_certificate = mechanism.is_some_and(|mechanism| mechanism == "MONGODB-X509");
    let Some(given) = given else {
        if mechanism.is_some() && !by_certificate {
            found.add(
                "gives `authMechanism` and no user",
                "give the user and the password before the hosts, with @ behind them",
            );
        }
        return;
    };
    let (user, password) = given
        .split_once(':')
        .map_or((given, None), |(user, password)| (user, Some(password)));
    if user.is_empty() {
        found.add(
            "names no user before the @",
            "give the user, or leave the @ out",
        );
    }
    if by_certificate && password.is_some() {
        found.add(
            "gives a password to `authMechanism=MONGODB-X509`",
            "leave the password out: the certificate is enough",
        );
    }
    for (part, text) in [("user", user), ("password", password.unwrap_or_default())] {
        for reserved in RESERVED
            .into_iter()
            .filter(|reserved| text.contains(*reserved))
        {
            found.add(
                format!("holds an unescaped `{reserved}` in the {part}"),
                format!("write %{:02X} for it", u32::from(reserved)),
            );
        }
        let escapes = text.split('%').skip(1);
        let whole = |escape: &str| {
            let digits = escape.as_bytes().get(..2);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        if !escapes.clone().all(whole) {
            found.add(
                format!("holds an unescaped `%` in the {part}"),
                "write %25 for it",
            );
        } else if percent_decoded(text).is_none() {
            found.add(
                format!("holds escapes in the {part} that are not UTF-8"),
                "escape each byte of its UTF-8 form, such as %C3%A9 for é",
            );
        }
    }
}

/// For each host whether it has a port.
fn hosts_in(hosts: &str, found: &mut Found) -> Vec<bool> {
    hosts
        .split(',')
        .enumerate()
        .map(|(index, host)| host_in(index + 1, host, found))
        .collect()
}

fn host_in(nth: usize, host: &str, found: &mut Found) -> bool {
    if host.ends_with(".sock") {
        return false;
    }
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, rest))
                if name.parse::<std::net::Ipv6Addr>().is_ok()
                    && (rest.is_empty() || rest.starts_with(':')) =>
            {
                (name, rest.strip_prefix(':'))
            }
            _ => {
                found.add(
                    format!("has no IPv6 address in the brackets of host {nth}"),
                    "give [::1]:27017, or a name",
                );
                return false;
            }
        },
        None => match host.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                found.add(
                    format!("has more than one colon in host {nth}"),
                    "put brackets around an IPv6 address, as in [::1]:27017",
                );
                return true;
            }
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    if name.is_empty() {
        found.add(
            format!("has no name for host {nth}"),
            "give host:27017, with a comma between two hosts",
        );
    } else if !name
        .chars()
        .all(|c| c.is_alphanumeric() || "-._:".contains(c))
    {
        found.add(
            format!("has a character in host {nth} that a host can't have"),
            "give host:27017, with a comma between two hosts",
        );
    }
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        found.add(
            format!("has a port in host {nth} that is no number from 1 to 65535"),
            "give host:27017; if that is a part of the user or the password, escape what is not a letter or a digit there, as in %40 for @",
        );
    }
    port.is_some()
}

#[cfg(test)]
pub(crate) mod tests;
