//! Ids as they stand in tables: as short as the server takes them and as tells them apart, unless
//! there is room for all of them.

use std::collections::HashSet;

use super::screen::screen;

/// Of a batch's id, the millisecond that it was made in; of an entry's, enough for any number of
/// entries.
pub(crate) const SHORT: usize = 13;

/// How many characters of each of these ids are shown.
pub(crate) fn length<'a>(ids: impl IntoIterator<Item = &'a str>) -> usize {
    if screen().columns.is_none() {
        return usize::MAX;
    }
    telling_apart(&ids.into_iter().collect())
}

/// The beginning of an id, or all of one that is not longer.
pub(crate) fn short(id: &str, length: usize) -> String {
    id.get(..length).unwrap_or(id).to_owned()
}

fn telling_apart(ids: &HashSet<&str>) -> usize {
    let longest = ids.iter().map(|id| id.len()).max().unwrap_or(0);
    let apart = |length: &usize| {
        let short: HashSet<String> = ids.iter().map(|id| short(id, *length)).collect();
        short.len() == ids.len()
    };
    (SHORT..longest).find(apart).unwrap_or(longest.max(SHORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_as_short_as_tells_them_apart() {
        let (a, b) = ("019a2b3c-7d1e-7000-a", "019a2b3c-7d1e-7001-a");
        for (ids, wanted) in [
            (&[a][..], 13),
            (&[a, a], 13),
            (&[a, b], 18),
            (&["b-1", "b-2"], 13),
            (&[], 13),
        ] {
            assert_eq!(
                telling_apart(&ids.iter().copied().collect()),
                wanted,
                "{ids:?}"
            );
        }
        assert_eq!(short(a, 13), "019a2b3c-7d1e");
        assert_eq!(short("b-1", 13), "b-1");
    }
}
