//! Commands for `mongosh` that mend a database, as people are told them.

use bson::Document;

/// A collection as the shell names it, whatever database it is in.
pub fn collection(database: &str, name: &str) -> String {
    format!("{}.getCollection({name:?})", self::database(database))
}

/// A command of a database as the shell runs it.
pub(super) fn run(database: &str, command: &Document) -> String {
    format!("{}.runCommand({command})", self::database(database))
}

fn database(name: &str) -> String {
    format!("db.getSiblingDB({name:?})")
}
