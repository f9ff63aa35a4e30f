//! What stands in a certificate: the names of its subject, and when it is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::peer::Certificate;

/// When a certificate is valid, by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: SystemTime,
    pub(super) to: SystemTime,
}

impl Validity {
    /// None for what is no certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Validity> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        // There is no other way to ask for it, and this one needs no second reader of certificates:
        // before anything else the verifier compares the time that it is asked for, and says what
        // with.
        let asked_at = |time: Duration| {
            let time = UnixTime::since_unix_epoch(time);
            let usage = KeyUsage::client_auth();
            let verified = certificate.verify_for_usage(&[], &[], &[], time, usage, None, None);
            verified.err()
        };
        let moment = |time: UnixTime| UNIX_EPOCH + Duration::from_secs(time.as_secs());
        let from = match asked_at(Duration::ZERO) {
            Some(Error::CertNotValidYet { not_before, .. }) => moment(not_before),
            _ => UNIX_EPOCH,
        };
        match asked_at(Duration::from_secs(u64::MAX)) {
            Some(Error::CertExpired { not_after, .. }) => Some(Validity {
                from,
                to: moment(not_after),
            }),
            _ => None,
        }
    }
}

/// What a client's certificate says of it. None for what is no certificate.
pub(super) fn of_client(certificate: &CertificateDer<'_>) -> Option<Certificate> {
    let read = EndEntityCert::try_from(certificate).ok()?;
    Some(Certificate {
        dns: read.valid_dns_names().map(str::to_owned).collect(),
        uris: read.valid_uri_names().map(str::to_owned).collect(),
        expires: Validity::of(certificate)?.to,
    })
}

#[cfg(test)]
mod tests {
    use devkit::certificates::{Authority, Subject};
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn names_and_times_are_read_as_they_were_written() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let authority = Authority::new("authority").unwrap();
        // The last is of a century whose dates are written in another form.
        for (from, to) in [
            (0, 1),
            (86_400, 2_000_000_000),
            (1_700_000_000, 4_000_000_000),
        ] {
            let subject = Subject::client("caller")
                .dns("caller.example.com")
                .and_then(|subject| subject.uri("spiffe://example.com/caller"))
                .unwrap()
                .valid(at(from), at(to));
            let issued = authority.issue(subject).unwrap();
            let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
            let (from, to) = (at(from), at(to));
            assert_eq!(Validity::of(&der), Some(Validity { from, to }));
            let certificate = of_client(&der).unwrap();
            assert_eq!(certificate.dns, ["caller.example.com"]);
            assert_eq!(certificate.uris, ["spiffe://example.com/caller"]);
            assert_eq!(certificate.expires, to);
        }
        let nameless = authority.issue(Subject::client("caller")).unwrap();
        let nameless = CertificateDer::from_pem_slice(nameless.certificate.as_bytes()).unwrap();
        let certificate = of_client(&nameless).unwrap();
        assert_eq!((certificate.dns.len(), certificate.uris.len()), (0, 0));
        assert_eq!(Validity::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
