//! Repair: mends what a verification found amiss in the archive, because somebody asked for it.
//!
//! Each difference is looked at anew. A missing order is archived through the pipeline, like any
//! other. A document that is not the archive of its order is taken out and kept, and the order is
//! archived again. A document without a live order is never touched.

mod belonging;

use std::collections::HashMap;

use bson::RawDocumentBuf;
use tracing::info;

use self::belonging::{Belonging, Found};
use crate::{
    bytes::raw::Value,
    domain::verify::finding::Finding,
    pipeline::{Outcome, Pipeline, Source},
    store::{
        Error, Store,
        orders::gather::Selection,
        replaced::{record::Replacement, take_out::TakenOut},
        verify::reader::ComparisonReader,
    },
};

/// What became of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// The missing order is archived now.
    Archived,
    /// The document was taken out, and the order archived again.
    Replaced {
        /// Where the document is kept.
        kept: String,
    },
    /// A document that was one too many was taken out.
    Removed {
        /// Where it is kept.
        kept: String,
    },
    /// A document was taken out, and the order could not be archived again.
    TakenOut {
        /// Where it is kept.
        kept: String,
        /// Why, for people.
        detail: String,
    },
    /// The difference is not there any more.
    Gone,
    /// It can't be repaired, for this reason.
    Refused(String),
}

/// Who asks for a repair, and why.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Repairs differences.
#[derive(Clone, Debug)]
pub struct Repairer {
    reader: ComparisonReader,
    store: Store,
    pipeline: Pipeline,
}

impl Repairer {
    /// A repairer of this database.
    pub fn new(store: Store, pipeline: Pipeline) -> Repairer {
        Repairer {
            reader: store.comparison_reader(),
            store,
            pipeline,
        }
    }

    /// Archives orders that are missing, and says of each what became of it. After an error some
    /// may be archived: asking again is safe.
    pub async fn archive_missing(&self, findings: &[Finding]) -> Result<Vec<Repaired>, Error> {
        let ids: Vec<Value> = findings
            .iter()
            .filter_map(|it| it.order_id.clone())
            .collect();
        let passed = self
            .pipeline
            .archive(Selection::Candidates(ids), Source::Rpc)
            .await?;
        let mut outcomes: HashMap<Value, Repaired> = passed
            .into_iter()
            .map(|passed| {
                let repaired = match passed.outcome {
                    Outcome::Archived(_) => Repaired::Archived,
                    // Archived by somebody else, or not delivered any more.
                    Outcome::Duplicate(_) | Outcome::NotDelivered { .. } => Repaired::Gone,
                    Outcome::Quarantined { entry, refusal, .. } => Repaired::Refused(format!(
                        "it is in quarantine as {entry}: {}",
                        refusal.detail
                    )),
                };
                (passed.id, repaired)
            })
            .collect();
        let outcome = |finding: &Finding| {
            let id = finding.order_id.as_ref();
            id.and_then(|id| outcomes.remove(id))
                .unwrap_or(Repaired::Gone)
        };
        Ok(findings.iter().map(outcome).collect())
    }

    /// Replaces or takes out what is not the archive of its order.
    pub async fn replace(&self, finding: &Finding, request: &Request) -> Result<Repaired, Error> {
        let belonging = match Belonging::look(&self.reader, finding).await? {
            Found::Order(belonging) => belonging,
            Found::NoOrder => {
                return Ok(Repaired::Refused(
                    "its live order is gone, and what is archived of it is all that is left: it is never touched".to_owned(),
                ));
            }
            Found::NotDelivered => {
                return Ok(Repaired::Refused(
                    "its live order is not delivered any more, so it could not be archived again; correct its status first".to_owned(),
                ));
            }
        };
        if belonging.is_as_it_should_be() {
            return Ok(Repaired::Gone);
        }
        let id = belonging.order_id();
        if belonging.keeper.is_none()
            && let Some(refusal) = self.pipeline.refusal(&id).await?
        {
            return Ok(Repaired::Refused(format!(
                "the live order can't be archived: {}",
                refusal.detail
            )));
        }
        let (kept, hindrance) = self.take_out(finding, &belonging.surplus, request).await?;
        let Some(kept) = kept else {
            return match hindrance {
                Some(why) => Ok(Repaired::Refused(why)),
                None => self.archive(finding, id).await,
            };
        };
        if let Some(detail) = hindrance {
            return Ok(Repaired::TakenOut { kept, detail });
        }
        if belonging.keeper.is_some() {
            return Ok(Repaired::Removed { kept });
        }
        Ok(match self.archive(finding, id).await {
            Ok(Repaired::Refused(detail)) => Repaired::TakenOut { kept, detail },
            Ok(_) => Repaired::Replaced { kept },
            Err(error) => Repaired::TakenOut {
                kept,
                detail: format!("{error}; the next batch archives the order"),
            },
        })
    }

    /// Takes these documents out, one after the other. Where the last one that left is kept, and
    /// what kept it from going on.
    async fn take_out(
        &self,
        finding: &Finding,
        documents: &[RawDocumentBuf],
        request: &Request,
    ) -> Result<(Option<String>, Option<String>), Error> {
        let why = Replacement {
            class: finding.class.name(),
            by: request.by.clone(),
            reason: request.reason.clone(),
        };
        let mut last = None;
        for document in documents {
            let hindrance = match self.store.take_out(document, &why).await? {
                TakenOut::Kept(kept) => {
                    info!(
                        numero = finding.numero,
                        class = finding.class.name(),
                        kept,
                        by = request.by,
                        "a document was taken out of the archive for a repair"
                    );
                    last = Some(kept);
                    continue;
                }
                TakenOut::Changed => "the archived document changed at this moment; ask again",
                TakenOut::TooLarge => {
                    "the archived document is too large to be kept with anything beside it; copy it by hand, delete it, then archive the order"
                }
            };
            return Ok((last, Some(hindrance.to_owned())));
        }
        Ok((last, None))
    }

    /// Archives the order of a difference, of which nothing is archived any more.
    async fn archive(&self, finding: &Finding, id: Value) -> Result<Repaired, Error> {
        let missing = Finding {
            order_id: Some(id),
            ..finding.clone()
        };
        let mut outcomes = self.archive_missing(&[missing]).await?;
        Ok(outcomes.pop().unwrap_or(Repaired::Gone))
    }
}
