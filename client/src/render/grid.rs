//! Tables and cards: text laid out by its width on a screen, so that `livrée` takes six columns and
//! nothing is wider than that.

use std::array;

use order_archiver_api::text::{columns, cut, one_line};

use super::{
    paint::{of_field, painted},
    screen::screen,
};

/// The blank columns between two of a table or a card.
const GAP: usize = 2;
/// The fewest columns that a long cell is cut to before whole columns are left out.
const NARROWEST: usize = 10;
/// The fewest columns in which sentences stand beside what they explain.
const SENTENCE: usize = 30;

/// How the columns of a table share a screen that is too narrow for all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fit<'a> {
    /// The columns that stand to the right and are never cut.
    pub(crate) numbers: &'a [&'a str],
    /// The columns whose cells may be cut.
    pub(crate) long: &'a [&'a str],
    /// The columns that are left out, this first, when cutting is not enough.
    pub(crate) spare: &'a [&'a str],
}

/// A row per item under a header; the columns named in `numbers` stand to the right, and the
/// others, but the first, may be cut.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    numbers: &[&str],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let long = header.get(1..).unwrap_or_default();
    let fit = Fit {
        numbers,
        long,
        spare: &[],
    };
    fitted(header, &fit, rows)
}

/// A row per item under a header, as wide as the screen at most.
pub(crate) fn fitted<const N: usize>(
    header: [&str; N],
    fit: &Fit<'_>,
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    laid_out(header, fit, rows, screen().columns)
}

fn laid_out<const N: usize>(
    header: [&str; N],
    fit: &Fit<'_>,
    rows: impl IntoIterator<Item = [String; N]>,
    most: Option<usize>,
) -> String {
    let rows: Vec<[String; N]> = rows
        .into_iter()
        .map(|row| row.map(|cell| one_line(&cell)))
        .collect();
    let natural = array::from_fn(|column| {
        let cells = rows.iter().map(|row| columns(&row[column]));
        cells.fold(columns(header[column]), usize::max)
    });
    let (widths, left_out) = match most {
        Some(most) => shared(header, fit, natural, most),
        None => (natural.map(Some), false),
    };
    let line = |cells: [&str; N], is_header: bool| {
        let mut line = Line::default();
        for (column, width) in widths.into_iter().enumerate() {
            let Some(width) = width else { continue };
            let (name, cell) = (header[column], cut(cells[column], width));
            let blanks = " ".repeat(width - columns(&cell));
            let cell = match is_header {
                true => cell,
                false => painted(of_field(name, cells[column]), &cell),
            };
            line.push(&cell, blanks, fit.numbers.contains(&name));
        }
        if is_header && left_out {
            line.push("…", String::new(), false);
        }
        line.text
    };
    let mut lines = vec![line(header, true)];
    lines.extend(
        rows.iter()
            .map(|row| line(row.each_ref().map(String::as_str), false)),
    );
    lines.join("\n")
}

/// A line as it grows: blanks are written only before something else.
#[derive(Default)]
struct Line {
    text: String,
    blanks: usize,
}

impl Line {
    fn push(&mut self, cell: &str, blanks: String, right: bool) {
        let (before, after) = if right {
            (blanks.len(), 0)
        } else {
            (0, blanks.len())
        };
        if !cell.is_empty() {
            self.text.push_str(&" ".repeat(self.blanks + before));
            self.text.push_str(cell);
            self.blanks = after + GAP;
        } else {
            self.blanks += before + after + GAP;
        }
    }
}

/// How wide each column may be, none for those that are left out, and whether there are such.
fn shared<const N: usize>(
    header: [&str; N],
    fit: &Fit<'_>,
    natural: [usize; N],
    most: usize,
) -> ([Option<usize>; N], bool) {
    let mut there = natural.map(Some);
    let is_long =
        |column: usize| fit.long.contains(&header[column]) && !is_number(column, &header, fit);
    let mut spare = fit.spare.iter();
    let mut left_out = false;
    loop {
        // The mark of what is left out takes its columns, too.
        let room = most.saturating_sub(if left_out { GAP + 1 } else { 0 });
        if let Some(widths) = narrowed(there, room, NARROWEST, is_long) {
            return (widths, left_out);
        }
        let Some(name) = spare.next() else {
            let anything = |column: usize| !is_number(column, &header, fit);
            let widths = narrowed(there, room, 1, anything);
            return (widths.unwrap_or(there), left_out);
        };
        if let Some(column) = header.iter().position(|other| other == name) {
            there[column] = None;
            left_out = true;
        }
    }
}

fn is_number(column: usize, header: &[&str], fit: &Fit<'_>) -> bool {
    fit.numbers.contains(&header[column])
}

/// The widths with the widest of those that may be cut made equally narrow, as little as will do,
/// if that will do.
fn narrowed<const N: usize>(
    widths: [Option<usize>; N],
    room: usize,
    narrowest: usize,
    may_be_cut: impl Fn(usize) -> bool,
) -> Option<[Option<usize>; N]> {
    let cut_to = |level: usize| {
        array::from_fn(|column| {
            widths[column].map(|width| match may_be_cut(column) {
                true => width.min(level),
                false => width,
            })
        })
    };
    let takes = |widths: [Option<usize>; N]| {
        let there = widths.iter().flatten();
        there.clone().sum::<usize>() + GAP * there.count().saturating_sub(1)
    };
    let widest = widths.iter().flatten().copied().max().unwrap_or(0);
    (narrowest..=widest.max(narrowest))
        .rev()
        .map(cut_to)
        .find(|widths| takes(*widths) <= room)
}

/// A table whose rows are explained: beside the cells of each stand some sentences, or below them
/// on a screen that is too narrow for that. The last cells stand to the right and are never empty.
pub(crate) fn explained<const N: usize, const S: usize>(
    header: [&str; N],
    about: &str,
    rows: impl IntoIterator<Item = ([String; N], [&'static str; S])>,
) -> String {
    let (cells, sentences): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let numbers = header.last_chunk::<1>().map_or(&[][..], |last| last);
    let cells = table(header, numbers, cells);
    explained_within(&cells, about, &sentences, screen().columns)
}

fn explained_within<const S: usize>(
    cells: &str,
    about: &str,
    sentences: &[[&str; S]],
    most: Option<usize>,
) -> String {
    let mut cells = cells.lines();
    let header = cells.next().unwrap_or_default();
    let room = |margin| most.map_or(usize::MAX, |most| most.saturating_sub(margin));
    let beside = columns(header) + GAP;
    let (margin, is_beside) = match room(beside) {
        ..SENTENCE => (GAP, false),
        _ => (beside, true),
    };
    let gap = " ".repeat(GAP);
    let mut lines = vec![match is_beside {
        true => format!("{header}{gap}{about}"),
        false => header.to_owned(),
    }];
    for (cells, sentences) in cells.zip(sentences) {
        let sentences = sentences.iter();
        let mut parts = sentences.flat_map(|sentence| wrapped(sentence, room(margin)));
        let first = if is_beside { parts.next() } else { None };
        lines.push(match first {
            Some(part) => format!("{cells}{gap}{part}"),
            None => cells.to_owned(),
        });
        lines.extend(parts.map(|part| format!("{}{part}", " ".repeat(margin))));
    }
    lines.join("\n")
}

/// A line per field: its name and its value, which goes on below where it is too long for the
/// screen.
pub(crate) fn card(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    card_within(fields, screen().columns)
}

fn card_within(
    fields: impl IntoIterator<Item = (&'static str, String)>,
    most: Option<usize>,
) -> String {
    let fields: Vec<_> = fields.into_iter().collect();
    let names = fields.iter().map(|(name, _)| columns(name));
    let margin = names.max().unwrap_or(0) + GAP;
    let mut lines = Vec::new();
    for (name, value) in fields {
        let value = one_line(&value);
        let style = of_field(name, &value);
        let room = most.map_or(usize::MAX, |most| most.saturating_sub(margin));
        for (index, part) in wrapped(&value, room.max(NARROWEST)).iter().enumerate() {
            let label = if index == 0 { name } else { "" };
            let blanks = " ".repeat(margin - columns(label));
            let line = format!("{label}{blanks}{}", painted(style, part));
            lines.push(line.trim_end().to_owned());
        }
    }
    lines.join("\n")
}

/// A text in lines of at most so many columns, between words; a word that is longer keeps a line to
/// itself.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    if columns(text) <= most {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if columns(line) + 1 + columns(word) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows = [["livrée", "1,234"], ["配達済み", "5"], ["annulée", "60"]]
            .map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["STATUS", "ORDERS"], &["ORDERS"], rows),
            "\
STATUS    ORDERS
livrée     1,234
配達済み       5
annulée       60"
        );
    }

    #[test]
    fn a_cell_cannot_fake_a_row() {
        let text = table(["NUMERO"], &[], [["CMD-1\nCMD-2\u{202e}".to_owned()]]);
        assert_eq!(text, "NUMERO\nCMD-1\\nCMD-2\\u{202e}");
    }

    const HEADER: [&str; 4] = ["ID", "NAME", "ORDERS", "NOTES"];
    const FIT: Fit<'_> = Fit {
        numbers: &["ORDERS"],
        long: &["NAME", "NOTES"],
        spare: &["NOTES", "NAME"],
    };

    fn within(most: usize) -> String {
        let row = [
            "b-1",
            "Le Bistrot du Canal",
            "1,234",
            "held to 500 orders a second",
        ];
        laid_out(HEADER, &FIT, [row.map(str::to_owned)], Some(most))
    }

    #[test]
    fn a_table_is_cut_then_left_out_until_it_fits() {
        for (most, wanted) in [
            (
                80,
                "ID   NAME                 ORDERS  NOTES\n\
                 b-1  Le Bistrot du Canal   1,234  held to 500 orders a second",
            ),
            (
                50,
                "ID   NAME               ORDERS  NOTES\n\
                 b-1  Le Bistrot du Ca…   1,234  held to 500 orde…",
            ),
            (
                34,
                "ID   NAME                ORDERS  …\n\
                 b-1  Le Bistrot du Can…   1,234",
            ),
            (15, "ID   ORDERS  …\nb-1   1,234"),
        ] {
            let text = within(most);
            assert_eq!(text, wanted, "{most}");
            assert!(text.lines().all(|line| columns(line) <= most), "{text}");
        }
    }

    #[test]
    fn a_card_lines_up_its_values() {
        let text = card([
            ("coût_commande", "24.90 €".to_owned()),
            ("nom", "Zoé".to_owned()),
        ]);
        assert_eq!(text, "coût_commande  24.90 €\nnom            Zoé");
    }

    #[test]
    fn a_long_value_goes_on_below() {
        let fields = [
            ("State", "failed".to_owned()),
            ("Why", "the database was away for five minutes".to_owned()),
        ];
        assert_eq!(
            card_within(fields, Some(24)),
            "State  failed\nWhy    the database was\n       away for five\n       minutes"
        );
    }

    #[test]
    fn what_is_explained_has_its_sentences_beside_it_or_below() {
        let cells = "CLASS    COUNT\nmissing     12\naltered      2";
        let sentences = [
            ["delivered, and not archived", "archive them"],
            ["not the live order", "look at them"],
        ];
        let told = |most| explained_within(cells, "WHAT IT IS", &sentences, most);
        let beside = "\
CLASS    COUNT  WHAT IT IS
missing     12  delivered, and not archived
                archive them
altered      2  not the live order
                look at them";
        assert_eq!(told(None), beside);
        assert_eq!(told(Some(46)), beside);
        assert_eq!(
            told(Some(20)),
            "\
CLASS    COUNT
missing     12
  delivered, and not
  archived
  archive them
altered      2
  not the live order
  look at them"
        );
    }
}
