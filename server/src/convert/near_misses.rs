//! Near misses.

use order_archiver_api::v1 as pb;
use prost::Message;

use super::remarks::first;
use crate::domain::{
    near_miss::{Beyond, NearMiss},
    near_miss_kind::Kind,
};

/// The most that the near misses of a message may take, in bytes: unless nearly all of them are as
/// long as can be, as many as are told at all fit.
const MOST_NEAR_MISSES: usize = 1024 * 1024;

/// As many near misses as a message carries, and what there is beyond them.
pub(crate) fn near_misses(
    misses: Vec<NearMiss>,
    beyond: Beyond,
) -> (Vec<pb::NearMiss>, Option<pb::MoreNearMisses>) {
    let orders = |misses: &[pb::NearMiss]| misses.iter().map(|miss| miss.orders).sum::<i64>();
    let misses: Vec<pb::NearMiss> = misses.into_iter().map(near_miss).collect();
    let all = orders(&misses);
    let (told, untold) = first(misses, MOST_NEAR_MISSES, Message::encoded_len);
    let more = pb::MoreNearMisses {
        statuses: beyond.statuses + i64::try_from(untold).unwrap_or(i64::MAX),
        orders: beyond.orders + all - orders(&told),
    };
    (told, (more.orders > 0).then_some(more))
}

fn near_miss(miss: NearMiss) -> pb::NearMiss {
    pb::NearMiss {
        status_escaped: miss.escaped(),
        status_json: miss.status,
        orders: miss.orders,
        examples: miss.examples,
        kind: kind_of(miss.kind).into(),
        difference: miss.difference,
        mend: miss.mend,
    }
}

/// A kind, or that it is not known.
pub(super) fn kind_of(known: Option<Kind>) -> pb::NearMissKind {
    known.map_or(pb::NearMissKind::Unspecified, kind)
}

fn kind(kind: Kind) -> pb::NearMissKind {
    match kind {
        Kind::Case => pb::NearMissKind::Case,
        Kind::Blanks => pb::NearMissKind::Blanks,
        Kind::AccentForm => pb::NearMissKind::AccentForm,
        Kind::Accents => pb::NearMissKind::Accents,
        Kind::Invisible => pb::NearMissKind::Invisible,
        Kind::Punctuation => pb::NearMissKind::Punctuation,
        Kind::LetterForms => pb::NearMissKind::LetterForms,
        Kind::Several => pb::NearMissKind::Several,
        Kind::List => pb::NearMissKind::List,
        Kind::Document => pb::NearMissKind::Document,
        Kind::Symbol => pb::NearMissKind::Symbol,
        Kind::Code => pb::NearMissKind::Code,
    }
}

/// The name of a kind in the contract, without its prefix.
pub(crate) fn kind_name(of: Kind) -> &'static str {
    kind(of).as_str_name().trim_start_matches("NEAR_MISS_KIND_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_beyond_a_message_are_counted() {
        let miss = |n: usize| NearMiss {
            status: format!("{n} {}", "x".repeat(2_000)),
            orders: 1,
            examples: vec!["CMD".to_owned()],
            ..NearMiss::default()
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
        assert!(told[0].status_json.starts_with("0 ") && (400..525).contains(&told.len()));
        assert_eq!(near_misses(vec![miss(1)], Beyond::default()).1, None);
    }

    #[test]
    fn every_kind_is_one_of_the_contract_under_the_same_name() {
        for number in 1..=12 {
            let of_contract = pb::NearMissKind::try_from(number).unwrap();
            let name = of_contract
                .as_str_name()
                .trim_start_matches("NEAR_MISS_KIND_");
            let own = Kind::of_name(&name.to_lowercase()).unwrap();
            assert_eq!((kind(own), kind_name(own)), (of_contract, name));
        }
        assert!(pb::NearMissKind::try_from(13).is_err());
    }
}
