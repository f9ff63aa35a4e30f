//! Certificates for tests: authorities of their own, and what they vouch for.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// One of this name, with a key of its own: another one of the same name is another authority.
    ///
    /// # Errors
    ///
    /// When the system has no randomness for a key.
    pub fn new(name: &str) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        Ok(Authority {
            certificate: params.self_signed(&key)?,
            issuer: Issuer::new(params, key),
        })
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Vouches for a subject, with a new key.
    ///
    /// # Errors
    ///
    /// When the system has no randomness for a key.
    pub fn issue(&self, subject: Subject) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let certificate = subject.0.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Who or what a certificate is for.
#[derive(Clone, Debug)]
pub struct Subject(CertificateParams);

impl Subject {
    /// A server by these DNS names and IP addresses.
    ///
    /// # Errors
    ///
    /// When one of them can't stand in a certificate.
    pub fn server(names: &[&str]) -> Result<Subject> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names)?;
        Ok(Subject::of(
            "server",
            params,
            ExtendedKeyUsagePurpose::ServerAuth,
        ))
    }

    /// A client of this common name, without any other.
    pub fn client(name: &str) -> Subject {
        let params = CertificateParams::default();
        Subject::of(name, params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn of(name: &str, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Subject {
        params.distinguished_name = named(name);
        params.extended_key_usages = vec![usage];
        Subject(params).valid(SystemTime::now() - DAY, SystemTime::now() + 30 * DAY)
    }

    /// With a DNS name among its subject alternative names.
    ///
    /// # Errors
    ///
    /// When it can't stand there.
    pub fn dns(mut self, name: &str) -> Result<Subject> {
        self.0
            .subject_alt_names
            .push(SanType::DnsName(name.try_into()?));
        Ok(self)
    }

    /// With a URI among them.
    ///
    /// # Errors
    ///
    /// When it can't stand there.
    pub fn uri(mut self, uri: &str) -> Result<Subject> {
        self.0.subject_alt_names.push(SanType::URI(uri.try_into()?));
        Ok(self)
    }

    /// With an organization in its name.
    pub fn organization(mut self, name: &str) -> Subject {
        self.0
            .distinguished_name
            .push(DnType::OrganizationName, name);
        self
    }

    /// Valid from a moment to another one, to the second.
    pub fn valid(mut self, from: SystemTime, to: SystemTime) -> Subject {
        self.0.not_before = from.into();
        self.0.not_after = to.into();
        self
    }

    /// Valid until yesterday.
    pub fn expired(self) -> Subject {
        let now = SystemTime::now();
        self.valid(now - 3 * DAY, now - DAY)
    }
}

/// A certificate with its key, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Issued {
    /// Writes `NAME.pem` and `NAME.key` into a folder, over what is there.
    ///
    /// # Errors
    ///
    /// When they can't be written.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        let certificate = file(folder, &format!("{name}.pem"), &self.certificate)?;
        let key = file(folder, &format!("{name}.key"), &self.key)?;
        Ok((certificate, key))
    }

    /// Both, one after the other, as mongod and its drivers read them from one file.
    pub fn combined(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

/// Writes a file into a folder, and says where it is.
///
/// # Errors
///
/// When it can't be written.
pub fn file(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}
