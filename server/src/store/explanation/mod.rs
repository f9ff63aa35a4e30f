//! All that the database knows of one number: read, never written, each look bounded.

mod archived;
pub mod history;
pub mod known;
mod live;
pub mod passage;
mod traces;

pub use archived::{Archived, Belongs};
pub use live::{LiveOrder, Status};

use bson::{Bson, Document, doc};

/// How many documents of a kind are told of one number.
const MOST: usize = 10;
/// A longer value, in bytes, is not fetched to be told.
const LONGEST: i32 = 4 * 1024;

/// A field of a document, or nothing where it is longer than is told.
fn short(field: &str) -> Document {
    let path = format!("${field}");
    let length = doc! { "$bsonSize": { "v": &path } };
    doc! { "$cond": [{ "$lte": [length, LONGEST] }, path, "$$REMOVE"] }
}

/// A field of a document, or nothing where it is of another type, or longer than is told.
fn short_of_type(field: &str, type_name: &str) -> Document {
    let is = doc! { "$eq": [{ "$type": format!("${field}") }, type_name] };
    doc! { "$cond": [is, Bson::from(short(field)), "$$REMOVE"] }
}
