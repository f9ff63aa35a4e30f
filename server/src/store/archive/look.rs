//! A look at the archive: what it is, which indexes it has, and whether orders may be written to
//! it.

use bson::{Document, RawDocumentBuf, rawdoc};
use mongodb::options::ReadPreference;

use super::{
    shape::{Shape, Unfit},
    unique_index::{self, Guard},
};
use crate::{
    domain::order::NUMERO,
    store::{
        Error, Store, deployment::index_spec::IndexSpec, encoding::document::plain,
        wire::reply::first_row,
    },
};

/// The archive as a look found it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Archive {
    shape: Shape,
    pub(in crate::store) indexes: Vec<IndexSpec>,
}

impl Archive {
    /// Why no order may be written to it, whatever its indexes do; none when it is as it should be.
    pub fn unfit(&self) -> Option<Unfit> {
        self.shape.unfit(&self.indexes)
    }

    /// What keeps its numbers unique.
    pub fn guard(&self) -> Guard {
        unique_index::guard_of(&self.indexes)
    }

    /// Its unique indexes by which it may refuse orders with numbers of their own: the name of
    /// each, and what it is on.
    pub fn other_unique_indexes(&self) -> Vec<(String, String)> {
        let others = self.indexes.iter().filter(|index| {
            // One on the number alone is told of as what keeps the number unique.
            index.refuses_despite(&[NUMERO, "_id"]) && !index.takes_texts_for_one(NUMERO)
        });
        let named = others.map(|index| (index.name().to_owned(), index.shown_key()));
        named.collect()
    }

    /// Whether the database may refuse orders for what is in them.
    pub fn validates(&self) -> bool {
        self.shape.validates()
    }

    /// The command for the shell that makes its unique index.
    pub fn make_unique(&self, database: &str, archive: &str) -> String {
        unique_index::make(database, archive, &self.indexes)
    }

    /// Whether orders may be written to it at this moment; else why not.
    pub(super) fn may_be_written(&self, archive: &str) -> Result<(), Error> {
        let passing = |reason| {
            Err(Error::NotReady {
                reason,
                progress: String::new(),
            })
        };
        match (self.unfit(), self.guard()) {
            (Some(unfit), _) => Err(Error::ArchiveUnfit(unfit.sentence(archive))),
            (None, Guard::Kept | Guard::Hidden(_)) => Ok(()),
            (None, Guard::Building) => passing(being_built(archive)),
            (None, Guard::Hindered(index)) => {
                let reason = unique_index::hindered(archive, &index);
                Err(Error::ArchiveUnfit(reason))
            }
            (None, Guard::Missing) => passing(format!(
                "{archive} has no unique index on {NUMERO}, and nothing is archived before it is made"
            )),
        }
    }
}

/// That the unique index is being built.
pub(super) fn being_built(archive: &str) -> String {
    format!(
        "the unique index on {NUMERO} of {archive} is being built, and nothing is archived before it is finished"
    )
}

impl Store {
    /// Looks at the archive once. `sharded` says whether a mongos answers, which alone knows how a
    /// collection is spread.
    pub(in crate::store) async fn look_at_archive(&self, sharded: bool) -> Result<Archive, Error> {
        let name = self.names.archive.as_str();
        let listed = rawdoc! {
            "listCollections": 1, "filter": { "name": name }, "cursor": {}, "maxTimeMS": self.max_time(),
        };
        let full_name = format!("{}.{name}", self.database_name());
        let spread = rawdoc! { "find": "collections", "filter": { "_id": full_name }, "maxTimeMS": self.max_time() };
        let spread = async {
            match sharded {
                true => self.first_in_config(spread).await,
                false => Ok(None),
            }
        };
        // Joined to their ends: a call that has begun is not dropped because another one fails.
        let (listed, indexes, spread) =
            futures::join!(self.rows_once(&listed), self.list_indexes(name), spread);
        let listed = listed?.first().and_then(plain);
        // A view has none of its own, and its shape says all there is to say.
        let indexes = match indexes {
            Err(error) if error.is_of_a_view() => Vec::new(),
            indexes => indexes?,
        };
        Ok(Archive {
            shape: Shape::of(listed.as_ref(), spread?.as_ref()),
            indexes,
        })
    }

    async fn first_in_config(&self, find: RawDocumentBuf) -> Result<Option<Document>, Error> {
        let reply = self.run_on("config", find, ReadPreference::Primary).await?;
        Ok(first_row(&reply).cloned())
    }
}
