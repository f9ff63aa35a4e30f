//! Documents as bytes and as text: putting them together, and showing them to people.

pub(super) mod document;
pub mod ext_json;
