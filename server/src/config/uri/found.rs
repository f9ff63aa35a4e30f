//! What the parts of a URI are read with: the list of what is wrong, and escapes taken out.

use crate::config::problem::BadValue;

/// The faults as they are found, each once.
#[derive(Default)]
pub(super) struct Found(pub(super) Vec<BadValue>);

impl Found {
    pub(super) fn add(&mut self, wrong: impl Into<String>, mend: impl Into<String>) {
        let fault = BadValue {
            wrong: wrong.into(),
            mend: mend.into(),
        };
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }
}

/// A text without its escapes; none where what they stand for is not UTF-8. A `%` that escapes
/// nothing stands for itself.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) => {
                decoded.push(escaped);
                rest = &behind[2..];
            }
            None => {
                decoded.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(decoded).ok()
}
