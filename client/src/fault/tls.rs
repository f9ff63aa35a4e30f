//! What a fault of TLS is mended by: how the handshake failed says which side is wrong.

use std::{error::Error, io, iter::successors};

use rustls::{AlertDescription, CertificateError};
use tonic::Status;

use crate::values::Address;

/// Whether it is one, which does not pass by itself.
pub(super) fn is_fault(status: &Status) -> bool {
    causes(status).any(|cause| of_tls(cause).is_some() || refuses_plain_text(cause))
}

/// What is to be done about it, if it is one.
pub(super) fn mend(status: &Status, endpoint: &Address) -> Option<String> {
    if let Some(error) = causes(status).find_map(of_tls) {
        return of_handshake(error, endpoint);
    }
    if causes(status).any(refuses_plain_text) {
        return Some(
            "TLS is spoken there: write https:// before the address, and name the authority of archd's certificate with --ca"
                .to_owned(),
        );
    }
    (endpoint.is_tls() && causes(status).any(is_cut)).then(|| {
        format!(
            "what listens at {endpoint} ended the handshake: does it speak TLS? For plain text write http://"
        )
    })
}

/// What may be to be done where a connection over TLS has begun and ended: by TLS 1.3 a client goes
/// on before it hears that its certificate is refused.
pub(super) fn guess(status: &Status, endpoint: &Address) -> Option<String> {
    let has_connected = !causes(status).any(|cause| cause.is::<tonic::ConnectError>());
    (endpoint.is_tls() && has_connected).then(|| {
        "archd has stopped, or refused the certificate in --cert: that has to be valid, and its authority to be one of those in ARCHD_TLS_CLIENT_CA; the log of archd says which"
            .to_owned()
    })
}

fn causes(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(status.source(), |cause| (*cause).source())
}

fn refuses_plain_text(cause: &(dyn Error + 'static)) -> bool {
    let error = cause.downcast_ref::<h2::Error>();
    error.and_then(h2::Error::reason) == Some(h2::Reason::INADEQUATE_SECURITY)
}

fn is_cut(cause: &(dyn Error + 'static)) -> bool {
    let error = cause.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// The fault of TLS behind an error, which may lie in one of the system's.
fn of_tls<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(error) = cause.downcast_ref() {
        return Some(error);
    }
    if let Some(error) = cause.downcast_ref::<h2::Error>() {
        return of_tls(error.get_io()?);
    }
    let inner = cause.downcast_ref::<io::Error>()?.get_ref()?;
    of_tls(inner)
}

fn of_handshake(error: &rustls::Error, endpoint: &Address) -> Option<String> {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    let mend = match error {
        InvalidCertificate(fault) => of_certificate(fault),
        InvalidMessage(_) => format!(
            "what listens at {endpoint} speaks no TLS: write http:// for plain text, or have archd speak TLS (ARCHD_TLS_CERT)"
        ),
        AlertReceived(AlertDescription::NoApplicationProtocol) => format!(
            "what listens at {endpoint} speaks TLS and no gRPC: is it the port of HTTP?"
        ),
        AlertReceived(_) => "archd refuses the certificate in --cert: it has to be valid, and its authority to be one of those in ARCHD_TLS_CLIENT_CA".to_owned(),
        _ => return None,
    };
    Some(mend)
}

fn of_certificate(fault: &CertificateError) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match fault {
        // The latter comes of another authority of the same name.
        UnknownIssuer | BadSignature => "no authority that archctl believes vouches for archd's certificate: name the file with the certificate of the one that does with --ca or ARCHCTL_CA",
        NotValidForName | NotValidForNameContext { .. } => "archd's certificate is for other names: use one of them in --endpoint, or have the certificate made for this one as well",
        Expired | ExpiredContext { .. } => "archd's certificate has expired, if this machine's clock is right: a new one in the place of ARCHD_TLS_CERT is read by itself",
        NotValidYet | NotValidYetContext { .. } => "archd's certificate is not valid yet, if this machine's clock is right",
        _ => "the certificate that archd shows can't be used: have another one made",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::address;

    fn mended(error: impl Into<Box<dyn Error + Send + Sync>>) -> Option<String> {
        let status = Status::from_error(error.into());
        mend(&status, &address("https://archive.internal").unwrap())
    }

    #[test]
    fn each_fault_of_a_handshake_has_its_mend() {
        use rustls::{Error::*, InvalidMessage as Message};
        let table = [
            (InvalidCertificate(CertificateError::UnknownIssuer), "--ca"),
            (
                InvalidCertificate(CertificateError::NotValidForName),
                "other names",
            ),
            (InvalidCertificate(CertificateError::Expired), "has expired"),
            (
                InvalidCertificate(CertificateError::NotValidYet),
                "not valid yet",
            ),
            (
                InvalidCertificate(CertificateError::BadEncoding),
                "can't be used",
            ),
            (InvalidMessage(Message::InvalidContentType), "speaks no TLS"),
            (
                AlertReceived(AlertDescription::NoApplicationProtocol),
                "no gRPC",
            ),
            (AlertReceived(AlertDescription::UnknownCA), "--cert"),
        ];
        for (error, told) in table {
            // As it comes from the transport: within an error of the system.
            let mend = mended(io::Error::new(io::ErrorKind::InvalidData, error.clone())).unwrap();
            assert!(mend.contains(told), "{error}: {mend}");
            let within = io::Error::other(io::Error::other(error));
            assert_eq!(mended(within), Some(mend));
        }
    }

    #[test]
    fn what_has_nothing_to_do_with_tls_is_left_to_others() {
        assert_eq!(
            mended(io::Error::from(io::ErrorKind::ConnectionRefused)),
            None
        );
        assert_eq!(mended(rustls::Error::General("no".to_owned())), None);
        let cut = io::ErrorKind::UnexpectedEof;
        let plain = address("http://archive.internal").unwrap();
        let status = Status::from_error(Box::new(io::Error::from(cut)));
        assert_eq!(mend(&status, &plain), None);
        assert!(
            mended(io::Error::from(cut))
                .unwrap()
                .contains("does it speak TLS?")
        );
    }

    #[test]
    fn plain_text_where_tls_is_spoken_is_told() {
        let refused = h2::Error::from(h2::Reason::INADEQUATE_SECURITY);
        assert!(mended(refused).unwrap().contains("https://"));
    }
}
