//! Classes: what a difference between an order and the archive can be.

/// What a difference is. Where several apply, it is the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The order is delivered, and neither archived nor in quarantine.
    Missing,
    /// The order's part of the archived document is not the live order.
    Altered,
    /// One number stands twice in the archive, or one order has two archived documents.
    Doubled,
    /// What the archive notes of the archiving does not agree with the document.
    Damaged,
    /// The live order has changed since it was archived, and the archive has not.
    Amended,
    /// No live order belongs to the archived document.
    Orphaned,
    /// Fields of the order are absent, or out of their order, as the script before archd left them.
    NotRebuildable,
    /// The order is in quarantine.
    Quarantined,
    /// The order's status only looks like the delivered one.
    NearMiss,
    /// The names in the archive are not those of today's references.
    NamesChanged,
}

impl Class {
    /// All of them, in the order in which people are told of them.
    pub const ALL: [Class; 10] = [
        Class::Missing,
        Class::Altered,
        Class::Doubled,
        Class::Damaged,
        Class::Amended,
        Class::Orphaned,
        Class::NotRebuildable,
        Class::Quarantined,
        Class::NearMiss,
        Class::NamesChanged,
    ];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Class::Missing => "missing",
            Class::Altered => "altered",
            Class::Doubled => "doubled",
            Class::Damaged => "damaged",
            Class::Amended => "amended",
            Class::Orphaned => "orphaned",
            Class::NotRebuildable => "not_rebuildable",
            Class::Quarantined => "quarantined",
            Class::NearMiss => "near_miss",
            Class::NamesChanged => "names_changed",
        }
    }

    /// The class of this name.
    pub fn of_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Whether a difference of this class fails the verdict.
    pub fn fails(self) -> bool {
        matches!(
            self,
            Class::Missing | Class::Altered | Class::Doubled | Class::Damaged
        )
    }

    /// Its place in lists.
    pub fn rank(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name_and_a_place_of_its_own() {
        for (at, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(Class::of_name(class.name()), Some(class));
            assert_eq!(class.rank(), i32::try_from(at).unwrap_or(-1));
        }
        assert_eq!(Class::of_name("other"), None);
        let failing: Vec<&str> = Class::ALL
            .into_iter()
            .filter(|class| class.fails())
            .map(Class::name)
            .collect();
        assert_eq!(failing, ["missing", "altered", "doubled", "damaged"]);
    }
}
