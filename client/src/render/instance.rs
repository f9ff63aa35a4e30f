//! Instances: who works on the database, since when, and what each holds.

use order_archiver_api::v1::Instance;

use super::{
    grid,
    units::{moment, moment_or_dash},
};

/// Instances, one a row.
pub(crate) fn table(instances: &[Instance]) -> String {
    let rows = instances.iter().map(|instance| {
        [
            instance.name.clone(),
            address(instance),
            instance.version.clone(),
            moment_or_dash(instance.start_time.as_ref()),
            holds(instance),
        ]
    });
    grid::table(
        ["INSTANCE", "ADDRESS", "VERSION", "SINCE", "HOLDS"],
        &[],
        rows,
    )
}

/// Where it can be asked. One that listens at every address of its machine is found by the
/// machine's name.
pub(crate) fn address(instance: &Instance) -> String {
    let address = instance.address.as_str();
    match address
        .strip_prefix("0.0.0.0:")
        .or(address.strip_prefix("[::]:"))
    {
        Some(port) if !instance.host.is_empty() => format!("{}:{port}", instance.host),
        _ if address.is_empty() => "-".to_owned(),
        _ => address.to_owned(),
    }
}

pub(crate) fn holds(instance: &Instance) -> String {
    let mut parts = Vec::new();
    parts.extend(
        instance
            .watch_epoch
            .map(|epoch| format!("the watch (epoch {epoch})")),
    );
    if !instance.batch_id.is_empty() {
        parts.push(format!("batch {}", instance.batch_id));
    }
    if !instance.verification_id.is_empty() {
        parts.push(format!("verification {}", instance.verification_id));
    }
    if instance.builds_index {
        parts.push("the build of the unique index".to_owned());
    }
    let held = parts.join(", ");
    match (instance.gone, held.is_empty()) {
        (true, nothing) => {
            let since = instance.alive_time.as_ref().map(moment);
            let since = since.unwrap_or_else(|| "an unknown time".to_owned());
            let held = if nothing { "nothing" } else { &held };
            format!("gone since {since}; held {held}")
        }
        (false, false) => held,
        (false, true) if instance.may_watch => "nothing; on standby to watch".to_owned(),
        (false, true) => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn instance(name: &str, address: &str) -> Instance {
        Instance {
            name: name.to_owned(),
            host: "pod-7".to_owned(),
            address: address.to_owned(),
            version: "0.1.0".to_owned(),
            start_time: at(1_760_624_625),
            alive_time: at(1_760_628_225),
            ..Instance::default()
        }
    }

    #[test]
    fn each_is_listed_with_where_it_is_and_what_it_holds() {
        let instances = [
            Instance {
                may_watch: true,
                watch_epoch: Some(3),
                batch_id: "b-7".to_owned(),
                ..instance("archd-1", "10.0.0.1:50051")
            },
            Instance {
                may_watch: true,
                ..instance("archd-2", "0.0.0.0:50051")
            },
            Instance {
                builds_index: true,
                verification_id: "v-1".to_owned(),
                ..instance("archd-3", "[::]:50051")
            },
            instance("nightly", ""),
            Instance {
                gone: true,
                watch_epoch: Some(2),
                ..instance("old", "10.0.0.2:50051")
            },
            Instance {
                gone: true,
                alive_time: None,
                ..instance("older", "")
            },
        ];
        assert_eq!(
            table(&instances),
            "\
INSTANCE  ADDRESS         VERSION  SINCE                 HOLDS
archd-1   10.0.0.1:50051  0.1.0    2025-10-16 14:23:45Z  the watch (epoch 3), batch b-7
archd-2   pod-7:50051     0.1.0    2025-10-16 14:23:45Z  nothing; on standby to watch
archd-3   pod-7:50051     0.1.0    2025-10-16 14:23:45Z  verification v-1, the build of the unique index
nightly   -               0.1.0    2025-10-16 14:23:45Z  nothing
old       10.0.0.2:50051  0.1.0    2025-10-16 14:23:45Z  gone since 2025-10-16 15:23:45Z; held the watch (epoch 2)
older     -               0.1.0    2025-10-16 14:23:45Z  gone since an unknown time; held nothing"
        );
    }
}
