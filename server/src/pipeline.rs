//! The pipeline: the one way into the archive, whichever source an order came through.
//!
//! [`Pipeline::archive`] is the table of contents of this server: gather, judge, enrich, write,
//! announce.

mod measures;
mod quarantine_log;
mod since;

use std::{mem::take, ops::AddAssign, time::SystemTime};

use bson::DateTime;
use tokio::time::Instant;
use tracing::{Instrument, debug, debug_span, info_span, warn};

pub(crate) use self::since::Since;
use self::{
    measures::{Measures, Step},
    quarantine_log::QuarantineLog,
};
use crate::{
    bytes::raw::{Value, ValueRef},
    domain::{
        counts::Counts,
        enrich::{ArchiveDocument, Stamp, enrich},
        judge::{Field, Reason, Refusal, Verdict, judge},
        latency::LatencyHistogram,
        near_miss::{LONGEST_STATUS, NearMiss},
        order::{Bundle, Order, STATUS},
    },
    store::{
        Error, Store,
        archive::insert::Written,
        counters::record::Tally,
        encoding::ext_json,
        orders::{
            delivered_status::DeliveredStatus,
            gather::{Gathered, Selection},
        },
        quarantine::record::entry_id,
    },
};

/// Where an order came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Somebody asked for it by its number.
    Rpc,
    /// A batch met it.
    Batch,
    /// The watcher saw it become delivered.
    Watch,
}

impl Source {
    /// The source's name in counters and logs.
    pub fn name(self) -> &'static str {
        match self {
            Source::Rpc => "rpc",
            Source::Batch => "batch",
            Source::Watch => "watch",
        }
    }
}

/// What became of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was written to the archive, with these fields missing.
    Archived(Vec<String>),
    /// The archive held it already, with these fields missing.
    Duplicate(Vec<String>),
    /// Its status is another one, so it was left alone.
    NotDelivered {
        /// The status, as Extended JSON.
        status: String,
        /// What is told of it where it looks like the delivered one: nobody need wait for such an
        /// order.
        near_miss: Option<Box<NearMiss>>,
    },
    /// It can't be archived and is in quarantine.
    Quarantined {
        /// Name of the entry.
        entry: String,
        /// Whether it was not there before.
        is_new: bool,
        /// Why.
        refusal: Refusal,
    },
}

/// An order that came through the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its `_id`.
    pub id: Value,
    /// Its number, if it is usable.
    pub numero: Option<String>,
    /// Whether no more of it was read than its head, because it is large.
    pub is_large: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a chunk of orders.
#[derive(Clone, Debug, Default)]
pub struct PipelineReport {
    /// Every order that was there, delivered or not.
    pub passed: Vec<Passed>,
    /// The delivered ones, counted.
    pub counts: Counts,
    /// The `_id`s of those that were gone before they were read.
    pub gone: Vec<Value>,
    /// What was left out because the orders are large; archive it next.
    pub rest: Option<Selection>,
    /// The heads of large orders that were asked for by number, and about which nothing was done:
    /// they have to be read whole.
    pub unread: Vec<Order>,
}

impl AddAssign for PipelineReport {
    fn add_assign(&mut self, other: PipelineReport) {
        self.passed.extend(other.passed);
        self.counts += other.counts;
        self.gone.extend(other.gone);
        self.rest = other.rest;
        self.unread.extend(other.unread);
    }
}

/// The way into the archive.
#[derive(Clone, Debug)]
pub struct Pipeline {
    store: Store,
    archived_by: String,
    quarantine_log: QuarantineLog,
    measures: Measures,
}

impl Pipeline {
    /// A pipeline to the archive of this database, which signs with this name.
    pub fn new(store: Store, archived_by: String) -> Pipeline {
        Pipeline {
            measures: Measures::new(store.metrics()),
            store,
            archived_by,
            quarantine_log: QuarantineLog::new(),
        }
    }

    /// The same, on behalf of callers of whom there may be any number.
    pub fn for_callers(&self) -> Pipeline {
        self.with_store(self.store.for_callers())
    }

    /// The same pipeline on another handle of the same database.
    pub(crate) fn with_store(&self, store: Store) -> Pipeline {
        Pipeline {
            store,
            ..self.clone()
        }
    }

    /// Archives the selected orders. After an error some of them may be archived: asking again is
    /// safe.
    pub async fn archive(
        &self,
        selection: Selection,
        source: Source,
    ) -> Result<Vec<Passed>, Error> {
        let report = self.archive_all(selection, source, &Since::Unknown).await?;
        Ok(report.passed)
    }

    /// Like [`Pipeline::archive`], with all that there is to say of it.
    pub(crate) async fn archive_all(
        &self,
        selection: Selection,
        source: Source,
        since: &Since,
    ) -> Result<PipelineReport, Error> {
        let mut report = PipelineReport::default();
        let mut next = Some(selection).filter(|selection| !selection.is_empty());
        while let Some(selection) = next {
            let stamp = DateTime::from_system_time(SystemTime::now());
            let mut chunk = self.archive_chunk(&selection, source, since, stamp).await?;
            next = chunk.rest.take();
            report += chunk;
        }
        Ok(report)
    }

    /// Archives as many of the selected orders as are worth holding in memory at once; `stamp` is
    /// their `date_archivage`.
    pub(crate) async fn archive_chunk(
        &self,
        selection: &Selection,
        source: Source,
        since: &Since,
        stamp: DateTime,
    ) -> Result<PipelineReport, Error> {
        let span = info_span!("chunk", source = source.name());
        let measures = self.measures.of(source);
        let chunk = async {
            let began = Instant::now();
            // The write waits for a look at the archive, which has come by then if it begins now.
            let gathering = async {
                let (gathered, ()) = futures::try_join!(
                    self.store.gather_orders(selection),
                    self.store.assure_archive()
                )?;
                let gone = self.store.gone_orders(selection, &gathered).await?;
                Ok::<_, Error>((gathered, gone))
            };
            let (gathered, gone) = gathering.instrument(debug_span!("gather")).await?;
            let began = measures.step(Step::Gather, began);
            let Gathered { bundles, rest } = gathered;
            let stamp = Stamp {
                date_archivage: stamp,
                archived_by: self.archived_by.clone(),
            };
            let mut prepared = prepare(bundles, self.store.delivered_status(), &stamp);
            measures.step(Step::Prepare, began);
            let unread = take(&mut prepared.unread);
            let passed = self.write(prepared, source, since).await?;
            tell_of_gone(&gone);
            let gone_orders = Counts {
                gone: gone.len() as i64,
                ..Counts::default()
            };
            self.record(source, gone_orders);
            measures.count_gone(gone.len());
            let mut counts = sum(&passed);
            counts += gone_orders;
            debug!(?counts, "announced");
            Ok(PipelineReport {
                counts,
                passed,
                gone,
                rest,
                unread,
            })
        };
        let outcome = chunk.instrument(span).await;
        measures.ended(&outcome);
        outcome
    }

    /// Why a delivered order could not be archived if the archive held nothing of it; none if it
    /// could, or is not there.
    pub(crate) async fn refusal(&self, id: &Value) -> Result<Option<Refusal>, Error> {
        let selection = Selection::Candidates(vec![id.clone()]);
        let mut bundles = self.store.gather_orders(&selection).await?.bundles;
        for bundle in &mut bundles {
            bundle.archived = None;
        }
        let stamp = Stamp {
            date_archivage: DateTime::MIN,
            archived_by: self.archived_by.clone(),
        };
        let prepared = prepare(bundles, self.store.delivered_status(), &stamp);
        Ok(prepared
            .refused
            .into_iter()
            .next()
            .map(|(_, refusal)| refusal))
    }

    /// Writes documents to the archive and refused orders to quarantine, and counts what has
    /// changed by that. Everyone else hears of it from the database: see
    /// [`crate::observe::events`].
    async fn write(
        &self,
        prepared: Prepared,
        source: Source,
        since: &Since,
    ) -> Result<Vec<Passed>, Error> {
        let Prepared {
            documents,
            mut refused,
            mut settled,
            unread: _,
        } = prepared;
        let (bundles, documents): (Vec<Bundle>, Vec<ArchiveDocument>) =
            documents.into_iter().unzip();
        let measures = self.measures.of(source);
        let began = Instant::now();
        let inserting = self.store.insert_archived(&documents);
        let written = inserting.instrument(debug_span!("write")).await?;
        let confirmed = match documents.is_empty() {
            true => began,
            false => measures.step(Step::Write, began),
        };
        let mut latency = LatencyHistogram::default();
        for ((bundle, document), written) in bundles.into_iter().zip(documents).zip(written) {
            let missing = || {
                document
                    .missing
                    .iter()
                    .copied()
                    .map(Field::name)
                    .map(str::to_owned)
                    .collect()
            };
            match written {
                Written::Archived => {
                    if let Some(since) = since.of(&bundle.order) {
                        let waited = confirmed.saturating_duration_since(since);
                        latency.add(waited);
                        measures.waited(waited);
                    }
                    settled.push(pass(&bundle, Outcome::Archived(missing())));
                }
                Written::Duplicate => settled.push(pass(&bundle, Outcome::Duplicate(missing()))),
                Written::Refused(refusal) => refused.push((bundle, refusal)),
            }
        }
        // At once: what comes next may fail, and whoever tries again finds these archived.
        let archived = Tally {
            counts: changes(&settled),
            latency,
        };
        self.record(source, archived);
        measures.count(&settled);
        let orders: Vec<_> = refused
            .iter()
            .map(|(bundle, refusal)| (&bundle.order, refusal))
            .collect();
        let new = self.store.quarantine_orders(&orders).await?;
        if !orders.is_empty() {
            measures.step(Step::Quarantine, confirmed);
        }
        let quarantined = refused.into_iter().map(|(bundle, refusal)| {
            let entry = entry_id(bundle.order.id());
            let is_new = new.contains(&entry);
            if is_new {
                self.quarantine_log.tell(&bundle.order, &entry, &refusal);
            }
            let outcome = Outcome::Quarantined {
                entry,
                is_new,
                refusal,
            };
            pass(&bundle, outcome)
        });
        let quarantined: Vec<Passed> = quarantined.collect();
        self.record(source, changes(&quarantined));
        measures.count(&quarantined);
        settled.extend(quarantined);
        Ok(settled)
    }

    /// Counts what has changed for orders.
    fn record(&self, source: Source, changed: impl Into<Tally>) {
        let _step = debug_span!("record").entered();
        self.store.count_orders(source.name(), changed);
    }
}

/// A chunk on its way through the pipeline, judged and enriched: all that can be said of it without
/// writing.
#[derive(Default)]
pub(crate) struct Prepared {
    /// What goes to the archive.
    pub(crate) documents: Vec<(Bundle, ArchiveDocument)>,
    /// What goes to quarantine.
    pub(crate) refused: Vec<(Bundle, Refusal)>,
    settled: Vec<Passed>,
    /// Large orders that have to be read whole.
    unread: Vec<Order>,
}

impl Prepared {
    /// What became of those orders that need no writing.
    pub(crate) fn settled(&self) -> &[Passed] {
        &self.settled
    }
}

/// Judges and enriches: refuses what the database could not hold, and makes documents of the rest.
pub(crate) fn prepare(
    bundles: Vec<Bundle>,
    delivered: DeliveredStatus<'_>,
    stamp: &Stamp,
) -> Prepared {
    let verdicts: Vec<Verdict<'_>> = debug_span!("judge").in_scope(|| {
        let verdicts = bundles.iter().map(|bundle| judge(bundle, delivered.text()));
        verdicts.collect()
    });
    let judged: Vec<Judged> = debug_span!("enrich").in_scope(|| {
        let judged = bundles.iter().zip(verdicts);
        judged
            .map(|(bundle, verdict)| enriched(bundle, verdict, stamp))
            .collect()
    });
    let mut prepared = Prepared::default();
    for (bundle, judged) in bundles.into_iter().zip(judged) {
        match judged {
            Judged::Unread => prepared.unread.push(bundle.order),
            Judged::Document(document) => prepared.documents.push((bundle, *document)),
            Judged::Refused(refusal) => prepared.refused.push((bundle, refusal)),
            Judged::Duplicate(missing) => prepared
                .settled
                .push(pass(&bundle, Outcome::Duplicate(missing))),
            Judged::NotDelivered => prepared
                .settled
                .push(pass(&bundle, not_delivered(&bundle, delivered))),
        }
    }
    prepared
}

/// What a verdict comes to, with the document that goes to the archive.
enum Judged {
    Unread,
    Document(Box<ArchiveDocument>),
    Refused(Refusal),
    Duplicate(Vec<String>),
    NotDelivered,
}

fn enriched(bundle: &Bundle, verdict: Verdict<'_>, stamp: &Stamp) -> Judged {
    match verdict {
        Verdict::Archive(_) | Verdict::Quarantine(_) if !bundle.order.is_whole() => Judged::Unread,
        Verdict::Archive(fields) => {
            let document = enrich(&bundle.order, &fields, stamp);
            match too_large(&document) {
                Some(refusal) => Judged::Refused(refusal),
                None => Judged::Document(Box::new(document)),
            }
        }
        Verdict::Quarantine(refusal) => Judged::Refused(refusal),
        Verdict::Duplicate(missing) => Judged::Duplicate(missing),
        Verdict::NotDelivered => Judged::NotDelivered,
    }
}

fn pass(bundle: &Bundle, outcome: Outcome) -> Passed {
    Passed {
        id: bundle.order.id().to_owned(),
        numero: bundle.order.numero().map(str::to_owned),
        is_large: !bundle.order.is_whole(),
        outcome,
    }
}

fn not_delivered(bundle: &Bundle, delivered: DeliveredStatus<'_>) -> Outcome {
    let status = bundle.order.get(STATUS).unwrap_or(ValueRef::NULL);
    let near_miss = delivered.near_miss(status);
    Outcome::NotDelivered {
        status: match &near_miss {
            Some(miss) => miss.status.clone(),
            None => ext_json::shown(status, LONGEST_STATUS),
        },
        near_miss: near_miss.map(Box::new),
    }
}

fn too_large(document: &ArchiveDocument) -> Option<Refusal> {
    (!document.fits()).then(|| Refusal {
        reason: Reason::TooLarge,
        detail: format!("with its names added the order takes {} bytes, over the database's limit of 16 MiB; shorten the order, then retry", document.document.as_bytes().len()),
    })
}

/// Names orders that nobody can archive any more: a line for each chunk, which holds a few of them.
fn tell_of_gone(gone: &[Value]) {
    if !gone.is_empty() {
        let orders = shown_ids(gone).join(", ");
        warn!(
            gone = gone.len(),
            orders, "delivered orders were deleted before they could be read"
        );
    }
}

/// The first few of some `_id`s, each as a short text.
pub(crate) fn shown_ids(ids: &[Value]) -> Vec<String> {
    const FEW: usize = 10;
    let shown = |id: &Value| ext_json::shown(id.as_ref(), 64);
    ids.iter().take(FEW).map(shown).collect()
}

/// Counts what has changed for orders: not those that were archived or in quarantine before.
fn changes(passed: &[Passed]) -> Counts {
    let mut counts = Counts::default();
    for order in passed {
        match &order.outcome {
            Outcome::Duplicate(_) | Outcome::Quarantined { is_new: false, .. } => {}
            outcome => counts += counted(outcome),
        }
    }
    counts
}

/// Counts what became of orders.
pub(crate) fn sum(passed: &[Passed]) -> Counts {
    let mut counts = Counts::default();
    for order in passed {
        counts += counted(&order.outcome);
    }
    counts
}

fn counted(outcome: &Outcome) -> Counts {
    let none = Counts::default();
    match outcome {
        Outcome::Archived(missing) => Counts {
            found: 1,
            archived: 1,
            incomplete: i64::from(!missing.is_empty()),
            ..none
        },
        Outcome::Duplicate(_) => Counts {
            found: 1,
            duplicates: 1,
            ..none
        },
        Outcome::Quarantined { .. } => Counts {
            found: 1,
            errors: 1,
            ..none
        },
        Outcome::NotDelivered { .. } => none,
    }
}
