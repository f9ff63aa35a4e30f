//! Calls that take as long as a collection is large, under a limit of their own instead of `ARCHD_OPERATION_TIMEOUT`.
//!
//! Whoever makes one does so in a task of its own, which nobody drops.

use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};
use futures::StreamExt;
use mongodb::error::Error as DriverError;
use tokio::time::timeout;

use super::{
    Error, Store,
    command::{document, name_of},
};
use crate::domain::raw::elements;

/// Why a long call failed.
pub(super) struct Failure {
    pub(super) error: Error,
    /// The key that a unique index refused, if that is why.
    pub(super) refused_key: Option<RawDocumentBuf>,
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

    fn too_slow(limit: Duration) -> Failure {
        Failure {
            error: Error::Timeout(limit),
            refused_key: None,
        }
    }
}

impl Store {
    /// Runs a command to its end.
    pub(super) async fn run_within(
        &self,
        limit: Duration,
        command: RawDocumentBuf,
    ) -> Result<(), Failure> {
        let name = name_of(&command);
        let call = self.database.run_raw_command(command);
        match timeout(limit, call.into_future()).await {
            Ok(reply) => reply.map(drop).map_err(|error| Failure::of(&name, &error)),
            Err(_) => Err(Failure::too_slow(limit)),
        }
    }

    /// Runs a reading command to its end.
    pub(super) async fn rows_within(
        &self,
        limit: Duration,
        command: RawDocumentBuf,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let name = name_of(&command);
        let fault = |error| Error::from_driver(&name, &error);
        let reading = async {
            let cursor = self.database.run_raw_cursor_command(command).batch();
            let mut cursor = cursor.await.map_err(fault)?;
            let mut rows = Vec::new();
            while let Some(reply) = cursor.next().await {
                let reply = reply.map_err(fault)?;
                for element in elements(reply.doc_slices().map_err(fault)?.as_bytes()) {
                    rows.push(document(element.value)?);
                }
            }
            Ok(rows)
        };
        timeout(limit, reading)
            .await
            .unwrap_or(Err(Error::Timeout(limit)))
    }
}
