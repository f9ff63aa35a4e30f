//! Text from a database that holds anything, made safe for a terminal.

use order_archiver_api::v1::UnreadableDocument;

/// Shows control characters as escapes, so that a name can't steer the terminal; line ends stay.
pub(crate) fn tame(text: &str) -> String {
    escape(text, |c| c.is_control() && c != '\n')
}

/// The same within one line: line ends are escaped, too.
pub(crate) fn one_line(text: &str) -> String {
    escape(text, char::is_control)
}

fn escape(text: &str, bad: impl Fn(char) -> bool) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if bad(c) {
            tamed.extend(c.escape_default())
        } else {
            tamed.push(c)
        }
    }
    tamed
}

/// A document that the server can't read, on one line.
pub(crate) fn left_out(document: &UnreadableDocument) -> String {
    format!("Left out: {}", one_line(&document.problem))
}

/// A name of the contract in words: `BATCH_STATE_SUCCEEDED` without its prefix is `succeeded`.
pub(crate) fn words(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_lowercase()
        .replace('_', " ")
}

/// Whose call it was: where it came from, and the instance that was called.
pub(crate) fn by_whom(peer: &str, instance: &str) -> String {
    match peer {
        "" => format!("through {instance}"),
        peer => format!("by {peer} through {instance}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(
            tame("CMD\u{1b}[2J\r\nlivrée\u{9b}"),
            "CMD\\u{1b}[2J\\r\nlivrée\\u{9b}"
        );
        assert_eq!(one_line("a\nb\tc"), "a\\nb\\tc");
    }

    #[test]
    fn names_become_words() {
        assert_eq!(
            words("QUARANTINE_REASON_NO_USABLE_NUMBER", "QUARANTINE_REASON_"),
            "no usable number"
        );
    }
}
