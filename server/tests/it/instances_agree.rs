//! Any number of instances on one database behind a plain balancer are one service: whoever answers
//! says the same, and what is asked of one is done by all.

mod asks;
mod reads;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use archd::domain::schedule::Schedule;
use bson::{Bson, doc};
use order_archiver_api::v1 as pb;

use crate::support::{Balancer, TestServer, order, orders};

/// Instances on one database.
const INSTANCES: usize = 3;

/// The instances, and what stands before them.
struct World {
    began: SystemTime,
    servers: Vec<TestServer>,
    balancer: Balancer,
}

impl World {
    /// Instances that watch, one of them, and are on standby, the others.
    async fn start() -> World {
        let began = SystemTime::now();
        // With a schedule, which tells when it is due, and at no time of this test.
        let first = TestServer::start_with(|config| {
            config.watch = true;
            config.lease = Duration::from_secs(3);
            config.schedule = Some(Schedule::new("0 0 29 2 *", "Europe/Paris").unwrap());
            config.schedule_catch_up = false;
            config.verify = false;
        })
        .await;
        let mut servers = vec![first];
        while servers.len() < INSTANCES {
            let name = format!("another-{}", servers.len());
            let another = servers[0].second(|config| config.instance = name).await;
            servers.push(another);
        }
        servers[0].watcher_is(pb::WatcherState::Watching).await;
        let address = |server: &TestServer| -> SocketAddr {
            server
                .address
                .trim_start_matches("http://")
                .parse()
                .unwrap()
        };
        let balancer = Balancer::before(servers.iter().map(address).collect()).await;
        World {
            began,
            servers,
            balancer,
        }
    }

    /// Where its history begins.
    fn since(&self) -> Option<pb::tail_events_request::Start> {
        let began = self.began.into();
        Some(pb::tail_events_request::Start::SinceTime(began))
    }

    /// One of them.
    fn any(&self) -> &TestServer {
        &self.servers[0]
    }

    /// Something of everything: archived orders, incomplete ones, one in quarantine, a near miss, a
    /// batch, verifications with a difference that somebody has looked into.
    async fn furnish(&self) {
        let [first, second, third] = &self.servers[..] else {
            unreachable!()
        };
        for (collection, document) in crate::support::references() {
            first.insert(collection, [document]).await;
        }
        let mut near = order("CMD-near");
        near.insert("status", "Livrée");
        let mut bare = order("CMD-bare");
        bare.insert("id_client", 99);
        first.insert("Commande", orders(12)).await;
        first
            .insert("Commande", [order(Bson::Null), near, bare])
            .await;
        first.archived(13).await;
        second.run_batch().await;
        let altered = doc! { "$set": { "coût_commande": 99.9 } };
        let of = doc! { "numero_commande": "CMD-2025-000004" };
        let archive = first.collection("Historique");
        archive.update_one(of, altered).await.unwrap();
        third.verify_with(pb::VerificationOptions::default()).await;
        let acknowledged = pb::AcknowledgeDifferenceRequest {
            numero_commande: "CMD-2025-000004".to_owned(),
            reason: "looked into".to_owned(),
            by: "Zoé".to_owned(),
        };
        let mut client = second.verifications();
        client.acknowledge_difference(acknowledged).await.unwrap();
        first.verify_with(pb::VerificationOptions::default()).await;
    }

    async fn shut_down(self) {
        for server in self.servers {
            server.shut_down().await;
        }
    }
}
