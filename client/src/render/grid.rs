//! Tables and cards: text laid out by its width on a screen, so that `livrée` takes six columns.

use comfy_table::{CellAlignment, Table, presets::NOTHING};

use super::text::one_line;

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
}
