//! Text that is shown again and again: on a terminal in the place of what was shown before.

use prost::{Message, Name};

use crate::{fault::Fault, output::Output};

/// What was shown last.
#[derive(Default)]
pub(crate) struct Repaint {
    /// How many lines of the terminal it takes.
    lines: usize,
    /// Whether anything was shown yet.
    again: bool,
}

impl Repaint {
    /// Shows what has become of it: text in its place, or below it where there is no terminal; JSON
    /// on a line of its own.
    pub(crate) fn show<M: Message + Name>(
        &mut self,
        output: Output,
        message: &M,
        render: impl FnOnce(&M) -> String,
    ) -> Result<(), Fault> {
        if !output.is_table() {
            return output.line(message, render);
        }
        let text = render(message);
        match output.rows() {
            Some(rows) => {
                let text = fitted(&text, rows);
                output.text(&over(self.lines, &text))?;
                self.lines = text.lines().count();
            }
            None if self.again => output.text(&format!("\n{text}"))?,
            None => output.text(&text)?,
        }
        self.again = true;
        Ok(())
    }
}

/// The text after so many lines were taken back.
fn over(lines: usize, text: &str) -> String {
    match lines {
        0 => text.to_owned(),
        // The cursor stands at the beginning of the line below.
        lines => format!("\u{1b}[{lines}A\u{1b}[J{text}"),
    }
}

/// As many lines as a terminal of so many shows at once, above the one in which the cursor stays.
fn fitted(text: &str, rows: usize) -> String {
    let most = rows.saturating_sub(1).max(1);
    let all = text.lines().count();
    if all <= most {
        return text.to_owned();
    }
    let mut lines: Vec<&str> = text.lines().take(most - 1).collect();
    let more = format!("… {} more lines for a higher terminal", all - lines.len());
    lines.push(&more);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_again_takes_the_place_of_what_was_there() {
        assert_eq!(over(0, "a\nb"), "a\nb");
        assert_eq!(over(2, "a\nb"), "\u{1b}[2A\u{1b}[Ja\nb");
    }

    #[test]
    fn a_text_leaves_the_last_line_of_the_terminal_to_the_cursor() {
        let text = "1\n2\n3\n4";
        assert_eq!(fitted(text, 5), text);
        assert_eq!(
            fitted(text, 4),
            "1\n2\n… 2 more lines for a higher terminal"
        );
        assert_eq!(fitted(text, 1), "… 4 more lines for a higher terminal");
    }
}
