//! What a server proves itself by and whom it believes: made of the contents of its files.

use std::{fmt, path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use sha2::{Digest, Sha256};

use super::certificate::Validity;
use crate::{
    config::{
        Setting, TlsFiles,
        table::{TLS_CERT, TLS_CLIENT_CA, TLS_KEY},
    },
    files,
};

/// Why a file can't be gone by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {path} {wrong}; {mend}")]
pub struct BadTlsFile {
    setting: &'static str,
    path: String,
    wrong: String,
    mend: &'static str,
}

impl BadTlsFile {
    fn new(setting: &Setting, path: &Path, wrong: impl fmt::Display, mend: &'static str) -> Self {
        BadTlsFile {
            setting: setting.name,
            path: path.display().to_string(),
            wrong: wrong.to_string(),
            mend,
        }
    }
}

/// What the files hold.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    pub(super) fn read(named: &TlsFiles) -> Result<Contents, BadTlsFile> {
        let read = |setting: &Setting, path: &Path| {
            files::read(path).map_err(|error| {
                let mend = "give the path of a file that archd may read";
                BadTlsFile::new(setting, path, format!("can't be read: {error}"), mend)
            })
        };
        let client_ca = named.client_ca.as_deref();
        Ok(Contents {
            certificate: read(&TLS_CERT, &named.certificate)?,
            key: read(&TLS_KEY, &named.key)?,
            client_ca: client_ca.map(|ca| read(&TLS_CLIENT_CA, ca)).transpose()?,
        })
    }

    /// By this they are recognised, without the key being kept.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for part in [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.client_ca)
        {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

/// What connections begin with.
pub(super) struct Credentials {
    config: ServerConfig,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// When the server's certificate is valid.
    pub(super) validity: Validity,
    /// The digest of the contents.
    pub(super) made_of: [u8; 32],
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Credentials");
        shown.field("validity", &self.validity);
        shown.finish_non_exhaustive()
    }
}

impl Credentials {
    /// Makes them of these contents of the files, or says which one is wrong.
    pub(super) fn new(files: &TlsFiles, contents: &Contents) -> Result<Credentials, BadTlsFile> {
        const CHAIN: &str =
            "give the server's certificate and, after it, those between it and the root, as PEM";
        let bad_chain = |wrong: &str| BadTlsFile::new(&TLS_CERT, &files.certificate, wrong, CHAIN);
        let chain = certificates(&contents.certificate).map_err(|wrong| bad_chain(&wrong))?;
        let validity = Validity::of(&chain[0]).ok_or_else(|| bad_chain("holds no certificate"))?;

        let bad_key = |wrong: &str, mend| BadTlsFile::new(&TLS_KEY, &files.key, wrong, mend);
        let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|error| {
            let mend =
                "give the private key of the server's certificate as PEM, without a passphrase";
            bad_key(&in_words(&error, "private key"), mend)
        })?;

        let provider = Arc::new(ring::default_provider());
        let verifier = match (&files.client_ca, &contents.client_ca) {
            (Some(path), Some(ca)) => Some(verifier(path, ca, &provider)?),
            _ => None,
        };
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for both versions");
        let config = match &verifier {
            Some(verifier) => config.with_client_cert_verifier(verifier.clone()),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_single_cert(chain, key).map_err(|error| {
            let of = files.certificate.display();
            let wrong = match error {
                rustls::Error::InconsistentKeys(_) => {
                    format!("is not the key of the certificate in {of}")
                }
                error => format!("can't be used with the certificate in {of}: {error}"),
            };
            bad_key(&wrong, "give the key that the certificate was made for")
        })?;
        if verifier.is_some() {
            // A session that is taken up again brings its certificate along unverified.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Credentials {
            config,
            verifier,
            validity,
            made_of: contents.digest(),
        })
    }

    /// For connections on which this protocol is spoken.
    pub(super) fn config(&self, protocol: &[u8]) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }

    /// Whether a client is believed that shows this certificate and those after it, now.
    pub(super) fn vouch_for(&self, chain: &[CertificateDer<'_>]) -> bool {
        let (Some(verifier), [certificate, others @ ..]) = (&self.verifier, chain) else {
            return false;
        };
        let verified = verifier.verify_client_cert(certificate, others, UnixTime::now());
        verified.is_ok()
    }
}

/// Who believes clients that one of these authorities vouches for, and serves those that show no
/// certificate as well: they may have a token.
fn verifier(
    path: &Path,
    ca: &[u8],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, BadTlsFile> {
    const MEND: &str = "give the certificates of the authorities that vouch for clients, as PEM";
    let bad = |wrong: String| BadTlsFile::new(&TLS_CLIENT_CA, path, wrong, MEND);
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(ca).map_err(bad)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| {
            bad(format!(
                "has a certificate, number {}, that can't be used: {error}",
                at + 1
            ))
        })?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| bad(format!("can't be used: {error}")))
}

/// The certificates in a PEM file, one at least.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(in_words(&pem::Error::NoItemsFound, "certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(in_words(&error, "certificate")),
    }
}

/// What is wrong with a PEM file, without a word of what stands in it.
fn in_words(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("holds no {wanted}"),
        pem::Error::MissingSectionEnd { .. } => "ends within a section".to_owned(),
        pem::Error::Base64Decode(_) => "has a section that is no base64".to_owned(),
        _ => "is no PEM file".to_owned(),
    }
}

/// Reads bytes as what the files hold, a NUL between one and the next; see `crate::fuzz`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let contents = Contents {
        certificate: parts.next().unwrap_or_default(),
        key: parts.next().unwrap_or_default(),
        client_ca: parts.next(),
    };
    let files = TlsFiles {
        certificate: "certificate".into(),
        key: "key".into(),
        client_ca: contents.client_ca.as_ref().map(|_| "client_ca".into()),
    };
    match Credentials::new(&files, &contents) {
        Ok(credentials) => assert_eq!(credentials.made_of, contents.digest()),
        Err(bad) => {
            let told = bad.to_string();
            assert!(
                told.lines().count() == 1 && !told.contains("-----"),
                "{told:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use devkit::certificates::{Authority, Issued, Subject};

    use super::*;

    fn files() -> TlsFiles {
        TlsFiles {
            certificate: "server.pem".into(),
            key: "server.key".into(),
            client_ca: Some("clients.pem".into()),
        }
    }

    fn issued(authority: &Authority) -> Issued {
        authority
            .issue(Subject::server(&["localhost"]).unwrap())
            .unwrap()
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_its_fault() {
        let authority = Authority::new("authority").unwrap();
        let (own, other) = (issued(&authority), issued(&authority));
        let ca = authority.pem();
        let cut = &own.certificate[..own.certificate.len() / 2];
        let sealed = own.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let table = [
            (
                ("", own.key.as_str(), ca.as_str()),
                "ARCHD_TLS_CERT: server.pem holds no certificate",
            ),
            (
                (cut, &own.key, &ca),
                "ARCHD_TLS_CERT: server.pem ends within a section",
            ),
            (
                (&own.key, &own.key, &ca),
                "ARCHD_TLS_CERT: server.pem holds no certificate",
            ),
            (
                (&own.certificate, "", &ca),
                "ARCHD_TLS_KEY: server.key holds no private key",
            ),
            (
                (&own.certificate, &own.certificate, &ca),
                "ARCHD_TLS_KEY: server.key holds no private key",
            ),
            ((&own.certificate, &sealed, &ca), "without a passphrase"),
            (
                (&own.certificate, &other.key, &ca),
                "ARCHD_TLS_KEY: server.key is not the key of the certificate in server.pem",
            ),
            (
                (&own.certificate, &own.key, ""),
                "ARCHD_TLS_CLIENT_CA: clients.pem holds no certificate",
            ),
            (
                (
                    &own.certificate,
                    &own.key,
                    "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
                ),
                "ARCHD_TLS_CLIENT_CA: clients.pem has a section that is no base64",
            ),
            (
                (
                    &own.certificate,
                    &own.key,
                    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                ),
                "ARCHD_TLS_CLIENT_CA: clients.pem has a certificate, number 1, that can't be used",
            ),
        ];
        for ((certificate, key, ca), told) in table {
            let contents = Contents {
                certificate: certificate.into(),
                key: key.into(),
                client_ca: Some(ca.into()),
            };
            let bad = Credentials::new(&files(), &contents)
                .unwrap_err()
                .to_string();
            assert!(bad.contains(told), "{told}: {bad}");
            assert!(!bad.contains("BEGIN"), "{bad}");
        }
        let good = Contents {
            certificate: own.certificate.into(),
            key: own.key.into(),
            client_ca: Some(ca.into()),
        };
        assert!(Credentials::new(&files(), &good).is_ok());
    }

    #[test]
    fn contents_are_told_apart_by_every_part() {
        let contents = |certificate: &str, key: &str, client_ca: Option<&str>| {
            let contents = Contents {
                certificate: certificate.into(),
                key: key.into(),
                client_ca: client_ca.map(Into::into),
            };
            contents.digest()
        };
        let digests = [
            contents("ab", "c", None),
            contents("a", "bc", None),
            contents("ab", "c", Some("")),
            contents("ab", "", Some("c")),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert!(!digests[..at].contains(digest), "{at}");
        }
    }
}
