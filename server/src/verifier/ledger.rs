//! The ledger's side of a run: a verification with a verdict leaves an entry before it ends, and an
//! earlier one tells which days of the archive it found sound.

use super::conclude::Conclusion;
use crate::{
    domain::{
        ledger::{Entry, Record},
        verify::{days::Days, plan::Scope},
    },
    store::{Error, Store, verifications::record::Verification},
};

/// Appends the entry of a verification, once however often it is asked for, and answers with its
/// record: that of an earlier run, where one was cut short before it could end the verification.
pub(super) async fn append(
    store: &Store,
    verification: &Verification,
    conclusion: &Conclusion,
) -> Result<Record, Error> {
    let head = &verification.head;
    let entry = Entry {
        verification: &head.id,
        instance: &head.instance,
        scope: match conclusion.full_because {
            Some(_) => Scope::Full,
            None => verification.scope,
        },
        depth: verification.options.depth,
        begun: head.started.unwrap_or(head.created),
        cluster_time: verification.checked_from,
        verdict: conclusion.verdict,
        counts: &conclusion.counts,
        days: &conclusion.days,
    };
    store.append_to_ledger(&entry).await
}

/// The digests of the archive's days by the latest verification that looked at all of it, byte by
/// byte, and found nothing altered or damaged; empty where there is none.
pub(super) async fn trusted_days(store: &Store) -> Result<Days, Error> {
    let Some(sound) = store.latest_sound().await? else {
        return Ok(Days::default());
    };
    let record = store.ledger_record_of(&sound).await?;
    Ok(record.and_then(|it| it.sound_days()).unwrap_or_default())
}
