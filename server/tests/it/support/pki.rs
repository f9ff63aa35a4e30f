//! Authorities, a server that one of them vouches for, and clients of it.

use std::{error::Error, iter::successors, net::SocketAddr, sync::Arc};

use devkit::certificates::{Authority, Issued, Subject, file};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{http::Answer, within};
use crate::child::Server;

/// The files of a server, and who vouches for whom.
pub(crate) struct Pki {
    folder: TempDir,
    pub(crate) servers: Authority,
    pub(crate) clients: Authority,
}

impl Pki {
    pub(crate) fn new() -> Pki {
        let pki = Pki {
            folder: tempfile::tempdir().unwrap(),
            servers: Authority::new("servers").unwrap(),
            clients: Authority::new("clients").unwrap(),
        };
        pki.serve_as(&pki.server_certificate());
        pki.write("ca.pem", &pki.servers.pem());
        pki.write("clients.pem", &pki.clients.pem());
        pki
    }

    /// Writes a file, over what is there, and says where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = file(self.folder.path(), name, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Puts the files of the server's certificate in their place.
    pub(crate) fn serve_as(&self, certificate: &Issued) {
        certificate.write(self.folder.path(), "server").unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A new certificate for the names by which the tests ask.
    pub(crate) fn server_certificate(&self) -> Issued {
        let subject = Subject::server(&["localhost", "127.0.0.1"]).unwrap();
        self.servers.issue(subject).unwrap()
    }

    /// Starts a server that goes by these files, and takes client certificates. Whoever is named
    /// `caller` may do everything.
    pub(crate) async fn server(&self, more: &[(&str, &str)]) -> Server {
        let clients = self.path("clients.pem");
        let identities = self.write("identities", "san caller destroy\n");
        let own = [
            ("ARCHD_TLS_CLIENT_CA", clients.as_str()),
            ("ARCHD_AUTH_FILE", identities.as_str()),
        ];
        self.server_alone(&[more, &own].concat()).await
    }

    /// The same without client certificates.
    pub(crate) async fn server_alone(&self, more: &[(&str, &str)]) -> Server {
        let (cert, key) = (self.path("server.pem"), self.path("server.key"));
        let own = [
            ("ARCHD_TLS_CERT", cert.as_str()),
            ("ARCHD_TLS_KEY", key.as_str()),
        ];
        Server::fresh(1_024, &[&own, more].concat()).await
    }

    /// A connection of gRPC on which this certificate is shown.
    pub(crate) async fn connect(
        &self,
        server: SocketAddr,
        shown: Option<&Issued>,
    ) -> Result<Channel, String> {
        let endpoint = self.endpoint(server, shown);
        within(endpoint.connect())
            .await
            .map_err(|error| told(&error))
    }

    /// The same, which connects with its first call, and again where that failed.
    pub(crate) fn connects_to(&self, server: SocketAddr, shown: Option<&Issued>) -> Channel {
        self.endpoint(server, shown).connect_lazy()
    }

    fn endpoint(&self, server: SocketAddr, shown: Option<&Issued>) -> Endpoint {
        let ca = Certificate::from_pem(self.servers.pem());
        let mut tls = ClientTlsConfig::new().ca_certificate(ca);
        if let Some(shown) = shown {
            tls = tls.identity(Identity::from_pem(&shown.certificate, &shown.key));
        }
        let endpoint = Channel::from_shared(format!("https://localhost:{}", server.port()));
        endpoint.unwrap().tls_config(tls).unwrap()
    }

    /// A call of one who shows this certificate, on a connection of its own.
    pub(crate) async fn call(
        &self,
        server: SocketAddr,
        shown: Option<&Issued>,
    ) -> Result<(), String> {
        call(&self.connect(server, shown).await?).await
    }

    /// A connection that speaks this protocol within TLS.
    pub(crate) async fn stream(
        &self,
        server: SocketAddr,
        protocol: &str,
        shown: Option<&Issued>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.servers.pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match shown {
            Some(shown) => {
                let chain = CertificateDer::from_pem_slice(shown.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap();
                config.with_client_auth_cert(vec![chain], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(server).await?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        within(connecting).await
    }

    /// The certificate that the server shows now.
    pub(crate) async fn shown_by(&self, server: SocketAddr) -> CertificateDer<'static> {
        let stream = self.stream(server, "h2", None).await.unwrap();
        let (_, session) = stream.get_ref();
        session.peer_certificates().unwrap()[0].clone()
    }

    /// Asks for a path by HTTP over TLS, without a certificate.
    pub(crate) async fn get(&self, server: SocketAddr, path: &str) -> Answer {
        let mut stream = self.stream(server, "http/1.1", None).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        within(async {
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            Answer::parse(&answer)
        })
        .await
    }
}

/// A call that anybody may make.
pub(crate) async fn call(channel: &Channel) -> Result<(), String> {
    let mut health = HealthClient::new(channel.clone());
    let checking = health.check(HealthCheckRequest::default());
    within(checking)
        .await
        .map(drop)
        .map_err(|status| told(&status))
}

/// An error with all that is behind it.
pub(crate) fn told(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |cause| (*cause).source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
