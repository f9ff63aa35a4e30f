//! Differences and their classes.

use order_archiver_api::v1 as pb;

use super::time::timestamp;
use crate::{
    bytes::raw::Value,
    domain::verify::class::Class,
    store::{differences::record::Difference, encoding::ext_json},
};

/// The most of an `_id` that a message carries, in bytes.
const LONGEST_ID: usize = 1024;

/// A difference as the contract tells it.
pub(crate) fn difference(difference: Difference) -> pb::Difference {
    let finding = difference.finding;
    let id = |id: Option<Value>| {
        id.map_or_else(String::new, |id| ext_json::shown(id.as_ref(), LONGEST_ID))
    };
    let class = difference_class(finding.class);
    let acknowledgement = difference.acknowledged.map(|said| pb::Acknowledgement {
        numero_commande: finding.numero.clone(),
        class: class.into(),
        reason: said.reason,
        by: said.by,
        time: timestamp(said.created),
    });
    pb::Difference {
        class: class.into(),
        numero_commande: finding.numero,
        order_id_json: id(finding.order_id),
        archive_id_json: id(finding.archive_id),
        fields: finding.fields,
        detail: finding.detail,
        first_seen: timestamp(difference.first_seen),
        acknowledgement,
    }
}

/// A class as the contract names it.
pub(crate) fn difference_class(class: Class) -> pb::DifferenceClass {
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

/// The class of the contract as our own; none for the one that is not used.
pub(crate) fn class_of_difference(class: pb::DifferenceClass) -> Option<Class> {
    let mut classes = Class::ALL.into_iter();
    classes.find(|own| difference_class(*own) == class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_names_every_class_and_in_the_same_order() {
        for class in Class::ALL {
            let told = difference_class(class);
            assert_eq!(told as i32, class.rank() + 1);
            assert_eq!(class_of_difference(told), Some(class));
        }
        let unused = pb::DifferenceClass::Unspecified;
        assert_eq!(class_of_difference(unused), None);
    }
}
