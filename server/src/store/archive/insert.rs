//! Write: puts documents into the archive, each exactly once, and knows of every single one what
//! became of it.

use std::{
    collections::{HashMap, VecDeque},
    time::Instant,
};

use bson::{Document, RawDocument, RawDocumentBuf, rawdoc};
use tokio::time::sleep;

use super::refusals::{Strange, is_of_the_document, refused_by_database, refused_by_index};
use crate::{
    bytes::raw::{self, Value, ValueRef, Writer},
    domain::{
        enrich::{ArchiveDocument, DATE_ARCHIVAGE},
        judge::{Reason, Refusal},
        order::NUMERO,
        same_id::is_same_id,
    },
    store::{
        Error, Store,
        encoding::document::joined,
        wire::{
            command::split_documents,
            reply::{code_of, labels_of, name_in},
        },
    },
};

const DUPLICATE_KEY: i32 = 11000;
/// Overflow, InvalidBSON and BSONObjectTooLarge: faults of a document that the database answers for
/// the whole command.
const BAD_DOCUMENT: [i32; 3] = [15, 22, 10334];

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is in the archive, and this call put it there.
    Archived,
    /// The archive held this very order already.
    Duplicate,
    /// The archive can't hold it.
    Refused(Refusal),
}

/// What the archive holds for an `_id` or a number.
struct Present {
    id: Value,
    numero: Value,
    date_archivage: Value,
}

impl Store {
    /// Inserts documents, unordered, confirmed by a majority. One outcome comes back for each
    /// document, in their order.
    ///
    /// A duplicate key is looked up: the same order is a duplicate, another one under the same
    /// number a conflict. After an answer that did not come, the archive is read to see what it
    /// holds, and only the rest is sent again.
    ///
    /// A document that is refused with a code which is known neither as a document's fault nor as a
    /// passing one is tried again. Refused once more, it is at fault if the archive has taken
    /// others of this call; if it takes none, a few may be at fault, but not all: then the archive
    /// is [`Error::Unavailable`].
    pub async fn insert_archived(
        &self,
        documents: &[ArchiveDocument],
    ) -> Result<Vec<Written>, Error> {
        let mut outcomes: Vec<Option<Written>> = vec![None; documents.len()];
        let mut pauses = backon::BackoffBuilder::build(self.backoff());
        let (mut uncertain, mut strange_before) = (false, false);
        loop {
            let open: Vec<usize> = (0..documents.len())
                .filter(|index| outcomes[*index].is_none())
                .collect();
            if open.is_empty() {
                break;
            }
            let round = self.attempt(documents, &open, uncertain, &mut outcomes);
            let (fault, strange) = match round.await {
                Ok(strange) => match strange.first() {
                    Some(first) => (first.fault(), strange),
                    None if outcomes.iter().all(Option::is_some) => break,
                    // Everything was answered; what is still open was not confirmed by a majority
                    // yet.
                    None => {
                        uncertain = true;
                        let fault = "a majority has not confirmed the write".to_owned();
                        (Error::Unavailable(fault), strange)
                    }
                },
                // Whoever waits for the archive does so further up, where it shows.
                Err(error @ Error::NotReady { .. }) => return Err(error),
                Err(error) if error.is_transient() => {
                    uncertain = true;
                    (error, Vec::new())
                }
                Err(error) => return Err(error),
            };
            let taken = outcomes.contains(&Some(Written::Archived));
            let decided = strange_before && taken;
            let pause = pauses.next().filter(|_| strange.is_empty() || !decided);
            match pause {
                Some(pause) => sleep(pause).await,
                None if strange.is_empty() => return Err(fault),
                None if !self.refusals.lie_with_documents(strange.len(), taken) => {
                    return Err(fault);
                }
                None => {
                    for strange in &strange {
                        outcomes[strange.index] = Some(Written::Refused(strange.refusal()));
                    }
                }
            }
            strange_before = !strange.is_empty();
        }
        if outcomes.contains(&Some(Written::Archived)) {
            self.refusals.lie_with_documents(0, true);
        }
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.expect("the loop ends once every outcome is known"))
            .collect())
    }

    /// One round: first see what an earlier round has written after all, then insert the rest.
    /// Comes back with what was refused for reasons that nobody knows.
    async fn attempt(
        &self,
        documents: &[ArchiveDocument],
        open: &[usize],
        uncertain: bool,
        outcomes: &mut [Option<Written>],
    ) -> Result<Vec<Strange>, Error> {
        let mut strange = Vec::new();
        if uncertain {
            self.read_back(documents, open, true, outcomes).await?;
        }
        let open: Vec<usize> = open
            .iter()
            .copied()
            .filter(|index| outcomes[*index].is_none())
            .collect();
        let bytes: Vec<&RawDocument> = open
            .iter()
            .map(|index| documents[*index].document.as_ref())
            .collect();
        let mut collided = Vec::new();
        let mut parts: VecDeque<(&[usize], &[&RawDocument])> = VecDeque::new();
        let mut start = 0;
        for part in split_documents(&bytes) {
            parts.push_back((&open[start..start + part.len()], part));
            start += part.len();
        }
        while let Some((indexes, part)) = parts.pop_front() {
            let command = self.write_command(
                &rawdoc! { "insert": self.names.archive.as_str() },
                "documents",
                part,
            );
            self.fresh_look().await?;
            let sent = Instant::now();
            let sending = self.looks.sending(
                part.iter()
                    .filter_map(|document| raw::find(document, NUMERO))
                    .map(ValueRef::to_owned)
                    .collect(),
            );
            let reply = self.keeping(sending).run(command).await;
            self.latency.note(sent.elapsed());
            let reply = match reply {
                // One document is at fault and the whole call pays for it: halve until it stands
                // alone.
                Err(Error::Refused { code, .. })
                    if BAD_DOCUMENT.contains(&code) && part.len() > 1 =>
                {
                    let half = part.len() / 2;
                    parts.push_back((&indexes[..half], &part[..half]));
                    parts.push_back((&indexes[half..], &part[half..]));
                    continue;
                }
                Err(Error::Refused { code, name, .. }) if BAD_DOCUMENT.contains(&code) => {
                    outcomes[indexes[0]] = Some(Written::Refused(refused_by_database(code, &name)));
                    continue;
                }
                reply => reply?,
            };
            if let Ok(failure) = reply.get_document("writeConcernError") {
                // The documents may be there or not, and a majority has not confirmed those that
                // are: read back next round.
                return Err(Error::from_reply(
                    "insert",
                    code_of(failure),
                    &name_in(failure),
                    labels_of(&reply),
                ));
            }
            let refused = refusals(&reply);
            for (position, index) in indexes.iter().enumerate() {
                let error = refused.get(&position).copied();
                match error.map(|error| (error, duplicate_key(error))) {
                    None => outcomes[*index] = Some(Written::Archived),
                    Some((_, Some(key))) if is_own(key) => collided.push(*index),
                    Some((_, Some(key))) => {
                        outcomes[*index] = Some(Written::Refused(refused_by_index(key)));
                    }
                    Some((error, None)) => {
                        let name = name_in(error);
                        let code = code_of(error);
                        match Error::from_reply("insert", code, &name, labels_of(&reply)) {
                            Error::Refused { .. } if is_of_the_document(code) => {
                                outcomes[*index] =
                                    Some(Written::Refused(refused_by_database(code, &name)))
                            }
                            Error::Refused { .. } => strange.push(Strange {
                                index: *index,
                                code,
                                name: name.into_owned(),
                            }),
                            error => return Err(error),
                        }
                    }
                }
            }
        }
        if !collided.is_empty() {
            self.read_back(documents, &collided, uncertain, outcomes)
                .await?;
        }
        for index in collided {
            if outcomes[index].is_none() {
                self.read_back_alone(documents, index, uncertain, outcomes)
                    .await?;
            }
        }
        Ok(strange)
    }

    /// Looks for these documents in the archive by their `_id`s, and settles those that it holds.
    async fn read_back(
        &self,
        documents: &[ArchiveDocument],
        open: &[usize],
        uncertain: bool,
        outcomes: &mut [Option<Written>],
    ) -> Result<(), Error> {
        let present = self.present("_id", documents, open).await?;
        let by_id: HashMap<&Value, &Present> = present
            .iter()
            .map(|present| (&present.id, present))
            .collect();
        for index in open {
            let document = &documents[*index].document;
            let present = by_id.get(&own(document, "_id")).copied();
            outcomes[*index] = settled(document, present, None, uncertain);
        }
        Ok(())
    }

    /// Looks for one document by its `_id` and by its number. Alone, because whatever the database
    /// then finds is equal to it, and need not have equal bytes: to the database 1 is 1.0, a text
    /// is a symbol, and a list is each of its members.
    async fn read_back_alone(
        &self,
        documents: &[ArchiveDocument],
        index: usize,
        uncertain: bool,
        outcomes: &mut [Option<Written>],
    ) -> Result<(), Error> {
        let alone = [index];
        let (with_id, with_numero) = futures::try_join!(
            self.present("_id", documents, &alone),
            self.present(NUMERO, documents, &alone)
        )?;
        let document = &documents[index].document;
        outcomes[index] = settled(document, with_id.first(), with_numero.first(), uncertain);
        Ok(())
    }

    /// What the archive holds with the same value in a field as these documents.
    async fn present(
        &self,
        name: &str,
        documents: &[ArchiveDocument],
        open: &[usize],
    ) -> Result<Vec<Present>, Error> {
        let values: Vec<Value> = open
            .iter()
            .map(|index| own(&documents[*index].document, name))
            .collect();
        let rows = self
            .rows_for(name, &values, |filter| {
                let mut command = Writer::default();
                command
                    .string("find", &self.names.archive)
                    .document("filter", filter);
                command.document(
                    "projection",
                    &rawdoc! { "numero_commande": 1, "date_archivage": 1 },
                );
                let options = match name {
                    NUMERO => self.by_number_options(),
                    _ => self.read_options(),
                };
                joined(&[&command.finish(), &options])
            })
            .await?;
        Ok(rows.iter().map(Present::of).collect())
    }
}

impl Present {
    fn of(row: &RawDocumentBuf) -> Present {
        Present {
            id: own(row, "_id"),
            numero: own(row, NUMERO),
            date_archivage: own(row, DATE_ARCHIVAGE),
        }
    }
}

/// A field of a document, null when it is absent.
fn own(document: &RawDocumentBuf, name: &str) -> Value {
    raw::find(document, name)
        .unwrap_or(ValueRef::NULL)
        .to_owned()
}

/// What became of a document, if the archive holds something under its `_id` or its number.
fn settled(
    document: &RawDocumentBuf,
    with_id: Option<&Present>,
    with_numero: Option<&Present>,
    uncertain: bool,
) -> Option<Written> {
    let (id, numero) = (own(document, "_id"), own(document, NUMERO));
    Some(match (with_id, with_numero) {
        (Some(present), _) if !is_same_id(present.id.as_ref(), id.as_ref()) => {
            Written::Refused(Refusal {
                reason: Reason::Refused,
                detail: format!(
                    "the collation of the archive takes its `_id` {} for {}, that of another order which is archived; make the archive anew without a collation and copy its documents there, or give this order another `_id`, then retry",
                    crate::store::encoding::ext_json::shown(id.as_ref(), 64),
                    crate::store::encoding::ext_json::shown(present.id.as_ref(), 64),
                ),
            })
        }
        // The stamp is this call's own, to the millisecond: after an answer that did not come, an
        // equal one was written by it.
        (Some(present), _)
            if uncertain
                && present.numero == numero
                && present.date_archivage == own(document, DATE_ARCHIVAGE) =>
        {
            Written::Archived
        }
        (Some(present), _) if present.numero == numero => Written::Duplicate,
        (Some(_), _) => Written::Refused(Refusal {
            reason: Reason::NumberConflict,
            detail: "this order is archived under another number; restore its number, or correct the archive".to_owned(),
        }),
        (None, Some(present)) => Written::Refused(Refusal {
            reason: Reason::NumberConflict,
            detail: format!(
                "another order, with `_id` {}, is archived under {}; give this one a number of its own, then retry",
                crate::store::encoding::ext_json::shown(present.id.as_ref(), 64),
                crate::store::encoding::ext_json::shown(numero.as_ref(), 256),
            ),
        }),
        (None, None) => return None,
    })
}

/// The error of each document that was refused, by its position in the command.
fn refusals(reply: &Document) -> HashMap<usize, &Document> {
    let Ok(errors) = reply.get_array("writeErrors") else {
        return HashMap::new();
    };
    let errors = errors.iter().filter_map(bson::Bson::as_document);
    errors
        .filter_map(|error| Some((usize::try_from(error.get_i32("index").ok()?).ok()?, error)))
        .collect()
}

/// Whether a unique index is the one on `_id` or that on the number. Somebody else's refuses with
/// the same code.
fn is_own(key: &Document) -> bool {
    key.keys().eq(["_id"]) || key.keys().eq([NUMERO])
}

/// What the unique index is on that refuses a document.
fn duplicate_key(error: &Document) -> Option<&Document> {
    let key = error.get_document("keyPattern").ok();
    key.filter(|_| code_of(error) == DUPLICATE_KEY)
}
