//! Classes of differences.

use order_archiver_api::v1 as pb;

use crate::domain::verify::class::Class;

/// The class that a message says; none where it says none, or one that is not known.
pub(crate) fn class(message: pb::DifferenceClass) -> Option<Class> {
    Class::ALL
        .into_iter()
        .find(|class| class_message(*class) == message)
}

/// The class in a message.
pub(crate) fn class_message(class: Class) -> pb::DifferenceClass {
    match class {
        Class::Missing => pb::DifferenceClass::Missing,
        Class::Altered => pb::DifferenceClass::Altered,
        Class::Doubled => pb::DifferenceClass::Doubled,
        Class::Damaged => pb::DifferenceClass::Damaged,
        Class::Amended => pb::DifferenceClass::Amended,
        Class::Orphaned => pb::DifferenceClass::Orphaned,
        Class::NotRebuildable => pb::DifferenceClass::NotRebuildable,
        Class::Quarantined => pb::DifferenceClass::Quarantined,
        Class::NearMiss => pb::DifferenceClass::NearMiss,
        Class::NamesChanged => pb::DifferenceClass::NamesChanged,
    }
}
