//! Entries of the quarantine.

use order_archiver_api::v1 as pb;

use super::{document::Document, time::timestamp};
use crate::{
    domain::judge::Reason,
    store::{
        encoding::ext_json,
        quarantine::{
            record::Entry,
            release::{Cause, Release},
        },
    },
};

fn quarantine_reason(reason: Reason) -> pb::QuarantineReason {
    match reason {
        Reason::NoUsableNumber => pb::QuarantineReason::NoUsableNumber,
        Reason::NumberConflict => pb::QuarantineReason::NumberConflict,
        Reason::TooLarge => pb::QuarantineReason::TooLarge,
        Reason::Refused => pb::QuarantineReason::Refused,
    }
}

/// The reason of the contract as our own; none for the one that is not used.
pub(crate) fn reason(reason: pb::QuarantineReason) -> Option<Reason> {
    Reason::ALL
        .into_iter()
        .find(|own| quarantine_reason(*own) == reason)
}

/// An entry, with its document where one is given, or else the reason that there is none to be left
/// out.
pub(crate) fn quarantine_entry(entry: Entry, document: Document<'_>) -> pb::QuarantineEntry {
    let mut omitted_fields = Vec::new();
    let mut time = |name: &str, date| {
        let time = timestamp(date);
        if time.is_none() {
            omitted_fields.push(name.to_owned());
        }
        time
    };
    let first_seen_time = time("first_seen_time", entry.first_seen);
    let last_seen_time = time("last_seen_time", entry.last_seen);
    let document_json = document.json(&mut omitted_fields);
    pb::QuarantineEntry {
        id: entry.id,
        order_id_json: ext_json::shown(entry.order_id.as_ref(), 1024),
        numero_commande: entry.numero,
        reason: quarantine_reason(entry.refusal.reason).into(),
        detail: entry.refusal.detail,
        attempts: i32::try_from(entry.attempts).unwrap_or(i32::MAX),
        first_seen_time,
        last_seen_time,
        document_bytes: entry.bytes,
        document_json,
        omitted_fields,
        release: entry.release.map(release),
    }
}

fn release(release: Release) -> pb::Release {
    let cause = match release.cause {
        Cause::Dropped => pb::ReleaseCause::Dropped,
        Cause::Archived => pb::ReleaseCause::Archived,
    };
    let (instance, peer) = release
        .caller
        .map(|caller| (caller.instance, caller.peer))
        .unwrap_or_default();
    pb::Release {
        cause: cause.into(),
        instance,
        peer,
    }
}
