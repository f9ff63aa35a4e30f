//! The rules: the one table of which right each call needs.

use super::right::Right;

/// What a call needs; none means that anybody may make it, whoever that is.
pub(crate) type Needed = Option<Right>;

const READ: Needed = Some(Right::Read);
const ARCHIVE: Needed = Some(Right::Archive);
const OPERATE: Needed = Some(Right::Operate);
const DESTROY: Needed = Some(Right::Destroy);
const NOTHING: Needed = None;

/// Each service with its methods. One that is missing here needs the highest right.
const RULES: &[(&str, &[(&str, Needed)])] = &[
    (
        "orderarchiver.v1.ArchiveService",
        &[
            ("ArchiveOrder", ARCHIVE),
            ("ArchiveOrders", ARCHIVE),
            ("GetArchivedOrder", READ),
            ("ListArchivedOrders", READ),
        ],
    ),
    (
        "orderarchiver.v1.BatchService",
        &[
            ("StartBatch", OPERATE),
            ("GetBatch", READ),
            ("ListBatches", READ),
            ("CancelBatch", OPERATE),
            ("TuneBatch", OPERATE),
            ("WatchBatch", READ),
        ],
    ),
    (
        "orderarchiver.v1.VerificationService",
        &[
            ("StartVerification", OPERATE),
            ("GetVerification", READ),
            ("ListVerifications", READ),
            ("CancelVerification", OPERATE),
            ("WatchVerification", READ),
            ("ListDifferences", READ),
            ("AcknowledgeDifference", OPERATE),
            ("ListAcknowledgements", READ),
            ("RepairOrders", DESTROY),
            ("ExplainOrder", READ),
            ("ListLedger", READ),
        ],
    ),
    (
        "orderarchiver.v1.WatcherService",
        &[
            ("GetWatcher", READ),
            ("PauseWatcher", OPERATE),
            ("ResumeWatcher", OPERATE),
        ],
    ),
    (
        "orderarchiver.v1.InstanceService",
        &[("ListInstances", READ), ("GetInstance", READ)],
    ),
    ("orderarchiver.v1.EventService", &[("TailEvents", READ)]),
    ("orderarchiver.v1.StatsService", &[("GetStats", READ)]),
    (
        "orderarchiver.v1.QuarantineService",
        &[
            ("ListQuarantined", READ),
            ("RetryQuarantined", OPERATE),
            ("DropQuarantined", DESTROY),
        ],
    ),
    ("orderarchiver.v1.SeedService", &[("SeedData", DESTROY)]),
    // Whoever probes holds no secret.
    (
        "grpc.health.v1.Health",
        &[("Check", NOTHING), ("Watch", NOTHING)],
    ),
    (
        "grpc.reflection.v1.ServerReflection",
        &[("ServerReflectionInfo", READ)],
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection",
        &[("ServerReflectionInfo", READ)],
    ),
];

/// Paths of HTTP that anybody may ask for; every other one needs `read`.
const OPEN_PATHS: [&str; 2] = ["/livez", "/readyz"];

/// What a call of gRPC needs, by its path.
pub(crate) fn of_grpc(path: &str) -> Needed {
    rule(path).unwrap_or(Some(Right::HIGHEST))
}

/// What a request of HTTP needs, by its path.
pub(crate) fn of_http(path: &str) -> Needed {
    match OPEN_PATHS.contains(&path) {
        true => NOTHING,
        false => READ,
    }
}

/// The rule of a path, if the table has it.
pub(crate) fn rule(path: &str) -> Option<Needed> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (_, methods) = RULES.iter().find(|(name, _)| *name == service)?;
    let (_, needed) = methods.iter().find(|(name, _)| *name == method)?;
    Some(*needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_table_needs_the_highest_right() {
        for path in [
            "/orderarchiver.v1.ArchiveService/PurgeOrders",
            "/orderarchiver.v1.ColdStorageService/Drop",
            "/orderarchiver.v1.ArchiveService/archiveorder",
            "/orderarchiver.v1.ArchiveService/ArchiveOrder/",
            "//orderarchiver.v1.ArchiveService/ArchiveOrder",
            "/grpc.health.v1.Health/",
            "/",
            "",
        ] {
            assert_eq!(of_grpc(path), Some(Right::HIGHEST), "{path}");
        }
        assert_eq!(of_grpc("/orderarchiver.v1.StatsService/GetStats"), READ);
        assert_eq!(of_grpc("/grpc.health.v1.Health/Check"), NOTHING);
    }

    #[test]
    fn probes_of_http_need_nothing_and_all_else_needs_read() {
        for open in OPEN_PATHS {
            assert_eq!(of_http(open), NOTHING);
        }
        for path in [
            "/",
            "/metrics",
            "/events",
            "/livez/",
            "/LIVEZ",
            "/page/main.js",
        ] {
            assert_eq!(of_http(path), READ, "{path}");
        }
    }
}
