//! Releases: why an order leaves the quarantine, and on whose request.

use bson::Document;

use crate::store::state::{
    caller::Caller,
    format::{Field, Is, may, must},
};

/// The fields of a release, in an entry.
pub(super) const RELEASE: &[Field] = &[
    must("cause", Is::Word(|name| Cause::named(name).is_some())),
    may("instance", Is::Text),
    may("peer", Is::Text),
];

/// What made an order leave the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody dropped the entry.
    Dropped,
    /// The order is in the archive.
    Archived,
}

impl Cause {
    const NAMES: [(Cause, &str); 2] = [(Cause::Dropped, "dropped"), (Cause::Archived, "archived")];

    pub(super) fn name(self) -> &'static str {
        let known = Cause::NAMES.iter().find(|(cause, _)| *cause == self);
        known.map_or("", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Cause> {
        let known = Cause::NAMES.iter().find(|(_, known)| *known == name);
        known.map(|(cause, _)| *cause)
    }
}

/// Why an order leaves the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What became of it.
    pub cause: Cause,
    /// Who asked for that; none when a batch found the order in the archive.
    pub caller: Option<Caller>,
}

/// Reads a release from its document.
pub(super) fn release_in(document: &Document) -> Option<Release> {
    let text = |field| document.get_str(field).ok().map(str::to_owned);
    Some(Release {
        cause: Cause::named(&text("cause")?)?,
        caller: text("instance").map(|instance| Caller {
            instance,
            peer: text("peer").unwrap_or_default(),
        }),
    })
}
