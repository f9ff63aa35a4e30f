//! Sending commands to MongoDB as raw BSON: each with a deadline on both sides, reads with bounded
//! retries.
//!
//! Commands are built here rather than by the driver's helpers because orders may hold strings that
//! are not UTF-8, in their ids too, and because one insert must be one wire message whose every
//! per-document outcome is in one reply.

use std::{future::Future, sync::atomic::Ordering, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use bson::{Document, RawDocument, RawDocumentBuf, Timestamp, raw::cstr, rawdoc};
use mongodb::options::ReadPreference;

use super::reply::{checked, document};
use crate::{
    bytes::raw::{Value, Writer, elements},
    store::{
        Error, Store,
        encoding::document::{document_value, is_any_of, joined},
    },
};

/// How long a majority may take to confirm a write before the database answers that it did not yet.
const MAJORITY_TIMEOUT: Duration = Duration::from_secs(5);
/// The collation that compares texts byte by byte.
pub(in crate::store) const SIMPLE: &str = "simple";
/// Where a reply tells the cluster time that it was given at.
pub(in crate::store) const OPERATION_TIME: &str = "operationTime";
/// How much a command may carry besides the documents in it, in bytes. The database takes 16 MiB
/// and 16 KiB in all.
const COMMAND_OVERHEAD: usize = 8 * 1024;
const LARGEST_COMMAND: usize = 16 * 1024 * 1024 + COMMAND_OVERHEAD;

/// What a reading command brought.
pub(in crate::store) struct Answer {
    pub(in crate::store) rows: Vec<RawDocumentBuf>,
    /// Whether rows are left.
    pub(in crate::store) cut: bool,
    /// A cluster time that nothing in the rows is later than; none from a standalone mongod.
    pub(in crate::store) time: Option<Timestamp>,
}

impl Store {
    /// Runs a command that answers with one document.
    pub(in crate::store) async fn run(&self, command: RawDocumentBuf) -> Result<Document, Error> {
        let database = self.database_name();
        self.run_on(database, command, ReadPreference::Primary)
            .await
    }

    /// Runs a reading command and returns all rows, trying again while the database is away.
    pub(in crate::store) async fn rows(
        &self,
        command: &RawDocument,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let answer = self.answer(command, usize::MAX).await?;
        Ok(answer.rows)
    }

    /// Like [`Store::rows`], but stops reading once `bytes` have come; the flag says whether rows
    /// are left.
    pub(in crate::store) async fn rows_up_to(
        &self,
        command: &RawDocument,
        bytes: usize,
    ) -> Result<(Vec<RawDocumentBuf>, bool), Error> {
        let answer = self.answer(command, bytes).await?;
        Ok((answer.rows, answer.cut))
    }

    /// Reads the rows in which a field has one of these values: asks once for as many values as fit
    /// one command. `command` builds it around the filter.
    pub(in crate::store) async fn rows_for(
        &self,
        name: &str,
        values: &[Value],
        command: impl Fn(&RawDocument) -> RawDocumentBuf,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut rows = Vec::new();
        for command in commands_for(name, values, command) {
            rows.extend(self.rows(&command).await?);
        }
        Ok(rows)
    }

    /// Runs a reading command on the primary until `bytes` have come, trying again while the
    /// database is away.
    pub(in crate::store) async fn answer(
        &self,
        command: &RawDocument,
        bytes: usize,
    ) -> Result<Answer, Error> {
        self.retry(|| self.ask(command, bytes, ReadPreference::Primary))
            .await
    }

    /// Like [`Store::answer`], but when the database did not manage it in time, that is the
    /// outcome: the same again would take as long.
    pub(in crate::store) async fn answer_in_time(
        &self,
        command: &RawDocument,
        bytes: usize,
    ) -> Result<Answer, Error> {
        let call = || self.ask(command, bytes, ReadPreference::Primary);
        self.retry_when(call, |error| error.is_transient() && !error.is_slow())
            .await
    }

    /// Runs a reading command on such a member of the set until `bytes` have come, once.
    pub(in crate::store) async fn ask(
        &self,
        command: &RawDocument,
        bytes: usize,
        member: ReadPreference,
    ) -> Result<Answer, Error> {
        let name = name_of(command);
        let fault = |error| Error::from_driver(&name, &error);
        let mut cursor = self.open_cursor(command.to_owned(), member).await?;
        let mut answer = Answer {
            rows: Vec::new(),
            cut: false,
            time: None,
        };
        let mut size = 0;
        while let Some(reply) = cursor.next(self).await? {
            answer.time = reply.as_raw_document().get_timestamp(OPERATION_TIME).ok();
            for element in elements(reply.doc_slices().map_err(fault)?.as_bytes()) {
                if size > bytes {
                    answer.cut = true;
                    cursor.end(self);
                    return Ok(answer);
                }
                size += element.value.bytes.len();
                answer.rows.push(document(element.value)?);
            }
        }
        Ok(answer)
    }

    /// Runs a reading command on the primary, once, and shows each row as its reply comes.
    pub(in crate::store) async fn each_row(
        &self,
        command: &RawDocument,
        mut see: impl FnMut(&RawDocument),
    ) -> Result<(), Error> {
        let name = name_of(command);
        let fault = |error| Error::from_driver(&name, &error);
        let primary = ReadPreference::Primary;
        let mut cursor = self.open_cursor(command.to_owned(), primary).await?;
        while let Some(reply) = cursor.next(self).await? {
            for element in elements(reply.doc_slices().map_err(fault)?.as_bytes()) {
                see(&document(element.value)?);
            }
        }
        Ok(())
    }

    /// Sends the statements of a write command in as few messages as its limits allow. All
    /// statements are upserts or deletes that may be repeated, so an unknown outcome is simply
    /// tried again.
    pub(in crate::store) async fn write_all(
        &self,
        head: RawDocumentBuf,
        list: &str,
        statements: &[RawDocumentBuf],
    ) -> Result<(), Error> {
        for chunk in split_documents(statements) {
            let command = self.write_command(&head, list, chunk);
            self.write_retried(&command).await?;
        }
        Ok(())
    }

    /// Runs a write command that may be repeated until all of it is done and a majority holds it.
    pub(in crate::store) async fn write_retried(
        &self,
        command: &RawDocument,
    ) -> Result<Document, Error> {
        self.retry(|| async { checked(self.run(command.to_owned()).await?) })
            .await
    }

    /// A write command with its documents or statements, unordered and confirmed by a majority.
    pub(in crate::store) fn write_command(
        &self,
        head: &RawDocument,
        list: &str,
        members: &[impl AsRef<RawDocument>],
    ) -> RawDocumentBuf {
        let size: usize = members
            .iter()
            .map(|member| member.as_ref().as_bytes().len() + 16)
            .sum();
        let mut command = Writer::with_capacity(size + COMMAND_OVERHEAD);
        for element in elements(head.as_bytes()) {
            command.value(element.key, element.value);
        }
        command.array(
            list,
            members.iter().map(|member| document_value(member.as_ref())),
        );
        command
            .bool("ordered", false)
            .document("writeConcern", &write_concern());
        command.finish()
    }

    /// The pauses between tries: doubling from 100 ms to 5 s, with jitter, as many as the settings
    /// allow.
    pub(in crate::store) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .with_max_times(self.policy.retry_attempts)
            .with_jitter()
    }

    /// Tries a call again while the database is away.
    pub(in crate::store) async fn retry<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: impl FnMut() -> F,
    ) -> Result<T, Error> {
        self.retry_when(call, Error::is_transient).await
    }

    /// Tries a call again as long as it fails in such a way, and no more often than the settings
    /// allow.
    pub(in crate::store) async fn retry_when<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: impl FnMut() -> F,
        again: impl FnMut(&Error) -> bool,
    ) -> Result<T, Error> {
        call.retry(self.backoff()).when(again).await
    }

    /// The limit that the database itself puts on a command, so that no abandoned one goes on
    /// working.
    pub(in crate::store) fn max_time(&self) -> i64 {
        millis(self.policy.operation_timeout)
    }

    /// The end of every reading command: only what a majority holds, no less than up to the
    /// horizon, and not longer than we wait.
    pub(in crate::store) fn read_options(&self) -> RawDocumentBuf {
        self.read_options_within(self.policy.operation_timeout)
    }

    /// Like [`Store::read_options`], for somebody who waits no longer than this.
    pub(in crate::store) fn read_options_within(&self, limit: Duration) -> RawDocumentBuf {
        let mut concern = rawdoc! { "level": "majority" };
        let horizon = self.horizon.load(Ordering::Relaxed);
        if horizon > 0 {
            let after = Timestamp {
                time: (horizon >> 32) as u32,
                increment: horizon as u32,
            };
            concern.append(cstr!("afterClusterTime"), after);
        }
        rawdoc! { "readConcern": concern, "maxTimeMS": millis(limit) }
    }

    /// The end of a reading command that asks by number: it compares texts as the archive's unique
    /// index does, byte by byte, and not as the collection may have been made to.
    pub(in crate::store) fn by_number_options(&self) -> RawDocumentBuf {
        joined(&[
            &self.read_options(),
            &rawdoc! { "collation": { "locale": SIMPLE } },
        ])
    }

    /// Whoever is asked from now on must know at least what was so at this time.
    pub(in crate::store) fn has_read_up_to(&self, time: Timestamp) {
        let horizon = (u64::from(time.time) << 32) | u64::from(time.increment);
        self.horizon.fetch_max(horizon, Ordering::Relaxed);
    }
}

/// The commands that read the rows in which a field has one of these values, each for as many
/// values as fit one command.
pub(in crate::store) fn commands_for(
    name: &str,
    values: &[Value],
    command: impl Fn(&RawDocument) -> RawDocumentBuf,
) -> impl Iterator<Item = RawDocumentBuf> {
    let parts = split(values, |value| value.bytes.len()).into_iter();
    parts.map(move |part| {
        // The database would send 101 rows first and make the rest a second round trip.
        let at_once = rawdoc! { "batchSize": i32::MAX };
        joined(&[&command(&is_any_of(name, part)), &at_once])
    })
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Confirmed by a majority, or an answer that it is not yet. In their journals: a set may be
/// configured (`writeConcernMajorityJournalDefault`) to confirm what a crash of all its members
/// would lose.
pub(in crate::store) fn write_concern() -> RawDocumentBuf {
    rawdoc! { "w": "majority", "j": true, "wtimeout": millis(MAJORITY_TIMEOUT) }
}

/// Cuts a list of documents into parts that each fit one command.
pub(in crate::store) fn split_documents<D: AsRef<RawDocument>>(documents: &[D]) -> Vec<&[D]> {
    split(documents, |document| document.as_ref().as_bytes().len())
}

/// Cuts a list into parts that each fit one command; `bytes` says how many a member takes.
fn split<T>(members: &[T], bytes: impl Fn(&T) -> usize) -> Vec<&[T]> {
    const MOST: usize = 1_000;
    let mut parts = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, member) in members.iter().enumerate() {
        let length = bytes(member) + 16;
        if index > start
            && (size + length > LARGEST_COMMAND - COMMAND_OVERHEAD || index - start == MOST)
        {
            parts.push(&members[start..index]);
            (start, size) = (index, 0);
        }
        size += length;
    }
    if start < members.len() {
        parts.push(&members[start..]);
    }
    parts
}

/// The name of a command.
pub(super) fn name_of(command: &RawDocument) -> String {
    elements(command.as_bytes())
        .next()
        .map(|element| String::from_utf8_lossy(element.key).into_owned())
        .unwrap_or_default()
}

/// A chunk is cut once its orders hold this many bytes, so that cache stays bounded however large
/// they are.
pub(in crate::store) const CHUNK_BYTES: usize = 16 * 1024 * 1024;

impl Store {
    pub(in crate::store) async fn rows_once(
        &self,
        command: &RawDocument,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let answer = self
            .ask(command, usize::MAX, ReadPreference::Primary)
            .await?;
        Ok(answer.rows)
    }
}
