//! Commands for `mongosh` that mend a database, as people are told them.

use bson::{Bson, Document};

use crate::domain::text::escaped;

/// A collection as the shell names it, whatever database it is in.
pub fn collection(database: &str, name: &str) -> String {
    format!("{}.getCollection({name:?})", self::database(database))
}

/// A command of a database as the shell runs it.
pub(in crate::store) fn run(database: &str, command: &Document) -> String {
    format!("{}.runCommand({command})", self::database(database))
}

/// A value as the shell writes it, with whatever can't be seen as escapes.
pub(in crate::store) fn literal(value: &Bson) -> String {
    let text = |value: Bson| escaped(&value.into_canonical_extjson().to_string());
    let json = text(value.clone());
    match json.contains("\"$") {
        // A type that JSON has no text for.
        true => format!("EJSON.parse({})", text(Bson::String(json))),
        false => json,
    }
}

fn database(name: &str) -> String {
    format!("db.getSiblingDB({name:?})")
}
