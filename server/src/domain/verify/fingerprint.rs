//! Fingerprints: by which a difference that was acknowledged is known to be the same.

use bson::RawDocument;
use sha2::{Digest, Sha256};

use super::class::Class;

/// The fingerprint of a difference: another change of the order or of its archived document gives
/// another one.
pub fn fingerprint(
    class: Class,
    live: Option<&RawDocument>,
    archived: Option<&RawDocument>,
) -> String {
    let mut hash = Sha256::new().chain_update(class.name());
    for document in [live, archived].into_iter().flatten() {
        hash.update(document.as_bytes());
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::rawdoc;

    #[test]
    fn another_change_gives_another_fingerprint() {
        let (one, other) = (rawdoc! { "a": 1 }, rawdoc! { "a": 2 });
        let all = [
            fingerprint(Class::Missing, Some(&one), None),
            fingerprint(Class::Missing, Some(&other), None),
            fingerprint(Class::Orphaned, None, Some(&one)),
            fingerprint(Class::Altered, Some(&one), Some(&other)),
            fingerprint(Class::Altered, Some(&other), Some(&one)),
        ];
        for (at, print) in all.iter().enumerate() {
            assert_eq!(print.len(), 64);
            assert_eq!(all.iter().position(|other| other == print), Some(at));
        }
        assert_eq!(all[0], fingerprint(Class::Missing, Some(&one), None));
    }
}
