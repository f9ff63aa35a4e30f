//! `InstanceService`: which instances work on the database, what each of them holds, and which of
//! them answers.

use order_archiver_api::v1 as pb;
use tonic::{Request, Response, Status};

use super::{call::Calls, status};
use crate::{
    convert,
    domain::text::cut,
    store::{
        Store,
        instances::{Description, Instance},
    },
};

/// The longest text that a message carries, in bytes.
const LONGEST: usize = 256;

pub(crate) struct InstanceService {
    pub(crate) calls: Calls,
    pub(crate) store: Store,
    pub(crate) own: Description,
}

#[tonic::async_trait]
impl pb::instance_service_server::InstanceService for InstanceService {
    async fn list_instances(
        &self,
        request: Request<pb::ListInstancesRequest>,
    ) -> Result<Response<pb::ListInstancesResponse>, Status> {
        self.calls
            .answer(request, async |_| {
                let listed = self.store.instances().await;
                let (listed, more) = listed.map_err(|error| status::of_error(&error))?;
                let mut answer = pb::ListInstancesResponse {
                    more,
                    ..pb::ListInstancesResponse::default()
                };
                for instance in listed {
                    match instance {
                        Ok(instance) => answer.instances.push(message(&instance)),
                        Err(fault) => answer.unreadable.push(convert::unreadable(&fault)),
                    }
                }
                Ok(answer)
            })
            .await
    }

    // Answered without `Calls`, which refuses everybody while the database is away.
    async fn get_instance(
        &self,
        _: Request<pb::GetInstanceRequest>,
    ) -> Result<Response<pb::GetInstanceResponse>, Status> {
        Ok(Response::new(pb::GetInstanceResponse {
            id: text(&self.own.id),
            name: text(&self.own.name),
            host: text(&self.own.host),
            address: text(self.own.address.as_deref().unwrap_or_default()),
            version: text(&self.own.version),
        }))
    }
}

fn text(text: &str) -> String {
    cut(text, LONGEST)
}

fn message(instance: &Instance) -> pb::Instance {
    pb::Instance {
        id: text(&instance.id),
        name: text(&instance.name),
        host: text(&instance.host),
        address: text(instance.address.as_deref().unwrap_or_default()),
        version: text(&instance.version),
        start_time: convert::timestamp(instance.started),
        alive_time: convert::timestamp(instance.alive_at),
        lease: Some(convert::duration(instance.lease)),
        gone: instance.gone,
        may_watch: instance.may_watch,
        watch_epoch: instance.watch_epoch,
        batch_id: text(instance.batch.as_deref().unwrap_or_default()),
        verification_id: text(instance.verification.as_deref().unwrap_or_default()),
        builds_index: instance.index_build,
    }
}
