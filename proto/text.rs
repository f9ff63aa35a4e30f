//! Text of other people on a terminal: made safe, measured in columns, and cut to fit.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Shows control and bidirectional characters as escapes, so that a name can steer neither a
/// terminal nor the order in which a line is read; line ends stay.
pub fn tame(text: &str) -> String {
    let bad = |c| steers(c) && c != '\n';
    escape(text, bad, |c| c.escape_default().to_string())
}

/// The same within one line: line ends are escaped, too.
pub fn one_line(text: &str) -> String {
    escape(text, steers, |c| c.escape_default().to_string())
}

/// The same for JSON, which stays JSON and means the same.
pub fn tame_json(json: &str) -> String {
    // What is left of them by a serializer lies within strings, and none needs two units of UTF-16.
    let bad = |c| steers(c) && c != '\n';
    escape(json, bad, |c| format!("\\u{:04x}", u32::from(c)))
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// A text cut to at most so many columns; an ellipsis stands for what is missing.
pub fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let start: String = text.chars().take_while(fits).collect();
    let ellipsis = if most > 0 { "…" } else { "" };
    format!("{}{ellipsis}", start.trim_end())
}

/// Controls, marks and overrides of direction, and the separators of lines and paragraphs.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(text: &str, bad: impl Fn(char) -> bool, escaped: impl Fn(char) -> String) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if bad(c) {
            tamed.push_str(&escaped(c));
        } else {
            tamed.push(c);
        }
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every character that steers a terminal or the direction of a line.
    const STEERING: &str = "\u{0}\u{7}\u{8}\t\r\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\
                            \u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(
            tame("CMD\u{1b}[2J\nlivrée\u{9b}\u{202e}"),
            "CMD\\u{1b}[2J\nlivrée\\u{9b}\\u{202e}"
        );
        assert_eq!(one_line("a\nb\tc"), "a\\nb\\tc");
        for tamed in [tame(STEERING), one_line(STEERING)] {
            assert!(tamed.chars().all(|c| c.is_ascii_graphic()), "{tamed}");
        }
        // Scripts that are written from the right, joined letters and combined accents are nobody's
        // trick.
        for honest in ["شاورما", "livre\u{301}e", "👩\u{200d}🍳", "می\u{200c}خواهم"]
        {
            assert_eq!(one_line(honest), honest);
        }
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let json = format!("{{\n  \"name\": \"{}\"\n}}", "a\u{7f}\u{9b}\u{202e}é");
        assert_eq!(
            tame_json(&json),
            "{\n  \"name\": \"a\\u007f\\u009b\\u202eé\"\n}"
        );
    }

    #[test]
    fn a_text_is_cut_between_columns() {
        for (text, most, wanted) in [
            ("livrée", 6, "livrée"),
            ("livrée", 5, "livr…"),
            ("livre\u{301}e", 6, "livre\u{301}e"),
            ("livre\u{301}es", 6, "livre\u{301}…"),
            ("配達済み", 8, "配達済み"),
            ("配達済み", 7, "配達済…"),
            ("配達済み", 6, "配達…"),
            ("Chez Noé", 6, "Chez…"),
            ("a", 0, ""),
        ] {
            let cut = cut(text, most);
            assert_eq!(cut, wanted);
            assert!(columns(&cut) <= most, "{cut}");
        }
    }
}
