//! When two ids are equal: as MongoDB compares them, so that a join in Rust finds what a `$lookup`
//! finds.

use super::raw::{ValueRef, kind};

/// The most significant digits that a decimal has.
const DECIMAL_DIGITS: u32 = 34;

/// An id in a form in which equal ids have equal bytes.
///
/// Numbers are equal across their types: 1, 1.0, NumberLong(1) and NumberDecimal("1.00") are one
/// key. A string never equals a number. Null, arrays, documents and all other types are no ids:
/// they join nothing, so they have no key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum JoinKey {
    /// A whole number that fits 64 bits, whatever its type was.
    Integer(i64),
    /// Any other finite number: `digits` × 10^`exponent`, without trailing zeros.
    Fraction {
        /// Below zero.
        negative: bool,
        /// The significant digits, at most 34 of them: a number of 128 bits, by its bytes, so that
        /// a key takes no more than 24.
        digits: [u8; 16],
        /// The power of ten.
        exponent: i32,
    },
    /// A double, by its bits, that takes more digits than a decimal has: no number of another type
    /// is equal to it.
    Double(u64),
    /// An infinite number.
    Infinity {
        /// Below zero.
        negative: bool,
    },
    /// Not a number, which MongoDB holds equal to itself.
    NotANumber,
    /// A string, byte by byte.
    Text(Box<[u8]>),
    /// An ObjectId.
    ObjectId([u8; 12]),
}

impl JoinKey {
    /// The key of an id, if the value can be one.
    pub(crate) fn of(value: ValueRef<'_>) -> Option<JoinKey> {
        Some(match value.kind {
            kind::INT32 => JoinKey::Integer(i32::from_le_bytes(value.fixed()?).into()),
            kind::INT64 => JoinKey::Integer(i64::from_le_bytes(value.fixed()?)),
            kind::DOUBLE => of_double(f64::from_le_bytes(value.fixed()?)),
            kind::DECIMAL => of_decimal(u128::from_le_bytes(value.fixed()?)),
            kind::STRING => JoinKey::Text(value.string_bytes()?.into()),
            kind::OBJECT_ID => JoinKey::ObjectId(value.fixed()?),
            _ => return None,
        })
    }
}

/// Whether ids of a type, by the database's name for it, have a key. None at all, and null, is no
/// id that could be of another type.
pub(crate) fn may_join(of_type: &str) -> bool {
    const TYPES: [&str; 9] = [
        "int",
        "long",
        "double",
        "decimal",
        "string",
        "objectId",
        "null",
        "undefined",
        "missing",
    ];
    TYPES.contains(&of_type)
}

/// MongoDB compares a double with a decimal exactly.
fn of_double(number: f64) -> JoinKey {
    if number.is_nan() {
        return JoinKey::NotANumber;
    }
    if number.is_infinite() {
        return JoinKey::Infinity {
            negative: number < 0.0,
        };
    }
    if number.fract() == 0.0 && number.abs() < 2f64.powi(63) {
        return JoinKey::Integer(number as i64);
    }
    // No double has more than 767 significant digits.
    let text = format!("{:.766e}", number.abs());
    let (mantissa, exponent) = text.split_once('e').expect("`e` is in the format");
    let digits = mantissa.replace('.', "");
    let digits = digits.trim_end_matches('0');
    if digits.len() > DECIMAL_DIGITS as usize {
        return JoinKey::Double(number.to_bits());
    }
    let exponent: i32 = exponent.parse().expect("a double's exponent is small");
    let exponent = exponent - (digits.len() as i32 - 1);
    let digits = digits.parse().expect("34 digits fit 128 bits");
    normal(number < 0.0, digits, exponent)
}

/// Decodes IEEE 754 decimal128 in its binary integer form, the one that BSON uses.
fn of_decimal(bits: u128) -> JoinKey {
    const COEFFICIENT_BITS: u32 = 113;
    const LARGEST: u128 = 10u128.pow(DECIMAL_DIGITS) - 1;
    let negative = bits >> 127 == 1;
    match (bits >> 122) & 0b11111 {
        0b11111 => return JoinKey::NotANumber,
        0b11110 => return JoinKey::Infinity { negative },
        _ => {}
    }
    // Where both bits are set the coefficient would have more than 34 digits; the standard reads it
    // as zero.
    if (bits >> 125) & 0b11 == 0b11 {
        return JoinKey::Integer(0);
    }
    let coefficient = bits & ((1 << COEFFICIENT_BITS) - 1);
    let exponent = ((bits >> COEFFICIENT_BITS) & 0x3fff) as i32 - 6176;
    normal(
        negative,
        if coefficient > LARGEST {
            0
        } else {
            coefficient
        },
        exponent,
    )
}

fn normal(negative: bool, mut digits: u128, mut exponent: i32) -> JoinKey {
    if digits == 0 {
        return JoinKey::Integer(0);
    }
    while digits.is_multiple_of(10) {
        digits /= 10;
        exponent += 1;
    }
    let whole = u32::try_from(exponent)
        .ok()
        .and_then(|power| 10i128.checked_pow(power))
        .and_then(|power| (digits as i128).checked_mul(power));
    match whole.and_then(|whole| i64::try_from(if negative { -whole } else { whole }).ok()) {
        Some(integer) => JoinKey::Integer(integer),
        None => JoinKey::Fraction {
            negative,
            digits: digits.to_le_bytes(),
            exponent,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::raw;
    use bson::{Bson, RawDocumentBuf, doc, oid::ObjectId};

    fn key(value: impl Into<Bson>) -> Option<JoinKey> {
        let document = RawDocumentBuf::try_from(&doc! { "id": value.into() }).unwrap();
        JoinKey::of(raw::find(&document, "id").unwrap())
    }

    fn decimal(text: &str) -> Bson {
        Bson::Decimal128(text.parse().unwrap())
    }

    #[test]
    fn equal_ids_have_one_key() {
        let families: &[&[Bson]] = &[
            &[
                1.into(),
                1i64.into(),
                1.0.into(),
                decimal("1"),
                decimal("1.00"),
                decimal("10E-1"),
            ],
            &[
                0.into(),
                0.0.into(),
                (-0.0).into(),
                decimal("0"),
                decimal("-0.00"),
                decimal("0E+20"),
            ],
            &[(-7).into(), (-7.0).into(), decimal("-7.0")],
            &[0.5.into(), decimal("0.5"), decimal("0.50")],
            &[i64::MAX.into(), decimal("9223372036854775807")],
            &[
                i64::MIN.into(),
                decimal("-9223372036854775808"),
                (-(2f64.powi(63))).into(),
            ],
            &[2f64.powi(63).into(), decimal("9223372036854775808")],
            &[1e23.into(), decimal("9.9999999999999991611392E+22")],
            &[1e40.into()],
            &[decimal("1000000000000000030378602842700367E+7")],
            &[f64::NAN.into(), decimal("NaN")],
            &[f64::INFINITY.into(), decimal("Infinity")],
            &[f64::NEG_INFINITY.into(), decimal("-Infinity")],
            &["1".into()],
            &["".into()],
            &[0.1.into()],
            &[decimal("0.1000000000000000055511151231257827")],
            &[decimal("0.1")],
            &[decimal("1E+6144")],
            &[Bson::ObjectId(ObjectId::from_bytes([1; 12]))],
        ];
        for (index, family) in families.iter().enumerate() {
            for one in *family {
                for (other_index, other_family) in families.iter().enumerate() {
                    for other in *other_family {
                        assert_eq!(
                            key(one.clone()) == key(other.clone()),
                            index == other_index,
                            "{one:?} against {other:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_types_that_may_join_are_those_that_have_a_key() {
        let uuid = bson::Binary {
            subtype: bson::spec::BinarySubtype::Uuid,
            bytes: vec![7; 16],
        };
        for (of_type, value) in [
            ("int", Bson::Int32(1)),
            ("long", 1_i64.into()),
            ("double", 1.0.into()),
            ("decimal", decimal("1")),
            ("string", "1".into()),
            ("objectId", ObjectId::from_bytes([1; 12]).into()),
            ("binData", uuid.into()),
            ("bool", true.into()),
            ("date", bson::DateTime::MIN.into()),
            ("object", doc! {}.into()),
            ("array", Bson::Array(vec![])),
            ("symbol", Bson::Symbol("1".into())),
        ] {
            assert_eq!(may_join(of_type), key(value).is_some(), "{of_type}");
        }
    }

    #[test]
    fn what_is_no_id_has_no_key() {
        let values = [
            Bson::Null,
            Bson::Undefined,
            Bson::MinKey,
            true.into(),
            doc! { "a": 1 }.into(),
            vec![1, 2].into(),
            Bson::DateTime(bson::DateTime::MIN),
        ];
        for value in values {
            assert_eq!(key(value.clone()), None, "{value:?}");
        }
    }
}
