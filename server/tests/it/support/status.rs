//! What a status says to programs, and whether it is worth a retry.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The reason that a status gives, and the fields that it names.
pub(crate) fn faults(status: &Status) -> (String, Vec<String>) {
    let info = status
        .get_details_error_info()
        .unwrap_or_else(|| panic!("{status:?} gives no reason"));
    assert_eq!(info.domain, "orderarchiver.v1", "{status:?}");
    let fields = status.get_details_bad_request().into_iter();
    let fields = fields.flat_map(|faults| faults.field_violations);
    (
        info.reason,
        fields.map(|violation| violation.field).collect(),
    )
}

/// That a status is worth a retry, and says so to programs.
pub(crate) fn assert_unavailable(status: &Status, reason: &str) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(faults(status).0, reason, "{status:?}");
    let retry = status.get_details_retry_info().unwrap();
    assert!(retry.retry_delay.is_some(), "{status:?}");
}

/// That somebody has to mend something, and no program is to ask again before.
pub(crate) fn assert_unusable(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert_eq!(faults(status).0, "DATABASE_UNUSABLE", "{status:?}");
    assert!(status.get_details_retry_info().is_none(), "{status:?}");
}
