//! Identities: who there is, by what each is known, and which rights each has. Pure: what the file
//! of `ARCHD_AUTH_FILE` says, line by line.

use std::{collections::HashMap, fmt, net::IpAddr, sync::Arc};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    identity::{Credential, Who},
    right::Rights,
};
use crate::peer::Certificate;

/// The longest name, in bytes.
const LONGEST_NAME: usize = 256;
/// The most identities: each call is compared with all of them.
const MOST: usize = 1_000;

/// The SHA-256 of a token.
pub(crate) type TokenHash = [u8; 32];

/// Everybody who is known.
#[derive(Debug, Default)]
pub struct Identities(Vec<Identity>);

#[derive(Debug)]
struct Identity {
    name: Arc<str>,
    rights: Rights,
    known_by: KnownBy,
}

/// What somebody is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum KnownBy {
    Token(TokenHash),
    /// A DNS name of a certificate, in small letters.
    Dns(String),
    /// A URI of a certificate.
    Uri(String),
}

/// What is wrong with a line. It never repeats what could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, and what mends it.
    pub fault: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl Identities {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Every line with a fault, not only the first.
    pub fn parse(text: &str) -> Result<Identities, Vec<BadLine>> {
        let mut identities = Vec::new();
        let mut bad = Vec::new();
        let mut lines: HashMap<KnownBy, usize> = HashMap::new();
        for (at, text) in text.lines().enumerate() {
            let line = at + 1;
            // No name begins with #, and a URI may have one inside.
            let fields = text.split_whitespace();
            let fields: Vec<&str> = fields.take_while(|it| !it.starts_with('#')).collect();
            let identity = match fields[..] {
                [] => continue,
                ["token", name, rights, hash] => token(name, rights, hash),
                ["san", name, rights] => san(name, rights),
                ["token", ..] => Err("a token's line is `token NAME RIGHT SHA256`; `archctl auth token new` prints one".to_owned()),
                ["san", ..] => Err("the line of a certificate's name is `san NAME RIGHT`".to_owned()),
                _ => Err("a line begins with `token`, `san` or #".to_owned()),
            };
            let identity = identity.and_then(|(name, rights, known_by)| {
                let rights = Rights::parse(rights).ok_or_else(|| {
                    format!(
                        "the right of {name} is unknown; give one of {}, or several with commas between them",
                        Rights::names()
                    )
                })?;
                match lines.get(&known_by) {
                    Some(first) => Err(format!("{name} is known by what line {first} has already")),
                    None => Ok((name, rights, known_by)),
                }
            });
            match identity {
                Ok(_) if identities.len() == MOST => {
                    let fault = format!("there may be {MOST} identities, and no more");
                    bad.push(BadLine { line, fault });
                    break;
                }
                Ok((name, rights, known_by)) => {
                    lines.insert(known_by.clone(), line);
                    identities.push(Identity {
                        name: name.into(),
                        rights,
                        known_by,
                    });
                }
                Err(fault) => bad.push(BadLine { line, fault }),
            }
        }
        match bad.is_empty() {
            true => Ok(Identities(identities)),
            false => Err(bad),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who shows this, if it is somebody. A certificate with several names that are known has the
    /// rights of them all, and the first name.
    pub(super) fn who(&self, credential: &Credential) -> Option<Who> {
        match credential {
            Credential::Token(hash) => self.by_token(hash),
            Credential::Certificate(peer) => self.by_certificate(peer.certificate.as_ref()?),
        }
    }

    /// All tokens are compared, and each to its end, so that the time it takes tells nothing.
    fn by_token(&self, hash: &TokenHash) -> Option<Who> {
        let mut found = None;
        for identity in &self.0 {
            if let KnownBy::Token(known) = &identity.known_by
                && bool::from(known.ct_eq(hash))
            {
                found = Some(identity);
            }
        }
        found.map(|identity| identity.who(identity.rights))
    }

    fn by_certificate(&self, certificate: &Certificate) -> Option<Who> {
        let has = |identity: &&Identity| match &identity.known_by {
            KnownBy::Token(_) => false,
            KnownBy::Dns(known) => certificate
                .dns
                .iter()
                .any(|it| it.eq_ignore_ascii_case(known)),
            KnownBy::Uri(known) => certificate.uris.contains(known),
        };
        let mut found = self.0.iter().filter(has);
        let first = found.next()?;
        let rights = found.fold(first.rights, |all, it| all.and(it.rights));
        Some(first.who(rights))
    }
}

impl Identity {
    fn who(&self, rights: Rights) -> Who {
        Who {
            name: self.name.clone(),
            rights,
        }
    }
}

/// A name, its rights as they stand there, and what it is known by.
type Read<'a> = Result<(&'a str, &'a str, KnownBy), String>;

fn token<'a>(name: &'a str, rights: &'a str, hash: &str) -> Read<'a> {
    check_name(name)?;
    let mut bytes = TokenHash::default();
    hex::decode_to_slice(hash, &mut bytes).map_err(|_| {
        format!(
            "the SHA-256 of {name}'s token is not 64 hexadecimal digits; `archctl auth token new` prints it beside the token, which itself does not belong here"
        )
    })?;
    match bytes == *Sha256::digest("") {
        true => Err(format!(
            "the SHA-256 of {name}'s token is that of no text at all"
        )),
        false => Ok((name, rights, KnownBy::Token(bytes))),
    }
}

fn san<'a>(name: &'a str, rights: &'a str) -> Read<'a> {
    check_name(name)?;
    let known_by = match name.contains(':') {
        true if name.parse::<IpAddr>().is_err() => KnownBy::Uri(name.to_owned()),
        _ => KnownBy::Dns(name.to_ascii_lowercase()),
    };
    let is_dns = |name: &str| {
        let of_dns = |c: char| c.is_ascii_alphanumeric() || ['-', '.', '_'].contains(&c);
        name.chars().all(of_dns) && name.parse::<IpAddr>().is_err()
    };
    match &known_by {
        KnownBy::Dns(name) if !is_dns(name) => Err(
            "a certificate is known by a DNS name, without wildcards, or by a URI among its subject alternative names"
                .to_owned(),
        ),
        _ => Ok((name, rights, known_by)),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_name = name.len() <= LONGEST_NAME && name.bytes().all(|it| it.is_ascii_graphic());
    match is_name {
        true => Ok(()),
        false => Err(format!(
            "the name is not from 1 to {LONGEST_NAME} visible ASCII characters"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::{access::right::Right, peer::Peer};

    fn hash(token: &str) -> String {
        hex::encode(Sha256::digest(token))
    }

    fn by_token(identities: &Identities, token: &str) -> Option<(String, String)> {
        let credential = Credential::Token(Sha256::digest(token).into());
        let who = identities.who(&credential)?;
        Some((who.name.to_string(), who.rights.to_string()))
    }

    fn by_names(identities: &Identities, dns: &[&str], uris: &[&str]) -> Option<(String, String)> {
        let owned = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
        let certificate = Certificate {
            dns: owned(dns),
            uris: owned(uris),
            expires: SystemTime::UNIX_EPOCH,
        };
        let peer = Peer {
            address: ([127, 0, 0, 1], 1).into(),
            certificate: Some(certificate),
        };
        let who = identities.who(&Credential::Certificate(Arc::new(peer)))?;
        Some((who.name.to_string(), who.rights.to_string()))
    }

    #[test]
    fn each_is_known_by_its_token_or_by_a_name_of_its_certificate() {
        let text = format!(
            "# who may what\n\
             \n\
             token billing archive {}\n\
             token\tbilling  archive,read\t{}   # the next one\n\
             san Night.Batch.internal operate\n\
             san spiffe://example.org/ns/prod#1 read  # a URI\n\
             san archctl.internal destroy\r\n",
            hash("one"),
            hash("two").to_uppercase(),
        );
        let identities = Identities::parse(&text).unwrap();
        assert_eq!(identities.len(), 5);
        let somebody = |name: &str, rights: &str| Some((name.to_owned(), rights.to_owned()));
        assert_eq!(by_token(&identities, "one"), somebody("billing", "archive"));
        assert_eq!(
            by_token(&identities, "two"),
            somebody("billing", "read,archive")
        );
        for token in ["", "One", "three", &hash("one")] {
            assert_eq!(by_token(&identities, token), None, "{token}");
        }
        let all = "read,archive,operate";
        let batch = somebody("Night.Batch.internal", all);
        assert_eq!(by_names(&identities, &["NIGHT.batch.internal"], &[]), batch);
        let uri = "spiffe://example.org/ns/prod#1";
        assert_eq!(by_names(&identities, &["x"], &[uri]), somebody(uri, "read"));
        let both = by_names(&identities, &["archctl.internal"], &[uri]);
        assert_eq!(both, somebody(uri, "read,archive,operate,destroy"));
        for (dns, uris) in [
            (&[][..], &[][..]),
            (&["batch.internal"], &[]),
            (&["*.batch.internal", "billing"], &[]),
            (&[uri], &["night.batch.internal"]),
            (&[], &["SPIFFE://example.org/ns/prod#1"]),
        ] {
            assert_eq!(by_names(&identities, dns, uris), None, "{dns:?} {uris:?}");
        }
    }

    #[test]
    fn every_bad_line_is_named_with_its_number_and_what_mends_it() {
        let good = hash("good");
        let table = [
            (format!("token a {good}"), "token NAME RIGHT SHA256"),
            (
                format!("token a read {good} more"),
                "token NAME RIGHT SHA256",
            ),
            ("san a".to_owned(), "san NAME RIGHT"),
            ("san a read more".to_owned(), "san NAME RIGHT"),
            (format!("user a read {good}"), "begins with"),
            (format!("Token a read {good}"), "begins with"),
            (
                format!("token a write {good}"),
                "read, archive, operate, destroy",
            ),
            (
                "token a read archd_secret".to_owned(),
                "64 hexadecimal digits",
            ),
            (
                format!("token a read {}", &good[..63]),
                "64 hexadecimal digits",
            ),
            (format!("token a read {good}0"), "64 hexadecimal digits"),
            (format!("token a read {}", hash("")), "no text at all"),
            (format!("token caf\u{e9} read {good}"), "visible ASCII"),
            (format!("token a\u{7} read {good}"), "visible ASCII"),
            (format!("token {} read {good}", "x".repeat(257)), "256"),
            ("san *.internal read".to_owned(), "without wildcards"),
            ("san 10.0.0.1 read".to_owned(), "DNS name"),
            ("san ::1 read".to_owned(), "DNS name"),
            ("san a/b read".to_owned(), "DNS name"),
        ];
        let text: String = table.iter().map(|(line, _)| format!("{line}\n")).collect();
        let bad = Identities::parse(&text).unwrap_err();
        assert_eq!(bad.len(), table.len(), "{bad:#?}");
        for ((at, (line, words)), bad) in table.iter().enumerate().zip(&bad) {
            assert_eq!(bad.line, at + 1, "{line}");
            assert!(bad.fault.contains(words), "{line}: {bad}");
            assert!(!bad.to_string().contains("archd_secret"), "{bad}");
        }
    }

    #[test]
    fn nobody_is_there_twice_and_no_file_is_without_end() {
        let (one, two) = (hash("one"), hash("two"));
        let text = format!(
            "token a read {one}\ntoken a read {two}\ntoken b operate {}\nsan x.internal read\nsan X.internal operate\n",
            one.to_uppercase()
        );
        let bad = Identities::parse(&text).unwrap_err();
        let told: Vec<String> = bad.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 3: b is known by what line 1 has already",
                "line 5: X.internal is known by what line 4 has already"
            ]
        );
        let line = |at: usize| format!("san host-{at} read\n");
        let text: String = (0..MOST).map(line).collect();
        assert_eq!(Identities::parse(&text).unwrap().len(), MOST);
        let bad = Identities::parse(&(text + &line(MOST))).unwrap_err();
        assert_eq!(bad[0].line, MOST + 1, "{bad:?}");
    }

    #[test]
    fn a_file_without_a_line_is_one_without_anybody() {
        for text in ["", "\n\n", "# nobody\n"] {
            assert!(Identities::parse(text).unwrap().is_empty(), "{text:?}");
        }
        assert!(!Rights::default().allow(Right::Read));
    }
}
