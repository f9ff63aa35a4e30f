//! Plans: which orders a verification looks at, and how closely.

use std::time::Duration;

use bson::Timestamp;

/// How much of each order is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Whether it is there, by the indexes.
    Presence,
    /// Every byte of it.
    #[default]
    Content,
    /// The same, and whether its names are still those of the references.
    References,
}

/// Which orders are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All orders and the whole archive.
    #[default]
    Full,
    /// What has changed since an earlier verification.
    Changes,
}

/// What a pass over orders and archive is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The verification that it is done for.
    pub verification: String,
    /// How closely it looks.
    pub depth: Depth,
    /// How long after it was first seen a difference is read again.
    pub settle: Duration,
    /// Only what has changed since this cluster time; none for everything.
    pub since: Option<Timestamp>,
    /// Whether every archived document agreed with its order then, as far as anybody knows: nobody
    /// has ever said of one that differs that it may stay.
    pub sound: bool,
    /// The cluster time at which the verification began: what happened later need not be seen. Zero
    /// on a standalone mongod, which has none.
    pub begun: Timestamp,
}

impl Depth {
    const NAMES: [(Depth, &str); 3] = [
        (Depth::Presence, "presence"),
        (Depth::Content, "content"),
        (Depth::References, "references"),
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        Depth::NAMES[self as usize].1
    }

    /// The depth of this name.
    pub fn of_name(name: &str) -> Option<Depth> {
        let mut names = Depth::NAMES.iter();
        names.find(|(_, known)| *known == name).map(|(it, _)| *it)
    }
}

impl Scope {
    const NAMES: [(Scope, &str); 2] = [(Scope::Full, "full"), (Scope::Changes, "changes")];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        Scope::NAMES[self as usize].1
    }

    /// The scope of this name.
    pub fn of_name(name: &str) -> Option<Scope> {
        let mut names = Scope::NAMES.iter();
        names.find(|(_, known)| *known == name).map(|(it, _)| *it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for depth in [Depth::Presence, Depth::Content, Depth::References] {
            assert_eq!(Depth::of_name(depth.name()), Some(depth));
        }
        for scope in [Scope::Full, Scope::Changes] {
            assert_eq!(Scope::of_name(scope.name()), Some(scope));
        }
        assert_eq!((Depth::of_name(""), Scope::of_name("")), (None, None));
    }
}
