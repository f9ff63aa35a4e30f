//! Between the server's own values and the messages of the contract.

use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};

use bson::{DateTime, RawDocument};
use order_archiver_api::v1 as pb;
use prost::Message;
use prost_types::Timestamp;

use crate::{
    domain::{
        counts::Counts,
        enrich::{ARCHIVED_BY, DATE_ARCHIVAGE, INCOMPLETE},
        judge::Reason,
        near_miss::{Beyond, NearMiss},
        order::NUMERO,
        raw::{self, ValueRef, kind},
        text::cut,
    },
    store::{
        archive::missing_fields,
        batches::{Batch, State, StopReason},
        format::Fault,
        json,
        options::{Limits, Options},
        quarantine::Entry,
        release::{Cause, Release},
        watch::{self, Gap},
    },
};

/// The most Extended JSON that a message carries, in bytes: callers take 4 MiB in all unless they say otherwise.
pub(crate) const MOST_JSON: usize = 3 * 1024 * 1024;

/// The longest text of an archived field that a message carries, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// The most of a number that a message carries, in bytes.
const LONGEST_NUMERO: usize = 1024;
/// The most that the near misses of a message may take, in bytes: as many as are told at all fit.
const MOST_NEAR_MISSES: usize = 512 * 1024;
/// The most that a batch's warnings may take in a message, in bytes.
const MOST_WARNINGS: usize = 256 * 1024;

/// A moment of BSON as one of protobuf; none beyond the years 1 to 9999, which a date of BSON can be and one of protobuf can't.
pub(crate) fn timestamp(date: DateTime) -> Option<Timestamp> {
    let millis = date.timestamp_millis();
    let seconds = millis.div_euclid(1000);
    MOMENTS.contains(&seconds).then(|| Timestamp {
        seconds,
        nanos: i32::try_from(millis.rem_euclid(1000) * 1_000_000).unwrap_or(0),
    })
}

/// What protobuf allows for the seconds of a moment: the years 1 to 9999.
const MOMENTS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// What protobuf allows for the seconds of a length of time.
const LENGTHS: RangeInclusive<i64> = 0..=315_576_000_000;
const NANOS: Range<i32> = 0..1_000_000_000;

/// A moment of protobuf as one of BSON, if it is one.
pub(crate) fn date(timestamp: &Timestamp) -> Option<DateTime> {
    let valid = MOMENTS.contains(&timestamp.seconds) && NANOS.contains(&timestamp.nanos);
    let millis = || timestamp.seconds * 1_000 + i64::from(timestamp.nanos) / 1_000_000;
    valid.then(|| DateTime::from_millis(millis()))
}

/// A length of time of protobuf as our own, if it is one and not negative.
pub(crate) fn length(duration: &prost_types::Duration) -> Option<Duration> {
    let valid = LENGTHS.contains(&duration.seconds) && NANOS.contains(&duration.nanos);
    let length = Duration::new(
        u64::try_from(duration.seconds).ok()?,
        u32::try_from(duration.nanos).ok()?,
    );
    valid.then_some(length)
}

/// A document of the server's own that can't be worked with.
pub(crate) fn unreadable(fault: &Fault) -> pb::UnreadableDocument {
    pb::UnreadableDocument {
        name: fault.name(),
        problem: fault.to_string(),
        newer: fault.is_newer(),
    }
}

/// A length of time in protobuf's form.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

pub(crate) fn counts(counts: Counts) -> pb::OrderCounts {
    let Counts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    } = counts;
    pb::OrderCounts {
        found,
        archived,
        duplicates,
        incomplete,
        errors,
        gone,
    }
}

/// As many near misses as a message carries, and what there is beyond them.
pub(crate) fn near_misses(
    misses: Vec<NearMiss>,
    beyond: Beyond,
) -> (Vec<pb::NearMiss>, Option<pb::MoreNearMisses>) {
    let orders = |misses: &[pb::NearMiss]| misses.iter().map(|miss| miss.orders).sum::<i64>();
    let misses = misses.into_iter().map(|miss| pb::NearMiss {
        status_json: miss.status,
        orders: miss.orders,
        examples: miss.examples,
    });
    let misses: Vec<pb::NearMiss> = misses.collect();
    let all = orders(&misses);
    let (told, untold) = first(misses, MOST_NEAR_MISSES, Message::encoded_len);
    let more = pb::MoreNearMisses {
        statuses: beyond.statuses + i64::try_from(untold).unwrap_or(i64::MAX),
        orders: beyond.orders + all - orders(&told),
    };
    (told, (more.orders > 0).then_some(more))
}

/// The first of these remarks, as many as so many bytes hold, and how many more there are.
fn first<T>(mut remarks: Vec<T>, most: usize, bytes: impl Fn(&T) -> usize) -> (Vec<T>, usize) {
    let all = remarks.len();
    let mut left = most;
    let fits = |remark: &T| {
        // Each also has a tag and its length.
        let size = bytes(remark) + 8;
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    let fitting = remarks.iter().map(fits).take_while(|fits| *fits).count();
    remarks.truncate(fitting);
    (remarks, all - fitting)
}

/// The options of a request, once its violations have been checked.
pub(crate) fn options(options: &pb::BatchOptions) -> Options {
    Options {
        limit: options.limit,
        before: options.before.as_ref().and_then(date),
        create_indexes: options.create_indexes,
        max_runtime: whole_millis(options.max_runtime.as_ref()).filter(|most| !most.is_zero()),
        validate_only: options.validate_only,
        limits: Limits {
            max_orders_per_second: options.max_orders_per_second.and_then(at_most),
            max_replication_lag: whole_millis(options.max_replication_lag.as_ref()),
            max_write_latency: whole_millis(options.max_write_latency.as_ref()),
        },
    }
}

/// The limits of a request, once its violations have been checked.
pub(crate) fn limits(tuning: &pb::TuneBatchRequest) -> Limits {
    Limits {
        max_orders_per_second: tuning.max_orders_per_second.and_then(at_most),
        max_replication_lag: whole_millis(tuning.max_replication_lag.as_ref()),
        max_write_latency: whole_millis(tuning.max_write_latency.as_ref()),
    }
}

fn at_most(orders: i32) -> Option<u32> {
    u32::try_from(orders).ok()
}

/// A length of time as exact as the database keeps it, so that a repeated request is found equal to what was kept of it.
fn whole_millis(length_of_time: Option<&prost_types::Duration>) -> Option<Duration> {
    let millis = length(length_of_time?)?.as_millis();
    u64::try_from(millis).ok().map(Duration::from_millis)
}

fn batch_options(options: &Options, limits: Limits) -> pb::BatchOptions {
    pb::BatchOptions {
        limit: options.limit,
        before: options.before.and_then(timestamp),
        max_runtime: options.max_runtime.map(duration),
        validate_only: options.validate_only,
        create_indexes: options.create_indexes,
        max_orders_per_second: limits
            .max_orders_per_second
            .map(|most| i32::try_from(most).unwrap_or(i32::MAX)),
        max_replication_lag: limits.max_replication_lag.map(duration),
        max_write_latency: limits.max_write_latency.map(duration),
    }
}

pub(crate) fn batch(batch: Batch, now: DateTime) -> pb::Batch {
    let until = batch.ended.unwrap_or(now);
    let millis = batch.started.map_or(0, |started| {
        until.timestamp_millis() - started.timestamp_millis()
    });
    let took = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let orders_per_second = if took.is_zero() {
        0.0
    } else {
        batch.counts.found as f64 / took.as_secs_f64()
    };
    let (near_misses, more_near_misses) = near_misses(batch.near_misses, batch.near_misses_beyond);
    let (mut warnings, unsaid) = first(batch.warnings, MOST_WARNINGS, String::len);
    if unsaid > 0 {
        warnings.push(format!(
            "this message leaves out {unsaid} more warnings, for which it has no room"
        ));
    }
    pb::Batch {
        id: batch.id,
        state: batch_state(batch.state).into(),
        stop_reason: batch
            .stop_reason
            .map_or(pb::BatchStopReason::Unspecified, stop_reason)
            .into(),
        message: batch.message,
        options: Some(batch_options(&batch.options, batch.limits)),
        counts: Some(counts(batch.counts)),
        estimated_total: batch.estimated_total,
        create_time: timestamp(batch.created),
        start_time: batch.started.and_then(timestamp),
        end_time: batch.ended.and_then(timestamp),
        update_time: timestamp(batch.updated),
        instance: batch.instance,
        request_id: batch.request_id.unwrap_or_default(),
        warnings,
        near_misses,
        more_near_misses,
        duration: Some(duration(took)),
        orders_per_second,
        throttle: batch.throttle,
        resumes: batch.resumes,
    }
}

fn batch_state(state: State) -> pb::BatchState {
    match state {
        State::Pending => pb::BatchState::Pending,
        State::Running => pb::BatchState::Running,
        State::Cancelling => pb::BatchState::Cancelling,
        State::Succeeded => pb::BatchState::Succeeded,
        State::Failed => pb::BatchState::Failed,
        State::Cancelled => pb::BatchState::Cancelled,
    }
}

/// The state of the contract as our own; none for the one that is not used.
pub(crate) fn state(state: pb::BatchState) -> Option<State> {
    [
        State::Pending,
        State::Running,
        State::Cancelling,
        State::Succeeded,
        State::Failed,
        State::Cancelled,
    ]
    .into_iter()
    .find(|own| batch_state(*own) == state)
}

fn stop_reason(reason: StopReason) -> pb::BatchStopReason {
    match reason {
        StopReason::Exhausted => pb::BatchStopReason::Exhausted,
        StopReason::Limit => pb::BatchStopReason::Limit,
        StopReason::MaxRuntime => pb::BatchStopReason::MaxRuntime,
        StopReason::Cancelled => pb::BatchStopReason::Cancelled,
        StopReason::Database => pb::BatchStopReason::Database,
        StopReason::Unbalanced => pb::BatchStopReason::Unbalanced,
        StopReason::Interrupted => pb::BatchStopReason::Interrupted,
    }
}

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

/// An entry, with its document where one is given, or else the reason that there is none to be left out.
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
        order_id_json: json::shown(entry.order_id.as_ref(), 1024),
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

pub(crate) fn archived_order(document: &RawDocument, with_document: bool) -> pb::ArchivedOrder {
    let mut fields = Fields {
        document,
        omitted: Vec::new(),
    };
    let whole_numero = raw::find(document, NUMERO).and_then(ValueRef::as_str);
    let numero_commande = numero(whole_numero.unwrap_or_default());
    if numero_commande.len() < whole_numero.map_or(0, str::len) {
        fields.omitted.push(NUMERO.to_owned());
    }
    let mut order = pb::ArchivedOrder {
        numero_commande,
        nom_client: fields.text("nom_client"),
        email_client: fields.text("email_client"),
        nom_livreur: fields.text("nom_livreur"),
        nom_restaurant: fields.text("nom_restaurant"),
        nom_menu: fields.text("nom_menu"),
        prix_menu: fields.amount("prix_menu"),
        cout_commande: fields.amount("coût_commande"),
        date_commande: fields.time("date_commande"),
        incomplete: raw::find(document, INCOMPLETE)
            .and_then(ValueRef::as_bool)
            .unwrap_or_default(),
        missing_fields: missing_fields(document),
        date_archivage: fields.time(DATE_ARCHIVAGE),
        archived_by: fields.text(ARCHIVED_BY).unwrap_or_default(),
        document_json: String::new(),
        document_bytes: i64::try_from(document.as_bytes().len()).unwrap_or(i64::MAX),
        omitted_fields: fields.omitted,
    };
    let document = if with_document {
        Document::Given(document)
    } else {
        Document::NotAsked
    };
    order.document_json = document.json(&mut order.omitted_fields);
    order
}

/// The number of an order, or as much of it as a message carries.
pub(crate) fn numero(numero: &str) -> String {
    cut(numero, LONGEST_NUMERO)
}

/// Fields of an archived order as a message carries them. What it can't carry is left out, and named.
struct Fields<'a> {
    document: &'a RawDocument,
    omitted: Vec<String>,
}

impl<'a> Fields<'a> {
    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.value(name).and_then(ValueRef::as_str)?;
        self.unless(text.len() > LONGEST_TEXT, name, text.to_owned())
    }

    fn time(&mut self, name: &str) -> Option<Timestamp> {
        let date = self.value(name).and_then(ValueRef::as_date)?;
        let time = timestamp(date);
        self.unless(time.is_none(), name, time)?
    }

    fn amount(&mut self, name: &str) -> Option<String> {
        let amount = self.value(name).and_then(amount)?;
        // NaN and infinity are numbers of the database, and no amounts.
        let finite = amount.ends_with(|last: char| last.is_ascii_digit());
        self.unless(!finite, name, amount)
    }

    fn value(&self, name: &str) -> Option<ValueRef<'a>> {
        raw::find(self.document, name)
    }

    fn unless<T>(&mut self, omit: bool, name: &str, value: T) -> Option<T> {
        if omit {
            self.omitted.push(name.to_owned());
        }
        (!omit).then_some(value)
    }
}

/// A moment of cluster time, to the second.
pub(crate) fn cluster_time(time: bson::Timestamp) -> Timestamp {
    Timestamp {
        seconds: time.time.into(),
        nanos: 0,
    }
}

pub(crate) fn gap(gap: &Gap) -> pb::Gap {
    pb::Gap {
        from_time: gap.from.map(cluster_time),
        to_time: Some(cluster_time(gap.to)),
        batch_id: gap.batch_id.clone(),
        cause: gap.cause.clone(),
    }
}

pub(crate) fn watcher_state(state: watch::State) -> pb::WatcherState {
    match state {
        watch::State::Starting => pb::WatcherState::Starting,
        watch::State::CatchingUp => pb::WatcherState::CatchingUp,
        watch::State::Watching => pb::WatcherState::Watching,
        watch::State::Paused => pb::WatcherState::Paused,
        watch::State::Retrying => pb::WatcherState::Retrying,
        watch::State::Unsupported => pb::WatcherState::Unsupported,
        watch::State::Stopped => pb::WatcherState::Stopped,
    }
}

/// A number as exact decimal text.
fn amount(value: ValueRef<'_>) -> Option<String> {
    Some(match value.kind {
        kind::INT32 => i32::from_le_bytes(value.fixed()?).to_string(),
        kind::INT64 => i64::from_le_bytes(value.fixed()?).to_string(),
        kind::DOUBLE => f64::from_le_bytes(value.fixed()?).to_string(),
        kind::DECIMAL => bson::Decimal128::from_bytes(value.fixed()?).to_string(),
        _ => return None,
    })
}

/// A document that a message may carry.
#[derive(Clone, Copy)]
pub(crate) enum Document<'a> {
    /// It was not asked for.
    NotAsked,
    /// It is known to be too large.
    TooLarge,
    /// It may yet be too large as text.
    Given(&'a RawDocument),
}

impl Document<'_> {
    /// Its Extended JSON. Empty, and noted as left out, where that is more than a message carries.
    fn json(self, omitted: &mut Vec<String>) -> String {
        let text = match self {
            Document::NotAsked => return String::new(),
            // Extended JSON can be several times larger than the BSON it shows, so small documents alone are worth a try.
            Document::Given(document) if document.as_bytes().len() <= MOST_JSON => {
                Some(json::canonical(document))
            }
            Document::Given(_) | Document::TooLarge => None,
        };
        let text = text.filter(|text| text.len() <= MOST_JSON);
        text.unwrap_or_else(|| {
            omitted.push("document_json".to_owned());
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_convert_both_ways() {
        for millis in [
            -1,
            0,
            1,
            -1_000,
            1_767_225_600_123,
            -62_135_596_800_000,
            253_402_300_799_999,
        ] {
            let moment = DateTime::from_millis(millis);
            assert_eq!(date(&timestamp(moment).unwrap()), Some(moment));
        }
    }

    #[test]
    fn moments_beyond_protobuf_are_none() {
        for millis in [-62_135_596_800_001, 253_402_300_800_000, i64::MIN, i64::MAX] {
            assert_eq!(timestamp(DateTime::from_millis(millis)), None, "{millis}");
        }
    }

    #[test]
    fn what_a_message_cannot_carry_is_left_out_by_name() {
        let document = bson::rawdoc! {
            "numero_commande": "x".repeat(5_000_000), "nom_client": "x".repeat(5_000_000), "email_client": "a@b.fr",
            "nom_menu": "x".repeat(LONGEST_TEXT), "prix_menu": f64::NAN, "coût_commande": f64::NEG_INFINITY,
            "date_commande": DateTime::from_millis(253_402_300_800_000), "date_archivage": DateTime::MIN,
            "missing_fields": ["nom_livreur", 5, "x".repeat(5_000_000)],
        };
        let order = archived_order(&document, true);
        assert!(order.encoded_len() < 128 * 1024, "{}", order.encoded_len());
        let left_out = [
            "numero_commande",
            "nom_client",
            "prix_menu",
            "coût_commande",
            "date_commande",
            "date_archivage",
            "document_json",
        ];
        assert_eq!(order.omitted_fields, left_out);
        assert_eq!(order.nom_client, None);
        assert_eq!(order.email_client.as_deref(), Some("a@b.fr"));
        assert_eq!(order.missing_fields, ["nom_livreur"]);
        assert!(
            order.numero_commande.len() <= LONGEST_NUMERO
                && order.numero_commande.starts_with("xxx")
        );
        let infinite: bson::Decimal128 = "Infinity".parse().unwrap();
        let order = archived_order(&bson::rawdoc! { "prix_menu": infinite }, false);
        assert_eq!(
            (order.prix_menu, order.omitted_fields),
            (None, vec!["prix_menu".to_owned()])
        );
    }

    #[test]
    fn remarks_beyond_a_message_are_counted() {
        let miss = |n: usize| NearMiss {
            status: format!("{n} {}", "x".repeat(1_000)),
            orders: 1,
            examples: vec!["CMD".to_owned()],
        };
        let beyond = Beyond {
            statuses: 3,
            orders: 5,
        };
        let (told, more) = near_misses((0..10_000).map(miss).collect(), beyond);
        let more = more.unwrap();
        let told_count = i64::try_from(told.len()).unwrap();
        assert_eq!(told_count + more.statuses, 10_003);
        assert_eq!(told_count + more.orders, 10_005);
        assert!(told[0].status_json.starts_with("0 ") && (400..520).contains(&told.len()));
        assert_eq!(near_misses(vec![miss(1)], Beyond::default()).1, None);
    }

    #[test]
    fn what_protobuf_calls_invalid_is_neither_moment_nor_length() {
        let table = [
            (i64::MAX, 0),
            (i64::MIN, 0),
            (253_402_300_800, -1),
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, i32::MAX),
        ];
        for (seconds, nanos) in table {
            assert_eq!(date(&Timestamp { seconds, nanos }), None);
            assert_eq!(length(&prost_types::Duration { seconds, nanos }), None);
        }
        let negative = prost_types::Duration {
            seconds: -1,
            nanos: 0,
        };
        assert_eq!(length(&negative), None);
    }

    #[test]
    fn amounts_are_exact_text() {
        let document = bson::rawdoc! { "a": 12.5, "b": 12_i64, "c": "12,5", "d": -3 };
        let amounts =
            ["a", "b", "c", "d"].map(|field| raw::find(&document, field).and_then(amount));
        assert_eq!(
            amounts,
            [
                Some("12.5".to_owned()),
                Some("12".to_owned()),
                None,
                Some("-3".to_owned())
            ]
        );
    }
}
