//! The TLS of a process: what connections begin with, read again from its files while it runs.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::CertificateDer;
use tokio::{net::TcpStream, sync::watch, time::Instant};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    certificate::Validity,
    credentials::{BadTlsFile, Contents, Credentials},
};
use crate::{
    config::{TlsFiles, table::TLS_CERT},
    files::{Looks, settled},
    log_limit::LogLimit,
    metrics::Gauge,
};

/// How many handshakes that fail the log tells of, in such a time.
const FAILURES: (u32, Duration) = (10, Duration::from_secs(10));
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate is told to expire so long before that, or when a fifth of its time is left.
const NOTICE: (Duration, u32) = (Duration::from_secs(14 * 24 * 60 * 60), 5);

/// What the connections of a process begin with. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<watch::Sender<Arc<Credentials>>>,
    failures: Arc<LogLimit>,
}

impl Tls {
    /// Reads the files. From then on a SIGHUP no longer ends the process.
    pub(crate) fn open(files: &TlsFiles) -> Result<Tls, BadTlsFile> {
        drop(Looks::begin());
        let contents = Contents::read(files)?;
        let credentials = Credentials::new(files, &contents)?;
        Ok(Tls {
            files: Arc::new(files.clone()),
            current: Arc::new(watch::Sender::new(Arc::new(credentials))),
            failures: Arc::new(LogLimit::new(FAILURES.0, FAILURES.1)),
        })
    }

    /// Reads the files again whenever they change or a SIGHUP comes, until `stop` is cancelled, and
    /// shows when the certificate expires. What can't be used is told, and changes nothing.
    pub(crate) fn keep_current(&self, expires: Gauge, stop: CancellationToken) {
        let keeper = Keeper {
            known: Ok(self.current.borrow().made_of),
            tls: self.clone(),
            expires,
            notices: LogLimit::new(1, DAY),
        };
        tokio::spawn(async move { stop.run_until_cancelled(keeper.run()).await });
    }

    /// Tells of a handshake that failed: whoever shows a bad certificate hears little of it.
    pub(super) fn failed(&self, address: SocketAddr, error: &io::Error) {
        if let Some(left_out) = self.failures.admit(Instant::now()) {
            info!(%address, %error, left_out, "a handshake failed");
        }
    }

    /// Shakes hands with a client that is to speak this protocol.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        protocol: &[u8],
    ) -> io::Result<(TlsStream<TcpStream>, Believed)> {
        // Before the handshake, so that no change is missed.
        let mut current = self.current.subscribe();
        let config = current.borrow_and_update().config(protocol);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let believed = Believed {
            chain: shown.to_vec(),
            current,
        };
        Ok((stream, believed))
    }
}

/// A client, as far as it showed a certificate that was believed.
#[derive(Debug)]
pub(super) struct Believed {
    /// Its certificate, and those that lead from it to an authority.
    pub(super) chain: Vec<CertificateDer<'static>>,
    current: watch::Receiver<Arc<Credentials>>,
}

impl Believed {
    /// Waits until no authority vouches for it any more; for ever where none had to.
    pub(super) async fn is_withdrawn(&mut self) {
        while !self.chain.is_empty() && self.current.changed().await.is_ok() {
            let current = self.current.borrow_and_update().clone();
            if !current.vouch_for(&self.chain) {
                return;
            }
        }
        pending().await
    }
}

/// What keeps the credentials current.
struct Keeper {
    tls: Tls,
    /// What the files held when they were last looked at, or why they could not be read.
    known: Known,
    expires: Gauge,
    notices: LogLimit,
}

type Known = Result<[u8; 32], BadTlsFile>;

impl Keeper {
    async fn run(mut self) {
        let mut looks = Looks::begin();
        loop {
            let is_asked = looks.next().await;
            self.look(is_asked).await;
            self.tell_of_expiry(SystemTime::now());
        }
    }

    async fn look(&mut self, is_asked: bool) {
        let files = self.tls.files.clone();
        let reading = move || {
            let read = Contents::read(&files);
            let known = read.as_ref().map(Contents::digest).map_err(Clone::clone);
            (read, known)
        };
        let (read, known) = settled(&self.known, reading).await;
        if known == self.known && !is_asked {
            return;
        }
        let is_new = known != self.known;
        self.known = known;
        match read.and_then(|contents| Credentials::new(&self.tls.files, &contents)) {
            Ok(credentials) if is_new => {
                info!(
                    expires = %humantime::format_rfc3339_seconds(credentials.validity.to),
                    "the files of TLS have changed: connections begin with what they hold now"
                );
                self.tls.current.send_replace(Arc::new(credentials));
                self.notices = LogLimit::new(1, DAY);
            }
            Ok(_) => info!("the files of TLS hold what is in force"),
            Err(error) => warn!(
                %error,
                "the files of TLS are not gone by, and what they held before stays in force"
            ),
        }
    }

    fn tell_of_expiry(&self, now: SystemTime) {
        let Validity { from, to } = self.tls.current.borrow().validity;
        let moment = to.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.expires.set(moment.as_secs_f64());
        let file = self.tls.files.certificate.display();
        let shown = humantime::format_rfc3339_seconds;
        match to.duration_since(now) {
            Ok(left) if now >= from && left > notice(from, to) => {}
            _ if self.notices.admit(Instant::now()).is_none() => {}
            Ok(_) if now < from => warn!(
                "the certificate in {} ({file}) is not valid before {}: clients refuse it until then",
                TLS_CERT.name,
                shown(from)
            ),
            Ok(_) => warn!(
                "the certificate in {} ({file}) expires at {}: put a new one in its place, which is read by itself",
                TLS_CERT.name,
                shown(to)
            ),
            Err(_) => error!(
                "the certificate in {} ({file}) expired at {}: clients refuse it. Put a new one in its place, which is read by itself",
                TLS_CERT.name,
                shown(to)
            ),
        }
    }
}

/// How long before its end a certificate of such a time is told to expire.
fn notice(from: SystemTime, to: SystemTime) -> Duration {
    let valid = to.duration_since(from).unwrap_or_default();
    NOTICE.0.min(valid / NOTICE.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_a_day_is_not_told_to_expire_from_its_first_hour_on() {
        let told = |days: u32| notice(UNIX_EPOCH, UNIX_EPOCH + DAY * days);
        assert_eq!(told(1), DAY / 5);
        assert_eq!(told(90), 14 * DAY);
        assert_eq!(told(10), 2 * DAY);
    }
}
