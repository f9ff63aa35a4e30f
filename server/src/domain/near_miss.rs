//! Near misses: statuses that look like the delivered one and are not.

use bson::Bson;
use unicode_normalization::UnicodeNormalization;

/// Whether a person would read this status as the delivered one although it is not exactly that: other accents, other case,
/// blanks or invisible characters in it, or the delivered status inside a list or an object.
pub fn is_near_miss(status: &Bson, delivered: &str) -> bool {
    status.as_str() != Some(delivered) && resembles(status, &skeleton(delivered))
}

fn resembles(status: &Bson, wanted: &str) -> bool {
    match status {
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => {
            skeleton(text) == wanted
        }
        Bson::Array(members) => members.iter().any(|member| resembles(member, wanted)),
        Bson::Document(fields) => fields.values().any(|value| resembles(value, wanted)),
        _ => false,
    }
}

/// What is left of a text without accents, case and anything that is not a letter or digit.
fn skeleton(text: &str) -> String {
    text.nfkd()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn what_looks_delivered_is_a_near_miss() {
        let near: &[Bson] = &[
            "livre\u{301}e".into(),
            "Livrée".into(),
            "LIVRÉE".into(),
            " livrée".into(),
            "livrée ".into(),
            "livree".into(),
            "livrée\u{200b}".into(),
            "livrée\n".into(),
            vec!["livrée"].into(),
            doc! { "v": "livrée" }.into(),
            Bson::Symbol("livrée".into()),
        ];
        for status in near {
            assert!(is_near_miss(status, "livrée"), "{status:?}");
        }
    }

    #[test]
    fn other_statuses_are_not() {
        let far: &[Bson] = &[
            "livrée".into(),
            "en_cours".into(),
            "annulée".into(),
            "non livrée".into(),
            "".into(),
            Bson::Null,
            1.into(),
            doc! {}.into(),
        ];
        for status in far {
            assert!(!is_near_miss(status, "livrée"), "{status:?}");
        }
    }
}
