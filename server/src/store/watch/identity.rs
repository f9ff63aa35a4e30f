//! The identity of the database: a random text, so that a cursor of another one can be told.

use bson::{doc, rawdoc};

use crate::{
    bytes::raw,
    store::{
        Error, Store,
        encoding::document::joined,
        state::{
            format::{self, Field, Is, must},
            version::{CURRENT, FORMAT},
        },
    },
};

/// The `_id` of the document that names the database.
pub(in crate::store) const IDENTITY_ID: &str = "identity";
/// The fields of the document that names the database.
pub(in crate::store) const IDENTITY: &[Field] = &[must("uuid", Is::Text)];

impl Store {
    /// Names this database, so that a cursor of another one can be told: a random text, made once.
    pub async fn database_identity(&self) -> Result<String, Error> {
        let query = doc! { "_id": IDENTITY_ID };
        let born =
            doc! { "$setOnInsert": { FORMAT: CURRENT, "uuid": uuid::Uuid::new_v4().to_string() } };
        if let Some(uuid) = self.read_identity().await? {
            return Ok(uuid);
        }
        self.update_watcher(query, born, true).await?;
        self.read_identity()
            .await?
            .ok_or_else(|| Error::Unavailable("its identity is not there yet".to_owned()))
    }

    /// The name of this database, if it has one yet.
    pub(in crate::store) async fn read_identity(&self) -> Result<Option<String>, Error> {
        let find = rawdoc! { "find": self.names.state.as_str(), "filter": { "_id": IDENTITY_ID } };
        let rows = self.rows(&joined(&[&find, &self.read_options()])).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        format::check(&self.names.state, IDENTITY, row)?;
        Ok(raw::find(row, "uuid").and_then(|uuid| uuid.as_str().map(str::to_owned)))
    }
}
