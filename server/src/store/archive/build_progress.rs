//! Build progress: how far the database is with the archive's unique index.

use bson::{Document, doc};
use mongodb::options::ReadPreference;

use crate::store::{
    Store,
    encoding::document::{raw, whole},
    wire::reply::first_row,
};

impl Store {
    /// How far the database is with the build; none without the privilege to see it, or where it
    /// says nothing.
    pub(in crate::store) async fn build_progress(&self) -> Option<String> {
        let namespace = format!("{}.{}", self.database_name(), self.names.archive);
        let builds = doc! { "ns": namespace, "msg": { "$regex": "^Index Build" }, "progress.total": { "$gt": 0 } };
        let command = raw(&doc! {
            "aggregate": 1, "cursor": {}, "maxTimeMS": self.max_time(),
            "pipeline": [{ "$currentOp": { "allUsers": true } }, { "$match": builds }, { "$project": { "msg": 1, "progress": 1 } }],
        });
        let primary = ReadPreference::Primary;
        let reply = self.run_on("admin", command, primary).await.ok()?;
        progress_in(first_row(&reply)?)
    }
}

/// Reads how far a build is from what the database says of it.
fn progress_in(operation: &Document) -> Option<String> {
    let message = operation.get_str("msg").ok()?;
    let progress = operation.get_document("progress").ok()?;
    let (done, total) = (whole(progress.get("done")), whole(progress.get("total")));
    let step = [
        ("scanning collection", "documents read"),
        ("inserting keys", "keys put into the index"),
        ("draining", "later writes taken in"),
    ];
    let step = step.iter().find(|(word, _)| message.contains(word));
    let what = step.map_or("done", |(_, what)| what);
    let percent = done.saturating_mul(100).checked_div(total)?;
    Some(format!("{done} of {total} {what} ({percent} %)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_of_a_build_is_told_in_documents_and_percent() {
        // As MongoDB 6.0.5 says it.
        let says = |message: &str, done: i32, total: i64| {
            progress_in(&doc! { "msg": message, "progress": { "done": done, "total": total } })
        };
        let scanning =
            "Index Build: scanning collection Index Build: scanning collection: 820000/2000000 41%";
        assert_eq!(
            says(scanning, 820_000, 2_000_000).as_deref(),
            Some("820000 of 2000000 documents read (41 %)")
        );
        let inserting = "Index Build: inserting keys from external sorter into index Index Build: inserting keys from external sorter into index: 5/10 50%";
        assert_eq!(
            says(inserting, 5, 10).as_deref(),
            Some("5 of 10 keys put into the index (50 %)")
        );
        assert_eq!(
            says("Index Build", 1, 2).as_deref(),
            Some("1 of 2 done (50 %)")
        );
        assert_eq!(says("Index Build", 0, 0), None);
        assert_eq!(progress_in(&doc! {}), None);
    }
}
