//! Every RPC that reads answers the same, whichever instance is asked.

use std::collections::BTreeSet;

use order_archiver_api::{FILE_DESCRIPTOR_SET, v1 as pb};
use prost::{Message, bytes::Bytes};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, value::Serializer};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

use super::{INSTANCES, World};
use crate::{
    rights::reads,
    support::{eventually, within},
};

/// How often the instances are asked until they agree: what one has just counted, the others learn
/// within a moment, and the minute or a checkpoint may change between two answers.
const TRIES: u32 = 200;

/// What an RPC is asked, and what of its answer is of the moment or of the one that answers.
struct Read {
    method: &'static str,
    request: Vec<u8>,
    /// Paths of fields that need not be the same, each with the reason.
    own: &'static [(&'static str, &'static str)],
    /// How many messages of a stream are compared; none for all of one that ends.
    messages: Option<usize>,
}

fn read(method: &'static str, request: impl Message) -> Read {
    Read {
        method,
        request: request.encode_to_vec(),
        own: &[],
        messages: None,
    }
}

/// What the watcher's distance to the present is made of.
const MOMENT: &str = "it is told for the moment of the call, and the next one has another";

/// Every read. `GetInstance` is none of them: it is there to tell the instances apart.
fn table(since: Option<pb::tail_events_request::Start>) -> Vec<Read> {
    let latest = || "latest".to_owned();
    let numero = || "CMD-2025-000004".to_owned();
    let minute = prost_types::Duration {
        seconds: 60,
        nanos: 0,
    };
    vec![
        read(
            "ArchiveService/GetArchivedOrder",
            pb::GetArchivedOrderRequest {
                numero_commande: numero(),
            },
        ),
        read(
            "ArchiveService/ListArchivedOrders",
            pb::ListArchivedOrdersRequest {
                with_documents: true,
                ..Default::default()
            },
        ),
        read(
            "BatchService/GetBatch",
            pb::GetBatchRequest { id: latest() },
        ),
        read(
            "BatchService/ListBatches",
            pb::ListBatchesRequest::default(),
        ),
        read(
            "BatchService/WatchBatch",
            pb::WatchBatchRequest { id: latest() },
        ),
        Read {
            messages: Some(15),
            ..read(
                "EventService/TailEvents",
                pb::TailEventsRequest {
                    start: since,
                    ..Default::default()
                },
            )
        },
        Read {
            own: &[(
                "instances.alive_time",
                "a heartbeat may be given between two answers",
            )],
            ..read("InstanceService/ListInstances", pb::ListInstancesRequest {})
        },
        read(
            "QuarantineService/ListQuarantined",
            pb::ListQuarantinedRequest::default(),
        ),
        Read {
            own: &[
                ("read_time", MOMENT),
                ("watcher_lag", MOMENT),
                (
                    "archived_per_hour",
                    "it is told for the time until now, where counting began within the window",
                ),
            ],
            ..read(
                "StatsService/GetStats",
                pb::GetStatsRequest {
                    window: Some(prost_types::Duration {
                        seconds: 3_600,
                        nanos: 0,
                    }),
                    include_near_misses: true,
                    series_step: Some(minute),
                },
            )
        },
        Read {
            own: &[("read_time", MOMENT)],
            ..read(
                "VerificationService/ExplainOrder",
                pb::ExplainOrderRequest {
                    numero_commande: numero(),
                    with_history: true,
                    history_limit: None,
                },
            )
        },
        read(
            "VerificationService/GetVerification",
            pb::GetVerificationRequest { id: latest() },
        ),
        read(
            "VerificationService/ListAcknowledgements",
            pb::ListAcknowledgementsRequest::default(),
        ),
        read(
            "VerificationService/ListDifferences",
            pb::ListDifferencesRequest {
                verification_id: latest(),
                ..Default::default()
            },
        ),
        read(
            "VerificationService/ListLedger",
            pb::ListLedgerRequest::default(),
        ),
        read(
            "VerificationService/ListVerifications",
            pb::ListVerificationsRequest::default(),
        ),
        read(
            "VerificationService/WatchVerification",
            pb::WatchVerificationRequest { id: latest() },
        ),
        Read {
            own: &[
                ("watcher.lag", MOMENT),
                ("watcher.wall_lag", MOMENT),
                ("watcher.since_last_event", MOMENT),
                ("watcher.history_headroom", MOMENT),
            ],
            ..read("WatcherService/GetWatcher", pb::GetWatcherRequest {})
        },
    ]
}

/// Bytes as they come and go.
#[derive(Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        prost::bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = prost::bytes::Buf::remaining(buffer);
        Ok(Some(prost::bytes::Buf::copy_to_bytes(buffer, length)))
    }
}

impl Read {
    fn answer_type(&self) -> MessageDescriptor {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
        let (service, method) = self.method.split_once('/').unwrap();
        let service = pool.get_service_by_name(&format!("orderarchiver.v1.{service}"));
        let service = service.unwrap();
        let mut methods = service.methods();
        methods.find(|it| it.name() == method).unwrap().output()
    }

    /// What whoever is at the other end answers, without what need not be the same.
    async fn ask(&self, channel: Channel) -> Result<Vec<Value>, Status> {
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.unwrap();
        let path = format!("/orderarchiver.v1.{}", self.method);
        let path = PathAndQuery::try_from(path).unwrap();
        let request = Request::new(self.request.clone());
        let answer = grpc.server_streaming(request, path, Plain).await?;
        let (mut messages, answer_type) = (answer.into_inner(), self.answer_type());
        let mut told = Vec::new();
        while self.messages != Some(told.len()) {
            let Some(message) = within(messages.message()).await? else {
                break;
            };
            let message = DynamicMessage::decode(answer_type.clone(), message).unwrap();
            let options = SerializeOptions::new().use_proto_field_name(true);
            let mut json = message
                .serialize_with_options(Serializer, &options)
                .unwrap();
            if json["kind"] == "EVENT_KIND_HEARTBEAT" {
                continue;
            }
            for (path, _) in self.own {
                let steps: Vec<&str> = path.split('.').collect();
                leave_out(&mut json, &steps);
            }
            told.push(json);
        }
        Ok(told)
    }
}

/// Leaves a field out, in each member of a list.
fn leave_out(json: &mut Value, path: &[&str]) {
    match (json, path) {
        (Value::Array(members), path) => {
            members
                .iter_mut()
                .for_each(|member| leave_out(member, path));
        }
        (Value::Object(fields), [last]) => {
            fields.remove(*last);
        }
        (Value::Object(fields), [first, rest @ ..]) => {
            if let Some(inner) = fields.get_mut(*first) {
                leave_out(inner, rest);
            }
        }
        _ => {}
    }
}

#[test]
fn every_read_of_the_contract_is_asked() {
    let table = table(None);
    let own = "/orderarchiver.v1.";
    let asked = table.iter().map(|read| format!("{own}{}", read.method));
    let mut asked: BTreeSet<String> = asked.collect();
    asked.insert(format!("{own}InstanceService/GetInstance"));
    let reads = reads().filter(|method| method.starts_with(own));
    let reads: BTreeSet<String> = reads.map(str::to_owned).collect();
    assert_eq!(asked, reads);
    for (path, why) in table.iter().flat_map(|read| read.own) {
        assert!(!why.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn whoever_answers_says_the_same() {
    let world = World::start().await;
    world.furnish().await;
    // Three connections lead to three instances.
    let mut names = BTreeSet::new();
    for _ in 0..INSTANCES {
        let channel = world.balancer.connect().await;
        let mut client = pb::instance_service_client::InstanceServiceClient::new(channel);
        let own = client
            .get_instance(pb::GetInstanceRequest {})
            .await
            .unwrap();
        names.insert(own.into_inner().name);
    }
    let listed = world.any().instances().await.into_iter().map(|it| it.name);
    assert_eq!(names, listed.collect::<BTreeSet<_>>());
    assert_eq!(names.len(), INSTANCES);

    for read in table(world.since()) {
        let mut tries = 0;
        let answers = eventually(async || {
            let mut answers = Vec::new();
            for _ in 0..INSTANCES {
                let channel = world.balancer.connect().await;
                let answer = read.ask(channel).await;
                answers.push(answer.unwrap_or_else(|status| panic!("{}: {status:?}", read.method)));
            }
            tries += 1;
            let agree = answers.iter().all(|answer| *answer == answers[0]);
            (agree || tries == TRIES).then_some(answers)
        })
        .await;
        let method = read.method;
        let told = |at: usize| serde_json::to_string_pretty(&answers[at]).unwrap();
        for other in 1..INSTANCES {
            assert_eq!(told(0), told(other), "{method}");
        }
        assert!(
            told(0).len() > 20,
            "{method} has nothing to tell: {}",
            told(0)
        );
    }
    world.shut_down().await;
}

#[tokio::test]
async fn a_list_may_be_read_page_by_page_from_one_after_the_other() {
    let world = World::start().await;
    world.furnish().await;
    let mut request = pb::ListArchivedOrdersRequest {
        page_size: 2,
        ..Default::default()
    };
    let mut paged = Vec::new();
    loop {
        let channel = world.balancer.connect().await;
        let mut client = pb::archive_service_client::ArchiveServiceClient::new(channel);
        let page = client.list_archived_orders(request.clone()).await.unwrap();
        let page = page.into_inner();
        paged.extend(page.orders.into_iter().map(|order| order.numero_commande));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let mut numbers = world.any().archived(13).await;
    paged.sort();
    numbers.sort();
    assert_eq!(paged, numbers);

    // A tail goes on with its cursor wherever it is taken up.
    let mut start = world.since();
    let mut told = Vec::new();
    while told.len() < 9 {
        let channel = world.balancer.connect().await;
        let mut client = pb::event_service_client::EventServiceClient::new(channel);
        let request = pb::TailEventsRequest {
            start: start.take(),
            kinds: vec![pb::EventKind::Archived.into()],
            ..Default::default()
        };
        let mut events = client.tail_events(request).await.unwrap().into_inner();
        let mut here = 0;
        while here < 3 {
            let event = within(events.message()).await.unwrap().unwrap();
            start = Some(pb::tail_events_request::Start::Cursor(event.cursor));
            if let Some(pb::tail_events_response::Event::Order(order)) = event.event {
                told.push(order.numero_commande);
                here += 1;
            }
        }
    }
    let once: BTreeSet<&String> = told.iter().collect();
    assert_eq!(once.len(), told.len(), "{told:?}");
    world.shut_down().await;
}
