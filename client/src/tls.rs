//! TLS: whom archctl believes, and what it identifies itself by.

use std::{fmt::Display, fs, path::Path};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use crate::{
    exit::Exit,
    fault::{Fault, Report},
    globals::Globals,
};

/// What TLS begins with; nothing where archd is asked in plain text.
///
/// The files are read here and not where the connection begins, so that a bad one is named.
pub(crate) fn of(globals: &Globals) -> Result<Option<ClientTlsConfig>, Fault> {
    let given = [
        ("--ca", &globals.ca),
        ("--cert", &globals.cert),
        ("--key", &globals.key),
    ];
    if !globals.endpoint.is_tls() {
        return match given.iter().find(|(_, file)| file.is_some()) {
            None => Ok(None),
            Some((flag, _)) => Err(Fault::told(
                Exit::Usage,
                format!("{flag} is for TLS, and {} is plain text", globals.endpoint),
                "write https:// before the address in --endpoint, ARCHCTL_ENDPOINT or the profile",
            )),
        };
    }
    let config = ClientTlsConfig::new();
    let config = match &globals.ca {
        Some(path) => config.ca_certificate(Certificate::from_pem(certificates("--ca", path)?)),
        None => config.with_native_roots(),
    };
    match (&globals.cert, &globals.key) {
        (None, None) => Ok(Some(config)),
        (Some(cert), Some(key)) => {
            let identity = Identity::from_pem(certificates("--cert", cert)?, private_key(key)?);
            Ok(Some(config.identity(identity)))
        }
        (Some(_), None) => Err(half("--cert", "--key")),
        (None, Some(_)) => Err(half("--key", "--cert")),
    }
}

/// What the files hold can't be used together.
pub(crate) fn unusable(error: &tonic::transport::Error) -> Fault {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |it| (*it).source());
    Fault::Told(Report {
        exit: Exit::Usage,
        what: "a connection over TLS can't be made with these settings".to_owned(),
        why: causes.skip(1).map(ToString::to_string).collect(),
        hint: Some(
            "give a certificate and its own key with --cert and --key, and with --ca the authority of archd's certificate where the system knows none"
                .to_owned(),
        ),
    })
}

fn certificates(flag: &str, path: &Path) -> Result<Vec<u8>, Fault> {
    let pem = read(flag, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(bad(flag, path, "it holds no certificate as PEM")),
        Ok(_) => Ok(pem),
        Err(error) => Err(bad(flag, path, error)),
    }
}

fn private_key(path: &Path) -> Result<Vec<u8>, Fault> {
    let pem = read("--key", path)?;
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(_) => Ok(pem),
        Err(_) => Err(bad(
            "--key",
            path,
            "it holds no private key as PEM without a passphrase",
        )),
    }
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|error| bad(flag, path, error))
}

fn bad(flag: &str, path: &Path, why: impl Display) -> Fault {
    Fault::Told(Report {
        exit: Exit::Usage,
        what: format!("the file in {flag}, {}, can't be used", path.display()),
        why: vec![why.to_string()],
        hint: Some(format!(
            "name another one with {flag}, its variable or the profile"
        )),
    })
}

fn half(given: &str, other: &str) -> Fault {
    Fault::told(
        Exit::Usage,
        format!("{given} is of no use without {other}"),
        "give both, the certificate and its private key",
    )
}
