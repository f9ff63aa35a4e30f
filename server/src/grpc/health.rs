//! Health: says of each service whether it can do its work now.

use order_archiver_api::v1 as pb;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::{
    observe::{monitor::Monitor, privileges::Privileges, state_documents::Documents},
    parts::Parts,
    privileges::Feature,
    store::state::fault::Fault,
};

/// What a service stands still without: documents of the server's own, and privileges.
pub(super) struct Own {
    batches: String,
    verifications: String,
    state: String,
    documents: Documents,
    privileges: Privileges,
}

impl Own {
    pub(super) fn of(parts: &Parts) -> Own {
        let names = parts.store.names();
        Own {
            batches: names.batches.clone(),
            verifications: names.verifications.clone(),
            state: names.state.clone(),
            documents: parts.documents.clone(),
            privileges: parts.privileges.clone(),
        }
    }

    /// The services that can't do their work now, while all others can. The watcher's does none
    /// while nobody watches.
    fn stopped(&self) -> Vec<&'static str> {
        let stopped = |fault: &Fault| match fault.id.as_ref().as_str() {
            _ if fault.collection == self.batches => Some(pb::batch_service_server::SERVICE_NAME),
            _ if fault.collection == self.verifications => {
                Some(pb::verification_service_server::SERVICE_NAME)
            }
            Some("watcher") if fault.collection == self.state => {
                Some(pb::watcher_service_server::SERVICE_NAME)
            }
            Some("identity") if fault.collection == self.state => {
                Some(pb::event_service_server::SERVICE_NAME)
            }
            _ => None,
        };
        let unwatched = self.documents.is_unwatched();
        let unwatched = unwatched.then_some(pb::watcher_service_server::SERVICE_NAME);
        let faults = self.documents.faults();
        let lacking = self.privileges.lacking();
        let denied = lacking.iter().flat_map(|need| services_of(need.feature));
        let stopped = faults.iter().filter_map(stopped).chain(unwatched);
        stopped.chain(denied.copied()).collect()
    }
}

/// The services that can't do their work without a privilege of this feature.
fn services_of(feature: Feature) -> &'static [&'static str] {
    use pb::{
        archive_service_server as archive, batch_service_server as batch,
        event_service_server as event, instance_service_server as instance,
        quarantine_service_server as quarantine, seed_service_server as seed,
        stats_service_server as stats, verification_service_server as verification,
        watcher_service_server as watcher,
    };
    match feature {
        Feature::Archiving => &[
            archive::SERVICE_NAME,
            batch::SERVICE_NAME,
            watcher::SERVICE_NAME,
        ],
        Feature::Watching => &[watcher::SERVICE_NAME],
        Feature::State => &[watcher::SERVICE_NAME, event::SERVICE_NAME],
        Feature::Quarantine => &[quarantine::SERVICE_NAME],
        Feature::Batches => &[batch::SERVICE_NAME],
        Feature::Verifications | Feature::Acknowledgements | Feature::Replaced => {
            &[verification::SERVICE_NAME]
        }
        Feature::Counters => &[stats::SERVICE_NAME],
        Feature::Instances => &[instance::SERVICE_NAME],
        Feature::Events => &[event::SERVICE_NAME],
        // All its calls need the right to destroy, and those wait for their note.
        Feature::Audit | Feature::Seeding => &[seed::SERVICE_NAME],
        Feature::Replacing
        | Feature::WatchAlone
        | Feature::Members
        | Feature::Reach
        | Feature::BuildProgress
        | Feature::LiveIndexes
        | Feature::MakingIndexes => &[],
    }
}

/// Keeps the health service true to the database's state: every service needs it, and some a
/// document in it or a privilege there.
pub(super) async fn report_on(
    reporter: HealthReporter,
    mut monitor: Monitor,
    mut own: Own,
    leaving: CancellationToken,
) {
    let mut ready = monitor.check().is_ok();
    let mut privileges = own.privileges.changes();
    loop {
        report(&reporter, ready, &own.stopped()).await;
        ready = tokio::select! {
            () = own.documents.changed() => ready,
            _ = privileges.changed() => ready,
            () = leaving.cancelled(), if ready => false,
            change = monitor.changed() => match change {
                Some(ready) => ready && !leaving.is_cancelled(),
                None => return,
            },
        };
    }
}

pub(super) async fn report(reporter: &HealthReporter, ready: bool, stopped: &[&str]) {
    let services = [
        "",
        pb::archive_service_server::SERVICE_NAME,
        pb::batch_service_server::SERVICE_NAME,
        pb::watcher_service_server::SERVICE_NAME,
        pb::instance_service_server::SERVICE_NAME,
        pb::event_service_server::SERVICE_NAME,
        pb::stats_service_server::SERVICE_NAME,
        pb::seed_service_server::SERVICE_NAME,
        pb::quarantine_service_server::SERVICE_NAME,
        pb::verification_service_server::SERVICE_NAME,
    ];
    for service in services {
        let status = if ready && !stopped.contains(&service) {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        reporter.set_service_status(service, status).await;
    }
}
