//! Transient: which of the database's codes and labels are about the moment, and about no command
//! and no document.
//!
//! The codes are those that the server sorts into these categories itself, in
//! <https://github.com/mongodb/mongo/blob/007ba93486927dc7162c9b0f9d719e86b87fd8fe/src/mongo/base/error_codes.yml>
//! (2025), and the driver's (mongodb 3.9.1, `src/error.rs`); 6.0 knows a part of them. Codes that a
//! server never gives to a client (`InternalOnly`) are left out, and so are MaxTimeMSExpired,
//! CappedPositionLost and ChangeStreamHistoryLost, for which [`crate::store::Error`] has variants
//! of their own.

/// A category of transient codes.
struct Category {
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "names the list for people and the test")
    )]
    name: &'static str,
    codes: &'static [i32],
}

const fn category(name: &'static str, codes: &'static [i32]) -> Category {
    Category { name, codes }
}

const CATEGORIES: [Category; 12] = [
    // HostUnreachable, HostNotFound, NetworkTimeout, NetworkInterfaceExceededTimeLimit,
    // SocketException.
    category("NetworkError", &[6, 7, 89, 202, 9001]),
    // PrimarySteppedDown, LegacyNotPrimary, NotWritablePrimary, InterruptedDueToReplStateChange,
    // NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary.
    category("NotPrimaryError", &[189, 10058, 10107, 11602, 13435, 13436]),
    // ShutdownInProgress, InterruptedAtShutdown.
    category("ShutdownError", &[91, 11600]),
    // CallbackCanceled, PeriodicJobIsStopped, InterruptedDueToStorageChange, ClientMarkedKilled.
    category("CancellationError", &[90, 310, 355, 46841]),
    // LockTimeout, CursorKilled, ClientDisconnect, TransactionCoordinatorSteppingDown,
    // TransactionCoordinatorReachedAbortDecision, InterruptedDueToReshardingCriticalSection,
    // Interrupted, RetriableRemoteCommandFailure, InterruptedDueToFCVChange.
    category(
        "Interruption",
        &[24, 237, 279, 281, 282, 453, 11601, 91331, 10_045_600],
    ),
    // ExceededTimeLimit, TransactionExceededLifetimeLimitSeconds,
    // PooledConnectionAcquisitionExceededTimeLimit.
    category("ExceededTimeLimitError", &[262, 290, 407]),
    // ReadConcernMajorityNotAvailableYet, InternalTransactionNotSupported, ResourceExhausted,
    // MigrationBlockingOperationCoordinatorCleaningUp, UpdatesStillPending,
    // BackupCursorOpenConflictWithCheckpoint.
    category("RetriableError", &[134, 358, 402, 406, 412, 50915]),
    // AdmissionQueueOverflow, RateLimitExceeded, PooledConnectionAcquisitionRejected,
    // IngressRequestRateLimitExceeded.
    category("SystemOverloadedError", &[433, 449, 450, 462]),
    // WriteConcernTimeout, WriteConcernLegacyOK, UnknownReplWriteConcern,
    // UnsatisfiableWriteConcern.
    category("WriteConcernError", &[64, 75, 79, 100]),
    // SnapshotTooOld, SnapshotUnavailable, StaleChunkHistory, MigrationConflict.
    category("SnapshotError", &[239, 246, 250, 272]),
    // StaleShardVersion, StaleEpoch, StaleDbVersion (of no category, and of this kind),
    // StaleConfig.
    category("StaleShardVersionError", &[63, 150, 249, 13388]),
    // CursorNotFound, QueryPlanKilled, ObjectIsBusy; not OperationFailed, which says nothing of
    // why.
    category("CursorInvalidatedError", &[43, 175, 314]),
];

/// Codes of no category, each about a moment too.
const UNSORTED: [i32; 17] = [
    46,    // LockBusy
    74,    // NodeNotFound
    107,   // LockFailed
    112,   // WriteConflict
    117,   // ConflictingOperationInProgress
    133,   // FailedToSatisfyReadPreference
    208,   // TooManyLocks
    215,   // DatabaseDropPending
    216,   // ElectionInProgress
    234,   // RetryChangeStream
    264,   // TooManyFilesOpen
    267,   // PreparedTransactionInProgress
    365,   // TemporarilyUnavailable: the cache is full
    371,   // UserWritesBlocked: while data is moved to another cluster
    12586, // BackgroundOperationInProgressForDatabase
    12587, // BackgroundOperationInProgressForNamespace
    14031, // OutOfDiskSpace: somebody has to make room, and no document is at fault
];

/// Labels by which a server or the driver says the same, whatever the code: what a later version
/// brings is known by them.
const LABELS: [&str; 5] = [
    "RetryableWriteError",
    "TransientTransactionError",
    "ResumableChangeStreamError",
    "SystemOverloadedError",
    "RetryableError",
];

/// Whether a code is about the moment.
pub(in crate::store) fn is_transient(code: i32) -> bool {
    UNSORTED.contains(&code)
        || CATEGORIES
            .iter()
            .any(|category| category.codes.contains(&code))
}

/// All of them.
#[cfg(test)]
pub(super) fn codes() -> impl Iterator<Item = i32> {
    let sorted = CATEGORIES.iter().flat_map(|category| category.codes);
    sorted.copied().chain(UNSORTED)
}

/// Whether a label is about the moment.
pub(super) fn is_transient_label(label: &str) -> bool {
    LABELS.contains(&label)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::store::Error;

    /// What the driver takes for transient (mongodb 3.9.1, `src/error.rs`).
    const OF_THE_DRIVER: [&[i32]; 5] = [
        // RETRYABLE_READ_CODES
        &[
            11600, 11602, 10107, 13435, 13436, 189, 91, 7, 6, 89, 9001, 134, 262,
        ],
        // RECOVERING_CODES
        &[11600, 11602, 13436, 189, 91],
        // NOTWRITABLEPRIMARY_CODES
        &[10107, 13435, 10058],
        // SHUTTING_DOWN_CODES
        &[11600, 91],
        // CURSOR_NOT_FOUND_CODE
        &[43],
    ];

    /// What the server labels as retryable writes (specification of retryable writes, MongoDB 4.4
    /// and later).
    const RETRYABLE_WRITES: [i32; 12] = [
        6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
    ];

    #[test]
    fn whatever_the_driver_or_the_server_would_try_again_is_transient() {
        let driver = OF_THE_DRIVER.into_iter().flatten();
        for code in driver.chain(&RETRYABLE_WRITES).chain(&[365, 112]) {
            let error = Error::from_code("insert", *code, "");
            assert!(error.is_transient(), "{code}: {error:?}");
        }
    }

    #[test]
    fn each_code_stands_once_and_none_is_a_documents_own_fault() {
        let mut seen = HashSet::new();
        for Category { name, codes } in &CATEGORIES {
            for code in *codes {
                assert!(seen.insert(code), "{code} of {name} stands twice");
            }
        }
        assert!(UNSORTED.iter().all(|code| seen.insert(code)));
        // BadValue, InvalidBSON, DocumentValidationFailure, CannotIndexParallelArrays,
        // BSONObjectTooLarge, DuplicateKey.
        for code in [2, 22, 121, 171, 10334, 11000] {
            assert!(!is_transient(code), "{code}");
        }
    }

    #[test]
    fn a_label_makes_an_unknown_code_transient_and_no_code_of_another_meaning() {
        let error = |code, label| Error::from_reply("insert", code, "New", [label]);
        for label in LABELS {
            assert!(error(99_999, label).is_transient(), "{label}");
            assert!(matches!(error(286, label), Error::HistoryLost), "{label}");
        }
        assert!(!error(99_999, "NoWritesPerformed").is_transient());
    }
}
