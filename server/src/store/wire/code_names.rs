//! Names of error codes: of a single document's error the database says the number alone.
//!
//! From the server's own table,
//! <https://github.com/mongodb/mongo/blob/007ba93486927dc7162c9b0f9d719e86b87fd8fe/src/mongo/base/error_codes.yml>.

use std::borrow::Cow;

/// The codes that a write can be answered with.
#[rustfmt::skip]
const NAMES: &[(i32, &str)] = &[
    (1, "InternalError"), (2, "BadValue"), (6, "HostUnreachable"), (7, "HostNotFound"), (8, "UnknownError"),
    (9, "FailedToParse"), (13, "Unauthorized"), (14, "TypeMismatch"), (15, "Overflow"), (16, "InvalidLength"),
    (18, "AuthenticationFailed"), (20, "IllegalOperation"), (22, "InvalidBSON"), (24, "LockTimeout"),
    (26, "NamespaceNotFound"), (27, "IndexNotFound"), (28, "PathNotViable"), (43, "CursorNotFound"), (46, "LockBusy"),
    (48, "NamespaceExists"), (50, "MaxTimeMSExpired"), (52, "DollarPrefixedFieldName"), (53, "InvalidIdField"),
    (54, "NotSingleValueField"), (55, "InvalidDBRef"), (56, "EmptyFieldName"), (57, "DottedFieldName"),
    (61, "ShardKeyNotFound"), (63, "StaleShardVersion"), (64, "WriteConcernTimeout"), (66, "ImmutableField"),
    (67, "CannotCreateIndex"), (72, "InvalidOptions"), (73, "InvalidNamespace"), (74, "NodeNotFound"),
    (75, "WriteConcernLegacyOK"), (79, "UnknownReplWriteConcern"), (85, "IndexOptionsConflict"),
    (86, "IndexKeySpecsConflict"), (89, "NetworkTimeout"), (90, "CallbackCanceled"), (91, "ShutdownInProgress"),
    (96, "OperationFailed"), (100, "UnsatisfiableWriteConcern"), (107, "LockFailed"), (112, "WriteConflict"),
    (115, "CommandNotSupported"), (117, "ConflictingOperationInProgress"), (121, "DocumentValidationFailure"),
    (133, "FailedToSatisfyReadPreference"), (134, "ReadConcernMajorityNotAvailableYet"), (150, "StaleEpoch"),
    (166, "CommandNotSupportedOnView"), (171, "CannotIndexParallelArrays"), (175, "QueryPlanKilled"),
    (189, "PrimarySteppedDown"), (202, "NetworkInterfaceExceededTimeLimit"), (208, "TooManyLocks"),
    (215, "DatabaseDropPending"), (216, "ElectionInProgress"), (234, "RetryChangeStream"), (237, "CursorKilled"),
    (239, "SnapshotTooOld"), (246, "SnapshotUnavailable"), (249, "StaleDbVersion"), (250, "StaleChunkHistory"),
    (262, "ExceededTimeLimit"), (264, "TooManyFilesOpen"), (267, "PreparedTransactionInProgress"),
    (272, "MigrationConflict"), (279, "ClientDisconnect"), (281, "TransactionCoordinatorSteppingDown"),
    (282, "TransactionCoordinatorReachedAbortDecision"), (290, "TransactionExceededLifetimeLimitSeconds"),
    (310, "PeriodicJobIsStopped"), (314, "ObjectIsBusy"), (355, "InterruptedDueToStorageChange"),
    (357, "InvalidBSONType"), (358, "InternalTransactionNotSupported"), (365, "TemporarilyUnavailable"),
    (371, "UserWritesBlocked"), (378, "NonConformantBSON"), (402, "ResourceExhausted"),
    (406, "MigrationBlockingOperationCoordinatorCleaningUp"), (407, "PooledConnectionAcquisitionExceededTimeLimit"),
    (412, "UpdatesStillPending"), (433, "AdmissionQueueOverflow"), (449, "RateLimitExceeded"),
    (450, "PooledConnectionAcquisitionRejected"), (453, "InterruptedDueToReshardingCriticalSection"),
    (462, "IngressRequestRateLimitExceeded"), (9001, "SocketException"), (10058, "LegacyNotPrimary"),
    (10107, "NotWritablePrimary"), (10334, "BSONObjectTooLarge"), (11000, "DuplicateKey"),
    (11600, "InterruptedAtShutdown"), (11601, "Interrupted"), (11602, "InterruptedDueToReplStateChange"),
    (12586, "BackgroundOperationInProgressForDatabase"), (12587, "BackgroundOperationInProgressForNamespace"),
    (13388, "StaleConfig"), (13435, "NotPrimaryNoSecondaryOk"), (13436, "NotPrimaryOrSecondary"),
    (14031, "OutOfDiskSpace"), (17280, "KeyTooLong"), (46841, "ClientMarkedKilled"),
    (50915, "BackupCursorOpenConflictWithCheckpoint"), (91331, "RetriableRemoteCommandFailure"),
    (10_045_600, "InterruptedDueToFCVChange"),
];

/// The name of a code; of one without a name what the database itself calls it.
pub(in crate::store) fn code_name(code: i32) -> Cow<'static, str> {
    match NAMES.binary_search_by_key(&code, |(code, _)| *code) {
        Ok(at) => NAMES[at].1.into(),
        Err(_) => format!("Location{code}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{archive::refusals::OF_THE_DOCUMENT, wire::transient};

    #[test]
    fn every_code_that_this_server_knows_a_meaning_of_has_a_name() {
        assert!(NAMES.is_sorted_by(|one, other| one.0 < other.0));
        for code in OF_THE_DOCUMENT.into_iter().chain(transient::codes()) {
            assert!(!code_name(code).starts_with("Location"), "{code}");
        }
    }
}
