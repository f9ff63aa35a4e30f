//! Places in the lists of the server's own documents, whose `_id`s may be of any type and length.

use crate::bytes::raw::Value;

/// The longest `_id` that a place names, in bytes: a caller carries it in a token.
const LONGEST: usize = 256;

/// Where a page of a list begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Behind the document with this `_id`; none means at the beginning of the list.
    pub after: Option<Value>,
    /// And behind so many more, which have longer `_id`s than a place names.
    pub passed: i64,
}

impl Place {
    /// Goes on behind the next document.
    pub fn pass(&mut self, id: &Value) {
        if id.bytes.len() <= LONGEST {
            self.after = Some(id.clone());
            self.passed = 0;
        } else {
            self.passed += 1;
        }
    }
}
