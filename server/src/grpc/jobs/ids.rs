//! Ids in requests: the same for every RPC that takes one, whole or shortened.

use tonic::Status;

use super::Told;
use crate::{
    grpc::status::{self, Violations},
    store::{Error, jobs::ids::Meant},
};

/// The longest id, in bytes.
pub(in crate::grpc) const LONGEST: usize = 64;

/// The whole id that one in a request stands for; none when there is nothing under it.
pub(in crate::grpc) fn whole(
    field: &str,
    id: &str,
    meant: Result<Meant, Error>,
) -> Result<Option<String>, Status> {
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

/// Notes what is wrong with the id of a job before anything is looked for.
pub(in crate::grpc) fn check<J: Told>(violations: &mut Violations, field: &str, id: &str) {
    violations
        .check(
            !id.is_empty(),
            field,
            format!("must not be empty; {} shows the ids", J::LIST),
        )
        .check_length(field, id, LONGEST);
}
