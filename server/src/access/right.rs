//! Rights: what somebody may do, and which right includes which.

use std::fmt;

use strum::{EnumString, IntoStaticStr, VariantArray};

/// What somebody may do. Each RPC and each path of HTTP needs one of these, or none.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, IntoStaticStr, strum::Display, VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum Right {
    /// To read: orders, with the names in them, figures, lists, events and results.
    Read,
    /// To have single orders archived. Whoever archives need not be able to read what others did.
    Archive,
    /// To start, steer and stop what the server does: batches, verifications, the watcher, and
    /// orders in quarantine. Includes `read` and `archive`.
    Operate,
    /// To make, replace and remove data. Includes all others.
    Destroy,
}

impl Right {
    /// What nobody needs more than.
    pub const HIGHEST: Right = Right::Destroy;

    /// Whether a call that needs it is told of in the audit log: one that changes more than the
    /// order that it names.
    pub(crate) fn is_audited(self) -> bool {
        matches!(self, Right::Operate | Right::Destroy)
    }

    /// Whether whoever has it may do what needs another.
    fn includes(self, needed: Right) -> bool {
        match self {
            Right::Destroy => true,
            Right::Operate => needed != Right::Destroy,
            Right::Archive | Right::Read => needed == self,
        }
    }
}

/// The rights of somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights([bool; Right::VARIANTS.len()]);

impl Rights {
    /// One right, with those that it includes.
    pub(super) fn of(right: Right) -> Rights {
        let mut rights = Rights::default();
        for other in Right::VARIANTS {
            rights.0[*other as usize] = right.includes(*other);
        }
        rights
    }

    /// These and others.
    pub(super) fn and(mut self, others: Rights) -> Rights {
        for (has, other) in self.0.iter_mut().zip(others.0) {
            *has |= other;
        }
        self
    }

    /// Whether they allow what needs this right.
    pub fn allow(self, needed: Right) -> bool {
        self.0[needed as usize]
    }

    /// Reads rights with commas between them; none where one is unknown.
    pub(super) fn parse(text: &str) -> Option<Rights> {
        text.split(',').try_fold(Rights::default(), |rights, name| {
            Some(rights.and(Rights::of(name.parse().ok()?)))
        })
    }

    /// The names of all rights, as a sentence has them.
    pub(super) fn names() -> String {
        let names: Vec<&str> = Right::VARIANTS.iter().map(Into::into).collect();
        names.join(", ")
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = Right::VARIANTS.iter().filter(|right| self.allow(**right));
        let names: Vec<&str> = has.map(Into::into).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_includes_what_the_table_says() {
        use Right::{Archive, Destroy, Operate, Read};
        let table: [(Right, &[Right]); 4] = [
            (Read, &[Read]),
            (Archive, &[Archive]),
            (Operate, &[Read, Archive, Operate]),
            (Destroy, &[Read, Archive, Operate, Destroy]),
        ];
        for (right, allows) in table {
            let rights = Rights::of(right);
            let allowed = Right::VARIANTS.iter().copied();
            let allowed: Vec<Right> = allowed.filter(|it| rights.allow(*it)).collect();
            assert_eq!(allowed, allows, "{right}");
        }
        assert!(
            Right::VARIANTS
                .iter()
                .all(|it| Rights::of(Right::HIGHEST).allow(*it))
        );
    }

    #[test]
    fn rights_are_read_by_their_names() {
        for (text, rights) in [
            ("read", Some("read")),
            ("read,archive", Some("read,archive")),
            ("archive,archive", Some("archive")),
            ("operate", Some("read,archive,operate")),
            ("destroy,read", Some("read,archive,operate,destroy")),
            ("", None),
            ("Read", None),
            ("read,", None),
            ("write", None),
        ] {
            let read = Rights::parse(text).map(|rights| rights.to_string());
            assert_eq!(read.as_deref(), rights, "{text:?}");
        }
    }
}
