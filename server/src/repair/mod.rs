//! Repair: mends what a verification found amiss in the archive, because somebody asked for it.
//!
//! Each difference is looked at anew. A missing order is archived through the pipeline, like any
//! other. A document that is not the archive of its order is taken out and kept, and the order is
//! archived again. A document without a live order is never touched.

mod belonging;

use std::collections::HashMap;

use tracing::info;

use self::belonging::{Belonging, Found};
use crate::{
    bytes::raw::Value,
    domain::verify::{class::Class, finding::Finding},
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
        /// What else there is to say, for people.
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
        let why = Replacement {
            class: finding.class.name(),
            by: request.by.clone(),
            reason: request.reason.clone(),
        };
        let mut last = None;
        for document in &belonging.surplus {
            match self.store.take_out(document, &why).await? {
                TakenOut::Kept(kept) => {
                    info!(
                        numero = finding.numero,
                        class = finding.class.name(),
                        kept,
                        by = request.by,
                        "a document was taken out of the archive for a repair"
                    );
                    last = Some(kept);
                }
                TakenOut::Changed => {
                    return Ok(Repaired::Refused(
                        "the archived document changed at this moment; ask again".to_owned(),
                    ));
                }
                TakenOut::TooLarge => {
                    return Ok(Repaired::Refused(
                        "the archived document is too large to be kept with anything beside it; copy it by hand, delete it, then archive the order".to_owned(),
                    ));
                }
            }
        }
        if belonging.keeper.is_some() {
            return Ok(match last {
                Some(kept) => Repaired::Removed {
                    kept,
                    detail: String::new(),
                },
                None => Repaired::Gone,
            });
        }
        Ok(self.archive_again(finding, id, last).await)
    }

    /// Archives an order of which nothing is archived any more. What was taken out before is told
    /// in any case.
    async fn archive_again(&self, finding: &Finding, id: Value, kept: Option<String>) -> Repaired {
        let missing = Finding {
            class: Class::Missing,
            order_id: Some(id),
            ..finding.clone()
        };
        let outcome = self.archive_missing(&[missing]).await;
        let outcome = outcome.map(|mut outcomes| outcomes.pop());
        match (outcome, kept) {
            (Ok(Some(Repaired::Archived | Repaired::Gone)), Some(kept)) => {
                Repaired::Replaced { kept }
            }
            (Ok(Some(outcome)), None) => outcome,
            (Ok(None), None) => Repaired::Gone,
            (Ok(Some(Repaired::Refused(detail))), Some(kept)) => Repaired::Removed { kept, detail },
            (Ok(_), Some(kept)) => Repaired::Replaced { kept },
            (Err(error), Some(kept)) => Repaired::Removed {
                kept,
                detail: format!(
                    "the order is not archived again yet: {error}; the next batch archives it"
                ),
            },
            (Err(error), None) => Repaired::Refused(format!("{error}; the next batch archives it")),
        }
    }
}
