//! Ids as callers may shorten them: a prefix that only one has, or the word for the latest job.

use bson::{Document, doc};

use super::{Job, record::BY_TIME};
use crate::{
    bytes::raw::{self, ValueRef},
    store::{
        Error, Store,
        encoding::document::{joined, raw},
    },
};

/// The word for the job that was asked for last.
pub const LATEST: &str = "latest";
/// The shortest part of an id that stands for all of it, in bytes. One that is shorter is more
/// likely a slip.
pub const SHORTEST: usize = 4;
/// How many ids are named that begin alike.
const NAMED: usize = 5;

/// What there is under an id that may be shortened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// Nothing.
    None,
    /// One thing, by its whole id.
    One(String),
    /// Several things.
    Several {
        /// The whole ids of some.
        ids: Vec<String>,
        /// Whether there are others.
        more: bool,
    },
}

impl Store {
    /// The job that is meant by an id: by the whole of one, by the beginning of only one, or by the
    /// word for the latest.
    pub async fn job_meant<J: Job>(&self, id: &str) -> Result<Meant, Error> {
        let collection = (J::KIND.collection)(&self.names);
        if id == LATEST {
            let newest = doc! { "sort": { "created": -1, "_id": -1 }, "hint": BY_TIME, "limit": 1 };
            let newest = self.ids(collection, newest).await?.pop();
            return Ok(newest.map_or(Meant::None, Meant::One));
        }
        self.id_meant(collection, id).await
    }

    /// What is meant by an id in a collection: by the whole of one, or by the beginning of only one.
    pub async fn id_meant(&self, collection: &str, id: &str) -> Result<Meant, Error> {
        let ids = self.ids_that_begin(collection, id).await?;
        // A whole id comes before all that begin with it.
        if ids.first().is_some_and(|first| first == id) {
            return Ok(Meant::One(id.to_owned()));
        }
        Ok(match ids.as_slice() {
            _ if id.len() < SHORTEST => Meant::None,
            [] => Meant::None,
            [only] => Meant::One(only.clone()),
            several => Meant::Several {
                more: several.len() > NAMED,
                ids: several.iter().take(NAMED).cloned().collect(),
            },
        })
    }

    async fn ids_that_begin(&self, collection: &str, prefix: &str) -> Result<Vec<String>, Error> {
        // No text that begins so is greater than this one.
        let end = format!("{prefix}{}", char::MAX);
        let limit = i64::try_from(NAMED + 1).unwrap_or(i64::MAX);
        let walk = doc! {
            "filter": { "_id": { "$gte": prefix, "$lte": end } }, "sort": { "_id": 1 }, "hint": { "_id": 1 }, "limit": limit,
        };
        self.ids(collection, walk).await
    }

    async fn ids(&self, collection: &str, walk: Document) -> Result<Vec<String>, Error> {
        let find = raw(&doc! { "find": collection, "projection": { "_id": 1 } });
        let command = joined(&[&find, &raw(&walk), &self.read_options()]);
        let rows = self.rows(&command).await?;
        let id = |row| raw::find(row, "_id").and_then(ValueRef::as_str);
        Ok(rows
            .iter()
            .filter_map(|row| id(row).map(str::to_owned))
            .collect())
    }
}
