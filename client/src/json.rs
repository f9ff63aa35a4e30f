//! Messages as JSON: the contract's own field names, defaults included, 64-bit integers as numbers.

use std::sync::LazyLock;

use order_archiver_api::FILE_DESCRIPTOR_SET;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, value::Serializer};

/// The descriptors are compiled in, so a fault in them is a fault of the build.
static CONTRACT: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("protox encoded these descriptors")
});

/// Turns any message of the contract into ProtoJSON.
///
/// Integers of 64 bits are numbers rather than ProtoJSON's strings: no count here comes near 2^53, and `jq` can add numbers up.
pub(crate) fn to_json<M: Message + Name>(message: &M) -> Result<Value, serde_json::Error> {
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
    dynamic.serialize_with_options(Serializer, &OPTIONS)
}

#[cfg(test)]
mod tests {
    use order_archiver_api::v1::{Batch, BatchState, GetStatsResponse, OrderCounts};
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
                "database"
            ]
        );
    }

    #[test]
    fn a_time_that_json_cannot_hold_is_an_error() {
        let batch = Batch {
            end_time: Some(Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            ..Batch::default()
        };
        assert!(to_json(&batch).is_err());
    }
}
