//! Who calls, by what a connection and a request show.

use std::sync::Arc;

use base64::{Engine, alphabet, engine};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use sha2::{Digest, Sha256};

use super::{identities::TokenHash, right::Rights};
use crate::peer::Peer;

/// The shortest token, in characters: 128 bits in base64. What is shorter can be guessed from its
/// SHA-256.
const SHORTEST_TOKEN: usize = 22;

/// With or without the signs that fill it up.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// Somebody who is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) name: Arc<str>,
    pub(crate) rights: Rights,
}

/// What somebody may be known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// The hash of a token: the token itself is kept nowhere.
    Token(TokenHash),
    /// The certificate of this peer, which has one.
    Certificate(Arc<Peer>),
}

/// How a token may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schemes {
    Bearer,
    /// Also as the password of HTTP Basic, beside any user: browsers send nothing else with a page
    /// or an event stream that somebody opens.
    BearerOrBasic,
}

/// Why nobody is known by what was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unidentified {
    #[error("the call does not say who makes it")]
    Nothing,
    #[error("the header `authorization` holds no token that can be read")]
    BadHeader,
    #[error("there is more than one header `authorization`")]
    TwoHeaders,
    #[error("a token has at least {SHORTEST_TOKEN} characters")]
    ShortToken,
    #[error("the token is not known")]
    UnknownToken,
    #[error(
        "the client certificate has no DNS name and no URI among its subject alternative names"
    )]
    NamelessCertificate,
    #[error("no name of the client certificate is known")]
    UnknownCertificate,
    #[error("who made the call is no longer known, or no longer has the right to it")]
    Removed,
}

/// What a request shows. A token counts before a certificate, which may be that of a proxy on the
/// way.
pub(super) fn shown(
    peer: Option<&Arc<Peer>>,
    headers: &HeaderMap,
    schemes: Schemes,
) -> Result<Credential, Unidentified> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (Some(_), Some(_)) => Err(Unidentified::TwoHeaders),
        (Some(header), None) => token(header, schemes).map(Credential::Token),
        (None, _) => {
            let peer = peer.filter(|peer| peer.certificate.is_some());
            let peer = peer.ok_or(Unidentified::Nothing)?;
            Ok(Credential::Certificate(peer.clone()))
        }
    }
}

impl Credential {
    /// Why nobody is known by it, where nobody is.
    pub(super) fn unknown(&self) -> Unidentified {
        let Credential::Certificate(peer) = self else {
            return Unidentified::UnknownToken;
        };
        let certificate = peer.certificate.as_ref();
        let has_names = certificate.is_some_and(|it| !it.dns.is_empty() || !it.uris.is_empty());
        match has_names {
            true => Unidentified::UnknownCertificate,
            false => Unidentified::NamelessCertificate,
        }
    }
}

fn token(header: &HeaderValue, schemes: Schemes) -> Result<TokenHash, Unidentified> {
    let text = header.to_str().map_err(|_| Unidentified::BadHeader)?;
    let (scheme, given) = text.split_once(' ').ok_or(Unidentified::BadHeader)?;
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return hash(given.as_bytes());
    }
    if schemes != Schemes::BearerOrBasic || !scheme.eq_ignore_ascii_case("basic") {
        return Err(Unidentified::BadHeader);
    }
    let pair = BASE64.decode(given).map_err(|_| Unidentified::BadHeader)?;
    let colon = pair.iter().position(|it| *it == b':');
    hash(&pair[colon.ok_or(Unidentified::BadHeader)? + 1..])
}

fn hash(token: &[u8]) -> Result<TokenHash, Unidentified> {
    match token.len() < SHORTEST_TOKEN {
        true => Err(Unidentified::ShortToken),
        false => Ok(Sha256::digest(token).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::peer::Certificate;

    const TOKEN: &str = "0123456789abcdef:012345";

    fn peer(certificate: Option<Certificate>) -> Arc<Peer> {
        Arc::new(Peer {
            address: ([127, 0, 0, 1], 1).into(),
            certificate,
        })
    }

    fn certificate(dns: &[&str]) -> Option<Certificate> {
        Some(Certificate {
            dns: dns.iter().map(|&it| it.to_owned()).collect(),
            uris: Vec::new(),
            expires: SystemTime::UNIX_EPOCH,
        })
    }

    #[test]
    fn a_token_is_read_from_its_header_as_each_edge_takes_it() {
        let hash = || Ok(Credential::Token(Sha256::digest(TOKEN).into()));
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair));
        let unpadded = basic(&format!("a:{TOKEN}"))
            .trim_end_matches('=')
            .to_owned();
        let bad = || Err(Unidentified::BadHeader);
        let table = [
            (format!("Bearer {TOKEN}"), hash(), hash()),
            (format!("bEARER   {TOKEN} "), hash(), hash()),
            (basic(&format!(":{TOKEN}")), bad(), hash()),
            (basic(&format!("anybody:{TOKEN}")), bad(), hash()),
            (unpadded, bad(), hash()),
            (basic(TOKEN), bad(), Err(Unidentified::ShortToken)),
            (basic("nothing"), bad(), bad()),
            ("Basic ###".to_owned(), bad(), bad()),
            (format!("Digest {TOKEN}"), bad(), bad()),
            (TOKEN.to_owned(), bad(), bad()),
            ("Bearer".to_owned(), bad(), bad()),
            (String::new(), bad(), bad()),
            (
                format!("Bearer {}", &TOKEN[..21]),
                Err(Unidentified::ShortToken),
                Err(Unidentified::ShortToken),
            ),
        ];
        for (header, of_grpc, of_http) in table {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            let shown = |schemes| shown(None, &headers, schemes);
            assert_eq!(shown(Schemes::Bearer), of_grpc, "{header}");
            assert_eq!(shown(Schemes::BearerOrBasic), of_http, "{header}");
        }
    }

    #[test]
    fn a_token_counts_before_a_certificate_and_two_count_for_nothing() {
        let with = peer(certificate(&["a.internal"]));
        let mut headers = HeaderMap::new();
        let shown =
            |peer: &Arc<Peer>, headers: &HeaderMap| shown(Some(peer), headers, Schemes::Bearer);
        let by_certificate = Ok(Credential::Certificate(with.clone()));
        assert_eq!(shown(&with, &headers), by_certificate);
        assert_eq!(shown(&peer(None), &headers), Err(Unidentified::Nothing));
        let bearer: HeaderValue = format!("Bearer {TOKEN}").parse().unwrap();
        headers.insert(AUTHORIZATION, bearer.clone());
        let by_token = Ok(Credential::Token(Sha256::digest(TOKEN).into()));
        assert_eq!(shown(&with, &headers), by_token);
        headers.append(AUTHORIZATION, bearer);
        assert_eq!(shown(&with, &headers), Err(Unidentified::TwoHeaders));
    }

    #[test]
    fn who_is_unknown_is_told_by_what_was_shown() {
        let by = |names: &[&str]| Credential::Certificate(peer(certificate(names))).unknown();
        assert_eq!(by(&["a.internal"]), Unidentified::UnknownCertificate);
        assert_eq!(by(&[]), Unidentified::NamelessCertificate);
        assert_eq!(
            Credential::Token([0; 32]).unknown(),
            Unidentified::UnknownToken
        );
    }
}
