//! The methods that are served, as the contract and the services beside it say.

use order_archiver_api::FILE_DESCRIPTOR_SET;

/// The package of the contract.
const PACKAGE: &str = "orderarchiver.v1";

/// A method.
#[derive(Clone, Debug)]
pub(super) struct Method {
    /// The name of its service, with the package.
    pub(super) service: String,
    /// Its own name.
    pub(super) name: String,
    /// Whether its request is a stream.
    pub(super) streams_requests: bool,
    /// Whether its answer is a stream.
    pub(super) streams_answers: bool,
    /// Whether it belongs to a service beside the contract's: health or reflection.
    pub(super) is_foreign: bool,
}

impl Method {
    /// The path by which it is called.
    pub(super) fn path(&self) -> String {
        format!("/{}/{}", self.service, self.name)
    }
}

/// All of them.
pub(super) fn all() -> Vec<Method> {
    use prost::Message;
    let sets = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = Vec::new();
    for set in sets {
        let set = prost_types::FileDescriptorSet::decode(set)
            .expect("the descriptors were compiled into this program");
        for file in &set.file {
            for service in &file.service {
                methods.extend(service.method.iter().map(|method| Method {
                    service: format!("{}.{}", file.package(), service.name()),
                    name: method.name().to_owned(),
                    streams_requests: method.client_streaming(),
                    streams_answers: method.server_streaming(),
                    is_foreign: file.package() != PACKAGE,
                }));
            }
        }
    }
    methods
}
