//! Text for people, kept short however long what it quotes is, and visible whatever it holds.

use unicode_normalization::{char::is_combining_mark, is_nfkc};

/// A text cut to at most `most` bytes, between characters.
pub fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most.saturating_sub('…'.len_utf8()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}

/// A text of JSON in which each character that nobody could see, or would take for another one, is
/// an escape: blanks other than the plain one, controls, accents apart from their letter, letters
/// in other forms, and whatever is neither letter nor digit beyond ASCII. A `…` at the end stays,
/// as it stands for what was cut.
pub fn escaped(json: &str) -> String {
    let (text, end) = match json.strip_suffix('…') {
        Some(text) => (text, "…"),
        None => (json, ""),
    };
    let mut shown = String::with_capacity(json.len());
    for character in text.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    shown + end
}

fn is_plain(character: char) -> bool {
    character == ' '
        || character.is_ascii_graphic()
        || (character.is_alphanumeric()
            && !is_combining_mark(character)
            && is_nfkc(character.encode_utf8(&mut [0; 4])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_see_is_an_escape_and_the_text_stays_json() {
        for (text, shown) in [
            ("\"livrée, \u{e6}\"", "\"livrée, \u{e6}\""),
            (
                "\"livre\u{301}e\u{200b}\u{a0}\"",
                r#""livre\u0301e\u200b\u00a0""#,
            ),
            ("[\"ｌ\u{1f600}\u{7f}\"]", r#"["\uff4c\ud83d\ude00\u007f"]"#),
            ("\"livr…", "\"livr…"),
            ("\"…\"", r#""\u2026""#),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("livrée", 100), "livrée");
        assert_eq!(cut("éééé", 6), "é…");
    }
}
