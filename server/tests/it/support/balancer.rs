//! A plain balancer before several servers: hands connections around, one after the other, and knows
//! nothing of what is said on them.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;

use super::within;

/// A balancer on 127.0.0.1, until it is dropped.
pub(crate) struct Balancer {
    address: SocketAddr,
    _accepting: AbortOnDropHandle<()>,
}

impl Balancer {
    /// Before the servers at these addresses.
    pub(crate) async fn before(servers: Vec<SocketAddr>) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(async move {
            for server in servers.into_iter().cycle() {
                let Ok((mut client, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Balancer {
            address,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// A connection of its own: to the next server.
    pub(crate) async fn connect(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        within(endpoint.connect()).await.unwrap()
    }
}
