//! Messages as JSON: the contract's own field names, defaults included, 64-bit integers as numbers.

use std::sync::LazyLock;

use prost::{Message, Name};
use prost_reflect::{
    DescriptorPool, DynamicMessage, ReflectMessage, SerializeOptions, Value as Field,
};
use serde_json::{Value, value::Serializer};

use crate::FILE_DESCRIPTOR_SET;

/// The descriptors are compiled in, so a fault in them is a fault of the build.
static CONTRACT: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("protox encoded these descriptors")
});

/// Turns any message of the contract into ProtoJSON.
///
/// # Errors
///
/// None for messages of this contract.
///
/// # Panics
///
/// Where the descriptors that are compiled in do not have the message.
///
/// A moment or a length of time that JSON can't hold is shown as absent, so that it never keeps the
/// rest from being shown. Integers of 64 bits are numbers rather than ProtoJSON's strings: no count
/// here comes near 2^53, and `jq` can add numbers up.
pub fn to_json<M: Message + Name>(message: &M) -> Result<Value, serde_json::Error> {
    const OPTIONS: SerializeOptions = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    let descriptor = CONTRACT
        .get_message_by_name(&M::full_name())
        .expect("every message is in the descriptors");
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic
        .transcode_from(message)
        .expect("the descriptors and the code come from the same files");
    clear_unspeakable(&mut dynamic);
    dynamic.serialize_with_options(Serializer, &OPTIONS)
}

/// Clears each field that holds a moment or a length of time beyond those that ProtoJSON has a text
/// for.
fn clear_unspeakable(message: &mut DynamicMessage) {
    let unspeakable: Vec<_> = message
        .fields_mut()
        .filter_map(|(field, value)| match value {
            Field::Message(inner) if !is_speakable(inner) => Some(field),
            Field::Message(inner) => {
                clear_unspeakable(inner);
                None
            }
            Field::List(members) => {
                for member in members {
                    if let Field::Message(inner) = member {
                        clear_unspeakable(inner);
                    }
                }
                None
            }
            _ => None,
        })
        .collect();
    for field in unspeakable {
        message.clear_field(&field);
    }
}

/// Whether ProtoJSON has a text for it: moments of the years 1 to 9999, and lengths of up to about
/// 10,000 years either way.
fn is_speakable(message: &DynamicMessage) -> bool {
    let seconds = match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => -62_135_596_800..=253_402_300_799,
        "google.protobuf.Duration" => -315_576_000_000..=315_576_000_000,
        _ => return true,
    };
    let number = |name| message.get_field_by_name(name);
    let whole = number("seconds").and_then(|seconds| seconds.as_i64());
    let nanos = number("nanos").and_then(|nanos| nanos.as_i32());
    whole.is_some_and(|whole| seconds.contains(&whole))
        && nanos.is_some_and(|nanos| nanos.unsigned_abs() < 1_000_000_000)
        && (nanos >= Some(0) || message.descriptor().name() == "Duration")
}

#[cfg(test)]
mod tests {
    use crate::v1::{
        Batch, BatchOptions, BatchState, GetStatsResponse, ListBatchesResponse, OrderCounts,
    };
    use prost_types::{Duration, Timestamp};

    use super::*;

    #[test]
    fn names_defaults_numbers_and_well_known_types() {
        let batch = Batch {
            id: "b-1".to_owned(),
            state: BatchState::Succeeded.into(),
            counts: Some(OrderCounts {
                found: 9_007_199_254_740_991,
                ..OrderCounts::default()
            }),
            start_time: Some(Timestamp {
                seconds: 1_760_624_625,
                nanos: 0,
            }),
            duration: Some(Duration {
                seconds: 754,
                nanos: 500_000_000,
            }),
            ..Batch::default()
        };
        let json = to_json(&batch).unwrap();
        assert_eq!(json["id"], "b-1");
        assert_eq!(json["state"], "BATCH_STATE_SUCCEEDED");
        assert_eq!(json["counts"]["found"], 9_007_199_254_740_991_i64);
        assert_eq!(json["counts"]["errors"], 0, "a default is shown");
        assert_eq!(json["start_time"], "2025-10-16T14:23:45Z");
        assert_eq!(json["duration"], "754.500s");
        assert_eq!(json["warnings"], serde_json::json!([]));
        assert_eq!(json["orders_per_second"], 0.0);
    }

    #[test]
    fn fields_keep_the_order_of_the_contract() {
        let json = to_json(&GetStatsResponse::default()).unwrap();
        let names: Vec<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            names,
            [
                "archived_per_hour",
                "archive_size",
                "quarantine_size",
                "near_misses",
                "database",
                "unreadable",
                "series",
                "missing_privileges"
            ]
        );
    }

    #[test]
    fn what_json_cannot_hold_is_absent_and_the_rest_is_shown() {
        let beyond = [
            (253_402_300_800, 0),
            (-62_135_596_801, 0),
            (i64::MAX, i32::MAX),
            (0, -1),
            (0, 1_000_000_000),
        ];
        for (seconds, nanos) in beyond {
            let batch = Batch {
                id: "b-1".to_owned(),
                start_time: Some(Timestamp {
                    seconds: 253_402_300_799,
                    nanos: 0,
                }),
                end_time: Some(Timestamp { seconds, nanos }),
                options: Some(BatchOptions {
                    limit: 7,
                    before: Some(Timestamp { seconds, nanos }),
                    ..BatchOptions::default()
                }),
                duration: Some(Duration {
                    seconds: i64::MAX,
                    nanos,
                }),
                ..Batch::default()
            };
            let response = ListBatchesResponse {
                batches: vec![batch],
                ..ListBatchesResponse::default()
            };
            let json = to_json(&response).unwrap();
            let batch = &json["batches"][0];
            assert_eq!(batch["id"], "b-1");
            assert_eq!(batch["start_time"], "9999-12-31T23:59:59Z");
            assert_eq!(batch["options"]["limit"], 7);
            for absent in [
                &batch["end_time"],
                &batch["duration"],
                &batch["options"]["before"],
            ] {
                assert!(absent.is_null(), "{json}");
            }
        }
    }
}
