//! Page tokens: where a list goes on, bound to the filters it was begun with.

use prost::Name;
use sha2::{Digest, Sha256};

use crate::{
    bytes::raw::Value,
    store::{archive::read::Below, state::place::Place},
};

/// The longest number that a token holds whole, and how much it holds of a longer one, in bytes.
///
/// Numbers that are cut at the same place to the same prefix follow one another, with no shorter
/// one between them.
const LONGEST_NUMERO: usize = 512;
/// The most that a token says to pass by. A caller can make a token of its own: whatever that says,
/// nothing overflows.
const MOST_PASSED: usize = u32::MAX as usize;
/// Between the count and the prefix. The count has ten digits, so that the two are longer than any
/// whole number.
const SEPARATOR: char = ' ';

/// The size of a page: what was asked, within bounds.
pub(super) fn page_size(asked: i32, default: i32, largest: i32) -> usize {
    usize::try_from(if asked == 0 {
        default
    } else {
        asked.min(largest)
    })
    .unwrap_or(1)
}

/// Makes the token that goes on after `position` in the list that `request` began.
///
/// What may change from page to page, as the token itself, the caller has taken out of the request.
pub(crate) fn token(request: &impl Name, position: &str) -> String {
    format!(
        "{}.{}",
        hex::encode(position),
        hex::encode(&seal(request, position)[..8])
    )
}

/// The position in a token; none when it was altered or belongs to other filters.
pub(crate) fn position(request: &impl Name, token: &str) -> Option<String> {
    let (position, _) = token.split_once('.')?;
    let position = String::from_utf8(hex::decode(position).ok()?).ok()?;
    (self::token(request, &position) == token).then_some(position)
}

/// The place after the last of these numbers, the highest first, on a page that began below
/// another.
///
/// A number that would make the token long is named by what it begins with, and how many that begin
/// so have been passed by.
pub(crate) fn token_after(
    request: &impl Name,
    numeros: &[&str],
    page_began: Option<&Below>,
) -> String {
    let Some(last) = numeros.last() else {
        return String::new();
    };
    if last.len() <= LONGEST_NUMERO {
        return token(request, last);
    }
    let prefix = begin(last, LONGEST_NUMERO);
    let here = numeros
        .iter()
        .rev()
        .take_while(|numero| numero.starts_with(prefix))
        .count();
    let before = match page_began {
        Some(Below::Passed {
            prefix: earlier,
            count,
        }) if here == numeros.len() && earlier == prefix => *count,
        _ => 0,
    };
    token(
        request,
        &format!(
            "{:010}{SEPARATOR}{prefix}",
            (before + here).min(MOST_PASSED)
        ),
    )
}

/// The place in such a token; none when it was altered or belongs to other filters.
pub(crate) fn place(request: &impl Name, token: &str) -> Option<Below> {
    let position = position(request, token)?;
    if position.len() <= LONGEST_NUMERO {
        return Some(Below::Number(position));
    }
    let (count, prefix) = position.split_once(SEPARATOR)?;
    Some(Below::Passed {
        prefix: prefix.to_owned(),
        count: passed(count)?,
    })
}

fn passed(count: &str) -> Option<usize> {
    count.parse().ok().filter(|count| *count <= MOST_PASSED)
}

/// Makes the token that goes on at a place in a list of the server's own documents.
pub(crate) fn token_at(request: &impl Name, place: &Place) -> String {
    let after = place.after.as_ref();
    let after = after.map(|id| hex::encode([&[id.kind], &*id.bytes].concat()));
    let passed = place.passed.min(MOST_PASSED as i64);
    let position = format!("{passed}{SEPARATOR}{}", after.unwrap_or_default());
    token(request, &position)
}

/// The place in such a token; none when it was altered or belongs to other filters.
pub(crate) fn place_at(request: &impl Name, token: &str) -> Option<Place> {
    let position = position(request, token)?;
    let (passed, after) = position.split_once(SEPARATOR)?;
    let after = hex::decode(after).ok()?;
    Some(Place {
        after: after.split_first().map(|(kind, bytes)| Value {
            kind: *kind,
            bytes: bytes.into(),
        }),
        passed: i64::try_from(self::passed(passed)?).ok()?,
    })
}

/// How many of these fit a page of so many bytes, one at least, and how many bytes they are.
pub(crate) fn fitting(sizes: &[usize], most: usize) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for size in sizes {
        if count > 0 && bytes + size > most {
            break;
        }
        count += 1;
        bytes += size;
    }
    (count, bytes)
}

/// What a text begins with: at most `most` bytes, whole characters.
pub(crate) fn begin(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

fn seal<M: Name>(request: &M, position: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(M::full_name())
        .chain_update([0])
        .chain_update(request.encode_to_vec())
        .chain_update([0])
        .chain_update(position)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::raw::ValueRef;
    use order_archiver_api::v1::ListBatchesRequest;

    #[test]
    fn a_place_in_a_list_is_of_any_type_and_its_token_stays_short() {
        let request = ListBatchesRequest::default();
        let long = Value::string(&"x".repeat(100_000));
        let (text, null) = (Value::string("é"), ValueRef::NULL.to_owned());
        let mut place = Place::default();
        for (id, after, passed) in [
            (&long, None, 1),
            (&long, None, 2),
            (&text, Some(&text), 0),
            (&null, Some(&null), 0),
            (&long, Some(&null), 1),
        ] {
            place.pass(id);
            assert_eq!((place.after.as_ref(), place.passed), (after, passed));
            let token = token_at(&request, &place);
            assert_eq!(place_at(&request, &token), Some(place.clone()));
        }
        place.pass(&Value::string(&"x".repeat(251)));
        assert!(token_at(&request, &place).len() < 1_200);
        for bad in ["", "00.00", &token(&request, "x"), &token(&request, "1 x")] {
            assert_eq!(place_at(&request, bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_stays_short_however_long_the_number_is() {
        let request = ListBatchesRequest::default();
        let long = |end: &str| format!("{}{end}", "é".repeat(100_000));
        let (a, b, c) = (long("a"), long("b"), long("c"));
        let go_on = |numeros: &[&str], began: Option<&Below>| {
            let token = token_after(&request, numeros, began);
            assert!(token.len() < 1_200, "{}", token.len());
            place(&request, &token).unwrap()
        };
        let passed = |count| Below::Passed {
            prefix: "é".repeat(256),
            count,
        };
        assert_eq!(go_on(&["z", "y"], None), Below::Number("y".to_owned()));
        let first = go_on(&["z", &c], None);
        assert_eq!(first, passed(1));
        let second = go_on(&[&b, &a], Some(&first));
        assert_eq!(second, passed(3));
        assert_eq!(go_on(&["a"], Some(&second)), Below::Number("a".to_owned()));
        // The shortest prefix that there can be, and the longest whole number.
        for (before, after) in [("x", "😀"), ("xx", "€"), ("xxx", "é"), ("xxxx", "x")] {
            let prefix = format!("{}{before}", "x".repeat(LONGEST_NUMERO - 4));
            let expected = Below::Passed {
                prefix: begin(&format!("{prefix}{after}"), LONGEST_NUMERO).to_owned(),
                count: 1,
            };
            assert_eq!(go_on(&[&format!("{prefix}{after}")], None), expected);
            assert_eq!(go_on(&[&prefix], None), Below::Number(prefix.clone()));
        }
        assert_eq!(token_after(&request, &[], None), "");
    }

    #[test]
    fn a_page_ends_before_it_holds_too_much_but_is_never_empty() {
        assert_eq!(fitting(&[], 10), (0, 0));
        assert_eq!(fitting(&[4, 6, 1], 10), (2, 10));
        assert_eq!(fitting(&[50, 1], 10), (1, 50));
    }

    #[test]
    fn a_token_is_good_for_the_same_filters_only() {
        let request = ListBatchesRequest {
            page_size: 0,
            page_token: String::new(),
            states: vec![1],
        };
        let token = token(&request, "CMD-é");
        assert_eq!(position(&request, &token).as_deref(), Some("CMD-é"));
        assert_eq!(
            position(
                &ListBatchesRequest {
                    states: vec![2],
                    ..request.clone()
                },
                &token
            ),
            None
        );
        for bad in [
            "",
            ".",
            "zz.00",
            &token[1..],
            &format!("{token}0"),
            &token.replacen('4', "5", 1),
        ] {
            assert_eq!(position(&request, bad), None, "{bad}");
        }
    }
}
