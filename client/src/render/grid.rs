//! Tables, cards and boxes: text laid out by its width on a screen, so that `livrée` takes six columns.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, Table, TableStyle, Width,
    presets::NOTHING,
    {ContentLineStyle, LineStyle},
};

use super::text::one_line;

/// The frame of the brief's statistics.
const FRAME: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '─', '┐'))
    .header_lines(ContentLineStyle::none().left('│').right('│'))
    .header_separator(LineStyle::new('├', '─', '─', '┤'))
    .content_lines(ContentLineStyle::none().left('│').right('│'))
    .row_separator(LineStyle::new('├', '─', '─', '┤'))
    .bottom_border(LineStyle::new('└', '─', '─', '┘'));

const FRAME_WIDTH: u16 = 50;

/// A row per item under a header; the columns named in `numbers` stand to the right.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    numbers: &[&str],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = plain();
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| one_line(&cell)));
    }
    for (column, name) in table.column_iter_mut().zip(header) {
        if numbers.contains(&name) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    outdented(&table)
}

/// A line per field: its name and its value.
pub(crate) fn card(fields: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut table = plain();
    for (name, value) in fields {
        table.add_row([name.to_owned(), one_line(&value)]);
    }
    outdented(&table)
}

/// Sections of lines in a frame under a title.
pub(crate) fn framed(title: &str, sections: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(FRAME);
    table.set_header([Cell::new(title).set_alignment(CellAlignment::Center)]);
    for lines in sections {
        let lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
        table.add_row([lines.join("\n")]);
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((2, 2));
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(FRAME_WIDTH)));
    }
    table.to_string()
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// comfy-table pads each cell on both sides; at the edges of a table without borders that is a blank too many.
fn outdented(table: &Table) -> String {
    table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
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
        let text = table(["NUMERO"], &[], [["CMD-1\nCMD-2".to_owned()]]);
        assert_eq!(text, "NUMERO\nCMD-1\\nCMD-2");
    }

    #[test]
    fn a_card_lines_up_its_values() {
        let text = card([
            ("coût_commande", "24.9 €".to_owned()),
            ("nom", "Zoé".to_owned()),
        ]);
        assert_eq!(text, "coût_commande  24.9 €\nnom            Zoé");
    }

    #[test]
    fn a_frame_grows_with_its_longest_line() {
        let text = framed("TITLE", [vec!["x".repeat(60)], vec!["livrée".to_owned()]]);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert_eq!(widths, [66; 7]);
    }
}
