//! Ids in requests: the same for every RPC that takes one, whole or shortened.

use tonic::Status;

use super::status::{self, Violations};
use crate::store::{
    Store,
    batches::ids::{Kind, Meant},
};

/// The longest id, in bytes.
pub(super) const LONGEST: usize = 64;

/// The whole id that one in a request stands for; none when there is nothing under it.
pub(super) async fn whole(
    store: &Store,
    kind: Kind,
    field: &str,
    id: &str,
) -> Result<Option<String>, Status> {
    let meant = store.id_meant(kind, id).await;
    match meant.map_err(|error| status::of_error(&error))? {
        Meant::None => Ok(None),
        Meant::One(id) => Ok(Some(id)),
        Meant::Several { ids, more } => {
            let others = if more { " and others" } else { "" };
            let ids = ids.join(", ");
            let mend = format!("is the beginning of {ids}{others}; give more than {id}");
            Err(status::bad_field(field, mend))
        }
    }
}

/// Notes what is wrong with the id of a batch before anything is looked for.
pub(super) fn check(violations: &mut Violations, id: &str) {
    violations
        .check(
            !id.is_empty(),
            "id",
            "must not be empty; ListBatches shows the ids",
        )
        .check_length("id", id, LONGEST);
}
