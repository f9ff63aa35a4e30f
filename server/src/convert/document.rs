//! Documents, and how much of one a message carries.

use bson::RawDocument;
use order_archiver_api::v1 as pb;

use crate::{
    domain::text::cut,
    store::{
        encoding::ext_json::{self, Form},
        state::fault::Fault,
    },
};

/// The most Extended JSON that a message carries, in bytes: callers take 4 MiB in all unless they
/// say otherwise.
pub(crate) const MOST_JSON: usize = 3 * 1024 * 1024;

/// The most of a number that a message carries, in bytes.
const LONGEST_NUMERO: usize = 1024;
/// The number of an order, or as much of it as a message carries.
pub(crate) fn numero(numero: &str) -> String {
    cut(numero, LONGEST_NUMERO)
}

/// A document of the server's own that can't be worked with.
pub(crate) fn unreadable(fault: &Fault) -> pb::UnreadableDocument {
    pb::UnreadableDocument {
        name: fault.name(),
        problem: fault.to_string(),
        newer: fault.is_newer(),
    }
}

/// A document that a message may carry.
#[derive(Clone, Copy)]
pub(crate) enum Document<'a> {
    /// It was not asked for.
    NotAsked,
    /// It is known to be too large.
    TooLarge,
    /// It may yet be too large as text.
    Given(&'a RawDocument, Form),
}

impl Document<'_> {
    /// Its Extended JSON. Empty, and noted as left out, where that is more than a message carries.
    pub(crate) fn json(self, omitted: &mut Vec<String>) -> String {
        let text = match self {
            Document::NotAsked => return String::new(),
            // Extended JSON can be several times larger than the BSON it shows, so small documents
            // alone are worth a try.
            Document::Given(document, form) if document.as_bytes().len() <= MOST_JSON => {
                Some(ext_json::text(document, form))
            }
            Document::Given(..) | Document::TooLarge => None,
        };
        let text = text.filter(|text| text.len() <= MOST_JSON);
        text.unwrap_or_else(|| {
            omitted.push("document_json".to_owned());
            String::new()
        })
    }
}
