//! Calls that take as long as a collection is large, under a limit of their own instead of
//! `ARCHD_OPERATION_TIMEOUT`.
//!
//! Whoever makes one does so in a task of its own, which nobody drops.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};
use futures::TryStreamExt;
use mongodb::{
    Client, error::Error as DriverError, options::ReadPreference, raw_batch_cursor::RawBatch,
};

use super::{command::name_of, reply::document};
use crate::{
    bytes::raw::elements,
    store::{Error, Store},
};

/// Why a long call failed.
pub(in crate::store) struct Failure {
    pub(in crate::store) error: Error,
    /// The key that a unique index refused, if that is why.
    pub(in crate::store) refused_key: Option<RawDocumentBuf>,
}

impl Failure {
    fn of(command: &str, error: &DriverError) -> Failure {
        let reply = error.server_response();
        let key = reply.and_then(|reply| reply.get_document("keyValue").ok());
        Failure {
            error: Error::from_driver(command, error),
            refused_key: key.map(RawDocument::to_owned),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure {
            error,
            refused_key: None,
        }
    }
}

impl Store {
    /// Runs a command to its end.
    pub(in crate::store) async fn run_within(
        &self,
        limit: Duration,
        command: RawDocumentBuf,
    ) -> Result<(), Failure> {
        let (name, database) = (name_of(&command), self.database.clone());
        let asked = name.clone();
        let primary = ReadPreference::Primary;
        let call = async move |client: Client| {
            let reply = client.database(&database).run_raw_command(command).await;
            Ok(reply.map(drop).map_err(|error| Failure::of(&asked, &error)))
        };
        self.call_within(limit, &name, &primary, call).await?
    }

    /// Runs a reading command to its end.
    pub(in crate::store) async fn rows_within(
        &self,
        limit: Duration,
        command: RawDocumentBuf,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let (name, database) = (name_of(&command), self.database.clone());
        let primary = ReadPreference::Primary;
        let call = async move |client: Client| {
            let database = client.database(&database);
            let cursor = database.run_raw_cursor_command(command).batch().await?;
            cursor.try_collect::<Vec<RawBatch>>().await
        };
        let mut rows = Vec::new();
        for reply in self.call_within(limit, &name, &primary, call).await? {
            let fault = |error| Error::from_driver(&name, &error);
            for element in elements(reply.doc_slices().map_err(fault)?.as_bytes()) {
                rows.push(document(element.value)?);
            }
        }
        Ok(rows)
    }
}
