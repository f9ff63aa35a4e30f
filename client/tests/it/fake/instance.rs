//! Answers about two instances: one that watches and answers, and one that is gone.

use order_archiver_api::v1::{
    GetInstanceRequest, GetInstanceResponse, Instance, ListInstancesRequest, ListInstancesResponse,
    instance_service_server::InstanceService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, news::NOW};

fn instance(name: &str) -> Instance {
    Instance {
        name: name.to_owned(),
        address: "127.0.0.1:50051".to_owned(),
        version: "0.1.0".to_owned(),
        start_time: Some(NOW),
        alive_time: Some(NOW),
        ..Instance::default()
    }
}

#[async_trait]
impl InstanceService for Answers {
    async fn list_instances(
        &self,
        _: Request<ListInstancesRequest>,
    ) -> Result<Response<ListInstancesResponse>, Status> {
        let watches = Instance {
            may_watch: true,
            watch_epoch: Some(3),
            ..instance("archd-1")
        };
        let gone = Instance {
            gone: true,
            ..instance("archd-2")
        };
        Ok(Response::new(ListInstancesResponse {
            instances: vec![watches, gone],
            unreadable: self.0.unreadable.lock().unwrap().clone(),
            more: true,
        }))
    }

    async fn get_instance(
        &self,
        _: Request<GetInstanceRequest>,
    ) -> Result<Response<GetInstanceResponse>, Status> {
        Ok(Response::new(GetInstanceResponse {
            id: "e7a1".to_owned(),
            name: "archd-1".to_owned(),
            host: "pod-7".to_owned(),
            address: "127.0.0.1:50051".to_owned(),
            version: "1.2.3".to_owned(),
        }))
    }
}
