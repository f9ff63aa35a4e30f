//! In which way a status differs from the delivered one that it looks like.

use bson::Bson;
use strum::{EnumString, IntoStaticStr};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How many code points are named of each difference.
const NAMED: usize = 3;

/// A longer text, in bytes, is not compared step by step: nobody is to wait for that.
const LONGEST: usize = 4 * 1024;

/// What sets a near miss apart from the delivered status. The names of the database follow from
/// those of the variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Kind {
    /// The same letters, some of them in another case.
    Case,
    /// Blanks, line ends among them, that should not be there, or are missing.
    Blanks,
    /// The same accents, written as characters of their own where they should be part of the
    /// letter, or the other way round.
    AccentForm,
    /// Accents are missing, or are others.
    Accents,
    /// Characters that show nothing: of no width, of control, of direction.
    Invisible,
    /// Other characters that are neither letter nor digit.
    Punctuation,
    /// The same letters in other forms: full width, ligatures, superscript.
    LetterForms,
    /// Several of these at once.
    Several,
    /// A list that holds it, or a near miss of it.
    List,
    /// A document that holds it, or a near miss of it.
    Document,
    /// A symbol that spells it, a type of old drivers.
    Symbol,
    /// Code that spells it.
    Code,
}

impl Kind {
    /// The kind's name in the database.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The kind of this name.
    pub(crate) fn of_name(name: &str) -> Option<Kind> {
        name.parse().ok()
    }
}

/// What a difference between two texts can be made of, each a step that two texts may become equal
/// by. Whoever can do with fewer steps, or with milder ones, which come last, needs no other.
const STEPS: [Kind; 7] = [
    Kind::LetterForms,
    Kind::Punctuation,
    Kind::Accents,
    Kind::Invisible,
    Kind::Blanks,
    Kind::Case,
    Kind::AccentForm,
];

/// The kind of a near miss, and the difference in words, with the code points at fault.
pub(crate) fn difference(status: &Bson, delivered: &str) -> (Kind, String) {
    let spelt = |what: &str, text: &str| match text == delivered {
        true => what.to_owned(),
        false => format!("{what}; {}", of_text(text, delivered).1),
    };
    match status {
        Bson::Array(_) => (Kind::List, "a list, not a text".to_owned()),
        Bson::Document(_) => (Kind::Document, "a document, not a text".to_owned()),
        Bson::Symbol(text) => (Kind::Symbol, spelt("a symbol, not a text", text)),
        Bson::JavaScriptCode(text) => (Kind::Code, spelt("code, not a text", text)),
        other => of_text(other.as_str().unwrap_or_default(), delivered),
    }
}

fn of_text(text: &str, delivered: &str) -> (Kind, String) {
    if text.len() > LONGEST {
        return (Kind::Several, format!("a text of {} bytes", text.len()));
    }
    let mut steps = STEPS.to_vec();
    for step in STEPS {
        let fewer: Vec<Kind> = steps.iter().copied().filter(|it| *it != step).collect();
        if after(&fewer, text) == after(&fewer, delivered) {
            steps = fewer;
        }
    }
    let words: Vec<String> = steps.iter().map(|step| in_words(*step, text)).collect();
    let kind = match steps[..] {
        [kind] => kind,
        _ => Kind::Several,
    };
    (kind, words.join("; "))
}

/// A text without what these steps take away.
fn after(steps: &[Kind], text: &str) -> String {
    let has = |step| steps.contains(&step);
    let decomposed: String = if has(Kind::LetterForms) {
        text.nfkd().collect()
    } else if has(Kind::Accents) || has(Kind::AccentForm) {
        text.nfd().collect()
    } else {
        text.to_owned()
    };
    let kept = decomposed
        .chars()
        .filter(|character| class(*character).is_none_or(|step| !has(step)));
    match has(Kind::Case) {
        true => kept.flat_map(char::to_lowercase).collect(),
        false => kept.collect(),
    }
}

/// The step that takes a character away; none for letters and digits.
fn class(character: char) -> Option<Kind> {
    match character {
        _ if character.is_whitespace() => Some(Kind::Blanks),
        _ if is_invisible(character) => Some(Kind::Invisible),
        _ if is_combining_mark(character) => Some(Kind::Accents),
        _ if character.is_alphanumeric() => None,
        _ => Some(Kind::Punctuation),
    }
}

/// Controls, and what Unicode says is ignored where it can't be shown (Default_Ignorable_Code_Point
/// and the format characters, <https://www.unicode.org/reports/tr44/>).
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn in_words(step: Kind, text: &str) -> String {
    let named = |what: &str, otherwise: &str| {
        let points = code_points(text.chars().filter(|it| class(*it) == Some(step)));
        match points.is_empty() {
            true => otherwise.to_owned(),
            false => format!("{what}: {points}"),
        }
    };
    match step {
        Kind::Case => "other case".to_owned(),
        Kind::Blanks => named("blanks", "blanks missing"),
        Kind::Invisible => named("invisible characters", "invisible characters missing"),
        Kind::Punctuation => named("other characters", "characters missing"),
        Kind::Accents if text.nfd().any(is_combining_mark) => "other accents".to_owned(),
        Kind::Accents => "accents missing".to_owned(),
        Kind::AccentForm => accent_form(text),
        _ => {
            let is_other = |it: &char| !it.nfkd().eq(it.nfd());
            let points = code_points(text.chars().filter(is_other));
            format!("other forms of letters: {points}")
        }
    }
}

/// The first accent that is a character of its own, with the letter that it belongs to.
fn accent_form(text: &str) -> String {
    let pairs = text.chars().zip(text.chars().skip(1));
    let apart = pairs
        .filter(|(letter, mark)| !is_combining_mark(*letter) && is_combining_mark(*mark))
        .map(|(letter, mark)| format!("decomposed accent: {letter} + {}", code_point(mark)))
        .next();
    apart.unwrap_or_else(|| "accent that is part of its letter".to_owned())
}

fn code_points(characters: impl Iterator<Item = char>) -> String {
    let mut points: Vec<String> = Vec::new();
    for character in characters {
        let point = code_point(character);
        if points.contains(&point) {
            continue;
        }
        if points.len() == NAMED {
            points.push("…".to_owned());
            break;
        }
        points.push(point);
    }
    points.join(", ")
}

fn code_point(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn each_near_miss_is_told_by_its_kind_and_what_is_at_fault() {
        let table: &[(Bson, Kind, &str)] = &[
            ("Livrée".into(), Kind::Case, "other case"),
            ("LIVRÉE".into(), Kind::Case, "other case"),
            (" livrée".into(), Kind::Blanks, "blanks: U+0020"),
            (
                "liv rée\u{a0}\n".into(),
                Kind::Blanks,
                "blanks: U+0020, U+00A0, U+000A",
            ),
            (
                "livre\u{301}e".into(),
                Kind::AccentForm,
                "decomposed accent: e + U+0301",
            ),
            ("livree".into(), Kind::Accents, "accents missing"),
            ("livrèe".into(), Kind::Accents, "other accents"),
            (
                "livrée\u{200b}".into(),
                Kind::Invisible,
                "invisible characters: U+200B",
            ),
            (
                "\u{feff}livrée\u{0}".into(),
                Kind::Invisible,
                "invisible characters: U+FEFF, U+0000",
            ),
            (
                "«livrée.»".into(),
                Kind::Punctuation,
                "other characters: U+00AB, U+002E, U+00BB",
            ),
            (
                "…!?«livrée».".into(),
                Kind::Punctuation,
                "other characters: U+2026, U+0021, U+003F, …",
            ),
            (
                "ｌivrée".into(),
                Kind::LetterForms,
                "other forms of letters: U+FF4C",
            ),
            (
                " Livrée".into(),
                Kind::Several,
                "blanks: U+0020; other case",
            ),
            (
                "LIVRE\u{301}E".into(),
                Kind::Several,
                "other case; decomposed accent: E + U+0301",
            ),
            (
                "Livree!".into(),
                Kind::Several,
                "other characters: U+0021; accents missing; other case",
            ),
            (vec!["livrée"].into(), Kind::List, "a list, not a text"),
            (
                doc! { "v": "livrée" }.into(),
                Kind::Document,
                "a document, not a text",
            ),
            (
                Bson::Symbol("livrée".into()),
                Kind::Symbol,
                "a symbol, not a text",
            ),
            (
                Bson::Symbol("Livrée".into()),
                Kind::Symbol,
                "a symbol, not a text; other case",
            ),
            (
                Bson::JavaScriptCode("livrée".into()),
                Kind::Code,
                "code, not a text",
            ),
        ];
        for (status, kind, words) in table {
            let told = difference(status, "livrée");
            assert_eq!((told.0, told.1.as_str()), (*kind, *words), "{status:?}");
        }
        for (status, delivered, words) in [
            (
                "livrée",
                "livre\u{301}e",
                "accent that is part of its letter",
            ),
            ("enlivraison", "en livraison", "blanks missing"),
            ("livree", "li-vree", "characters missing"),
        ] {
            assert_eq!(difference(&status.into(), delivered).1, words);
        }
    }

    #[test]
    fn the_kinds_keep_the_names_that_stand_in_databases() {
        let names = [
            (Kind::Case, "case"),
            (Kind::Blanks, "blanks"),
            (Kind::AccentForm, "accent_form"),
            (Kind::Accents, "accents"),
            (Kind::Invisible, "invisible"),
            (Kind::Punctuation, "punctuation"),
            (Kind::LetterForms, "letter_forms"),
            (Kind::Several, "several"),
            (Kind::List, "list"),
            (Kind::Document, "document"),
            (Kind::Symbol, "symbol"),
            (Kind::Code, "code"),
        ];
        for (kind, name) in names {
            assert_eq!((kind.name(), Kind::of_name(name)), (name, Some(kind)));
        }
        assert_eq!(Kind::of_name("later"), None);
    }
}
