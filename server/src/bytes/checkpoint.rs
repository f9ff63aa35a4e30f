//! A checkpoint: a place in the database's history that is trusted only after it has been looked
//! at.
//!
//! The database follows almost any place it is given: one in the future, or of another collection,
//! is an empty stream that looks healthy. So a checkpoint says what it belongs to and is sealed,
//! and a bad one is recognised before it is followed.

use bson::{RawDocument, RawDocumentBuf, Timestamp};
use sha2::{Digest, Sha256};

use super::raw::{self, ValueRef, Writer, kind};

/// A place in the history, and when it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The whole token: some carry more than their `_data`.
    pub position: RawDocumentBuf,
    /// The cluster time of the place.
    pub time: Timestamp,
}

/// What a checkpoint belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Database and collection.
    pub namespace: String,
    /// A hash of the stream's pipeline: a token of one filter is no good to another.
    pub pipeline: String,
}

/// Where a stream may begin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Validated {
    /// Right after this place.
    Place(Checkpoint),
    /// At this moment: the place itself belongs to another filter.
    Time(Timestamp),
    /// Nowhere: there is no checkpoint.
    Nothing,
    /// Nowhere, because of this.
    Bad(&'static str),
}

/// The cluster time inside a token: after its first byte, seconds and increment as big-endian
/// numbers. (<https://github.com/mongodb/mongo/blob/master/src/mongo/db/pipeline/resume_token.h>)
pub fn time_of(position: &RawDocument) -> Option<Timestamp> {
    let data = raw::find(position, "_data")?.as_str()?;
    let bytes = hex::decode(data.get(2..18)?).ok()?;
    let part = |range: std::ops::Range<usize>| bytes[range].try_into().map(u32::from_be_bytes).ok();
    Some(Timestamp {
        time: part(0..4)?,
        increment: part(4..8)?,
    })
}

/// Whether a place lies after another one: the texts of tokens have the order of the history.
pub(crate) fn is_after(place: &RawDocument, other: &RawDocument) -> bool {
    let data = |place| raw::find(place, "_data").and_then(ValueRef::as_str);
    data(place) > data(other)
}

/// The checkpoint as it is stored.
pub fn seal(checkpoint: &Checkpoint, identity: &Identity) -> RawDocumentBuf {
    let mut writer = Writer::default();
    writer.document("token", &checkpoint.position);
    writer.value("time", time_value(&time_bytes(checkpoint.time)));
    writer.string("namespace", &identity.namespace);
    writer.string("pipeline", &identity.pipeline);
    writer.string("checksum", &checksum(checkpoint, identity));
    writer.finish()
}

/// Where a stream of this identity may begin, given what is stored and the time it is now.
pub(crate) fn validate(
    stored: Option<ValueRef<'_>>,
    identity: &Identity,
    now: Timestamp,
) -> Validated {
    let Some(stored) = stored.filter(|stored| !stored.is_null()) else {
        return Validated::Nothing;
    };
    let Some((checkpoint, own, checksum)) = read(stored) else {
        return Validated::Bad("the checkpoint is torn");
    };
    if checksum != self::checksum(&checkpoint, &own) {
        return Validated::Bad("the checkpoint was altered");
    }
    if own.namespace != identity.namespace {
        return Validated::Bad("the checkpoint belongs to another collection");
    }
    if checkpoint.time > now {
        return Validated::Bad("the checkpoint lies in the future");
    }
    if own.pipeline != identity.pipeline {
        return Validated::Time(checkpoint.time);
    }
    Validated::Place(checkpoint)
}

fn read(stored: ValueRef<'_>) -> Option<(Checkpoint, Identity, String)> {
    let field = |name: &str| {
        stored
            .elements()
            .find(|element| element.key == name.as_bytes())
            .map(|element| element.value)
    };
    let text = |name| field(name).and_then(ValueRef::as_str).map(str::to_owned);
    let token = field("token").filter(|token| token.kind == kind::DOCUMENT)?;
    let time = field("time").filter(|time| time.kind == kind::TIMESTAMP)?;
    let checkpoint = Checkpoint {
        position: RawDocumentBuf::from_bytes(token.bytes.to_vec()).ok()?,
        time: timestamp(time.fixed()?),
    };
    let identity = Identity {
        namespace: text("namespace")?,
        pipeline: text("pipeline")?,
    };
    Some((checkpoint, identity, text("checksum")?))
}

fn checksum(checkpoint: &Checkpoint, identity: &Identity) -> String {
    let hash = Sha256::new()
        .chain_update(checkpoint.position.as_bytes())
        .chain_update(time_bytes(checkpoint.time))
        .chain_update(&identity.namespace)
        .chain_update([0])
        .chain_update(&identity.pipeline)
        .finalize();
    hex::encode(&hash[..16])
}

/// BSON puts the increment first.
fn time_bytes(time: Timestamp) -> [u8; 8] {
    ((u64::from(time.time) << 32) | u64::from(time.increment)).to_le_bytes()
}

fn timestamp(bytes: [u8; 8]) -> Timestamp {
    let both = u64::from_le_bytes(bytes);
    Timestamp {
        time: (both >> 32) as u32,
        increment: both as u32,
    }
}

fn time_value(bytes: &[u8]) -> ValueRef<'_> {
    ValueRef {
        kind: kind::TIMESTAMP,
        bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    const NOW: Timestamp = Timestamp {
        time: 2_000,
        increment: 0,
    };

    fn checkpoint() -> Checkpoint {
        let position = rawdoc! { "_data": "82000003E8000000072B0229296E04", "_typeBits": 1 };
        Checkpoint {
            time: time_of(&position).unwrap(),
            position,
        }
    }

    fn identity() -> Identity {
        Identity {
            namespace: "livraison.Commande".to_owned(),
            pipeline: "abc".to_owned(),
        }
    }

    fn validated(stored: &RawDocument, now: Timestamp) -> Validated {
        let value = ValueRef {
            kind: kind::DOCUMENT,
            bytes: stored.as_bytes(),
        };
        validate(Some(value), &identity(), now)
    }

    #[test]
    fn a_token_knows_its_time() {
        assert_eq!(
            checkpoint().time,
            Timestamp {
                time: 1_000,
                increment: 7
            }
        );
        for bad in [
            rawdoc! {},
            rawdoc! { "_data": "82" },
            rawdoc! { "_data": 5 },
            rawdoc! { "_data": "82zz0003E800000007" },
        ] {
            assert_eq!(time_of(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_good_checkpoint_comes_back_whole() {
        assert_eq!(
            validated(&seal(&checkpoint(), &identity()), NOW),
            Validated::Place(checkpoint())
        );
        assert_eq!(validate(None, &identity(), NOW), Validated::Nothing);
    }

    #[test]
    fn a_wrong_checkpoint_is_recognised() {
        let sealed = seal(&checkpoint(), &identity());
        let elsewhere = seal(
            &checkpoint(),
            &Identity {
                namespace: "livraison.Autre".to_owned(),
                ..identity()
            },
        );
        assert_eq!(
            validated(&elsewhere, NOW),
            Validated::Bad("the checkpoint belongs to another collection")
        );
        assert_eq!(
            validated(
                &sealed,
                Timestamp {
                    time: 1_000,
                    increment: 6
                }
            ),
            Validated::Bad("the checkpoint lies in the future")
        );
        assert_eq!(
            validated(&rawdoc! {}, NOW),
            Validated::Bad("the checkpoint is torn")
        );
        assert_eq!(
            validate(
                Some(raw::find(&rawdoc! { "c": 5 }, "c").unwrap()),
                &identity(),
                NOW
            ),
            Validated::Bad("the checkpoint is torn")
        );
    }

    #[test]
    fn another_filter_begins_at_the_time_of_the_place() {
        let other = seal(
            &checkpoint(),
            &Identity {
                pipeline: "def".to_owned(),
                ..identity()
            },
        );
        assert_eq!(validated(&other, NOW), Validated::Time(checkpoint().time));
    }

    #[test]
    fn no_flipped_bit_leads_to_another_place() {
        let sealed = seal(&checkpoint(), &identity()).into_bytes();
        for bit in 32..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let value = ValueRef {
                kind: kind::DOCUMENT,
                bytes: &flipped,
            };
            // Some bits say nothing, such as those after the end.
            let validated = validate(Some(value), &identity(), NOW);
            let harmless = matches!(validated, Validated::Bad(_))
                || validated == Validated::Place(checkpoint());
            assert!(harmless, "bit {bit}: {validated:?}");
        }
    }
}
