//! Numbers on standard input, one a line: a line that can't be one spoils itself and no other.

use std::io::{self, BufRead, Read};

use order_archiver_api::v1::ArchiveFailure;
use tonic::Code;

/// The longest line, in bytes: four times the longest number that the server takes.
const LONGEST: usize = 1_024;
/// How much of a line is shown that is no number, in characters.
const SHOWN: usize = 40;

/// What a line holds.
pub(super) type Line = Result<String, ArchiveFailure>;

/// Hands over each line that is not blank, until there are no more or nobody wants them.
pub(super) fn each(mut input: impl BufRead, mut hand: impl FnMut(Line) -> bool) -> io::Result<()> {
    for number in 1_usize.. {
        let mut line = Vec::new();
        let most = LONGEST as u64 + 1;
        if input.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n") || line.len() <= LONGEST;
        if !is_whole {
            input.skip_until(b'\n')?;
        }
        // Some editors begin every file with a byte-order mark.
        let line = match line.strip_prefix("\u{feff}".as_bytes()) {
            Some(rest) if number == 1 => rest,
            _ => &line,
        };
        let line = match (is_whole, std::str::from_utf8(line)) {
            (false, _) => Err(refused(
                number,
                line,
                &format!("is longer than {LONGEST} bytes"),
            )),
            (true, Err(_)) => Err(refused(number, line, "is not UTF-8")),
            (true, Ok(text)) if text.trim().is_empty() => continue,
            (true, Ok(text)) => Ok(text.trim().to_owned()),
        };
        if !hand(line) {
            return Ok(());
        }
    }
    Ok(())
}

/// As the server refuses what it can't read.
fn refused(number: usize, line: &[u8], fault: &str) -> ArchiveFailure {
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    ArchiveFailure {
        numero_commande: shown,
        code: Code::InvalidArgument.into(),
        reason: "INVALID_FIELD".to_owned(),
        message: format!("line {number} of standard input {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<Result<String, String>> {
        let mut lines = Vec::new();
        each(input, |line| {
            lines.push(line.map_err(|failure| failure.message));
            true
        })
        .unwrap();
        lines
    }

    #[test]
    fn a_line_spoils_itself_alone() {
        let long = "x".repeat(LONGEST + 1);
        let input = [
            b"\xef\xbb\xbfCMD-1\r\n\n  CMD-2 \n\xff\xfeCMD\n",
            long.as_bytes(),
            b"\nCMD-livr\xc3\xa9e\n",
            &long.as_bytes()[1..],
            b"\n",
            long.as_bytes(),
        ]
        .concat();
        let long = |number| {
            Err(format!(
                "line {number} of standard input is longer than 1024 bytes"
            ))
        };
        assert_eq!(
            read(&input),
            [
                Ok("CMD-1".to_owned()),
                Ok("CMD-2".to_owned()),
                Err("line 4 of standard input is not UTF-8".to_owned()),
                long(5),
                Ok("CMD-livrée".to_owned()),
                Ok("x".repeat(LONGEST)),
                long(8),
            ]
        );
        assert!(read(b"").is_empty());
        assert!(read(b"\xef\xbb\xbf").is_empty());
    }
}
