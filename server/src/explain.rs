//! All that there is to say of one order, whichever edge is asked.

use bson::DateTime;
use order_archiver_api::v1 as pb;

use crate::{
    bytes::raw::Value,
    convert::{self, Document, explanation},
    domain::{
        explanation::{advice::Circumstances, conclusion::Conclusion},
        schedule::Schedule,
    },
    store::{
        Error, Store,
        explanation::{Archived, Belongs, known::Known, passage::Ahead},
        watch::record::Watcher,
    },
};

/// What is known of the orders with a number, and when that was read.
#[derive(Debug)]
pub(crate) struct Explaining {
    now: DateTime,
    known: Known,
}

impl Explaining {
    /// Looks up what is known of a number.
    pub(crate) async fn begin(store: &Store, numero: &str) -> Result<Explaining, Error> {
        let now = store.deployment().await?.now;
        let known = store.known_of(numero).await?;
        Ok(Explaining { now, known })
    }

    /// How many bytes are in memory at once while orders and archived documents are compared.
    pub(crate) fn largest_pair(&self) -> usize {
        self.known.largest_pair()
    }

    /// What is known.
    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Compares orders and archived documents, and says all that there is to say, but for the
    /// history; none where nothing is known of the number.
    pub(crate) async fn answer(
        &mut self,
        store: &Store,
        schedule: Option<&Schedule>,
    ) -> Result<Option<pb::ExplainOrderResponse>, Error> {
        let known = &mut self.known;
        store.compare_archived(known).await?;
        let facts = known.facts();
        let Some(conclusion) = facts.conclusion() else {
            return Ok(None);
        };
        let mut faults = std::mem::take(&mut known.faults);
        let watcher = match store.watcher().await {
            Err(Error::State(fault)) => {
                faults.push(*fault);
                None
            }
            watcher => watcher?,
        };
        let ids: Vec<Value> = known.orders.iter().map(|order| order.id.clone()).collect();
        let (ahead, running) = futures::join!(
            store.ahead_of_watcher(watcher.as_ref(), &ids, known.time),
            store.running(),
        );
        let (batch, verification) = running?;
        let surroundings = Surroundings {
            delivered: store.delivered(),
            is_watched: watcher.as_ref().is_some_and(Watcher::is_watched),
            batch_runs: batch.is_some(),
            is_scheduled: schedule.is_some(),
            ahead,
        };
        let orders = facts.orders.iter().enumerate();
        let orders = orders.map(|(at, facts)| surroundings.order(known, at, facts.conclusion()));
        let orders: Vec<pb::ExplainedOrder> = orders.collect();
        let of_one = surroundings.circumstances(known, (known.orders.len() == 1).then_some(0));
        let documents = known.archived.iter();
        let archived = documents.map(|it| explanation::explained_archive(it, &known.orders));
        Ok(Some(pb::ExplainOrderResponse {
            numero_commande: known.numero.clone(),
            conclusion: explanation::conclusion(conclusion).into(),
            summary: of_one.sentence(conclusion),
            advice: of_one.advice(conclusion),
            delivered_status: store.delivered().to_owned(),
            orders,
            more_orders: known.more_orders,
            archived: archived.collect(),
            watcher_state: watcher
                .as_ref()
                .map_or(pb::WatcherState::Unspecified, |it| {
                    convert::watcher_state(it.state_now())
                })
                .into(),
            watcher_position_time: watcher
                .as_ref()
                .and_then(|watcher| watcher.position)
                .map(convert::cluster_time),
            next_batch_time: schedule
                .and_then(|schedule| convert::next_batch(schedule, self.now)),
            batch_id: batch.unwrap_or_default(),
            verification_id: verification.unwrap_or_default(),
            history: None,
            unreadable: faults.iter().map(convert::unreadable).collect(),
            read_time: convert::timestamp(self.now),
            quarantined: known
                .quarantined
                .iter()
                .map(|entry| convert::quarantine_entry(entry.clone(), Document::NotAsked))
                .collect(),
            replaced: known
                .replaced
                .iter()
                .cloned()
                .map(explanation::replaced)
                .collect(),
            acknowledgements: known
                .acknowledged
                .iter()
                .cloned()
                .map(explanation::acknowledgement)
                .collect(),
        }))
    }
}

/// What is known beside the order itself.
struct Surroundings<'a> {
    delivered: &'a str,
    is_watched: bool,
    batch_runs: bool,
    is_scheduled: bool,
    ahead: Ahead,
}

impl Surroundings<'_> {
    /// What the words are made of, for the order at a place, or for none of several.
    fn circumstances<'k>(&'k self, known: &'k Known, order: Option<usize>) -> Circumstances<'k> {
        let live = order.map(|at| &known.orders[at]);
        let miss = live.and_then(|order| order.status.near_miss.as_ref());
        let own = order.and_then(|at| known.document_of(at));
        let entry = match order {
            Some(at) => known.entry_of(at),
            None => known.quarantined.first(),
        };
        let document = own.or_else(|| known.archived.first().filter(|_| order.is_none()));
        let found = document.and_then(|it| it.found.as_ref()?.as_ref());
        Circumstances {
            numero: &known.numero,
            delivered: self.delivered,
            orders: known.orders.len(),
            other_number: other_number(known, own),
            difference: miss.map_or("", |miss| &miss.difference),
            mend: miss.map_or("", |miss| &miss.mend),
            quarantined: entry.map(|entry| (entry.id.as_str(), entry.refusal.detail.as_str())),
            found: found.map_or("", |found| &found.detail),
            is_watched: self.is_watched,
            is_passed: live.and_then(|order| {
                let ahead = self.ahead.as_ref().ok()?;
                Some(!ahead.contains(&order.id))
            }),
            batch_runs: self.batch_runs,
            is_scheduled: self.is_scheduled,
        }
    }

    fn order(&self, known: &Known, at: usize, conclusion: Conclusion) -> pb::ExplainedOrder {
        let circumstances = self.circumstances(known, Some(at));
        let watcher = match circumstances.is_passed {
            Some(true) => pb::WatcherPassage::Passed,
            Some(false) => pb::WatcherPassage::Ahead,
            None => pb::WatcherPassage::Unknown,
        };
        pb::ExplainedOrder {
            conclusion: explanation::conclusion(conclusion).into(),
            summary: circumstances.sentence(conclusion),
            watcher: watcher.into(),
            watcher_detail: self.ahead.as_ref().err().cloned().unwrap_or_default(),
            ..explanation::explained_order(&known.orders[at])
        }
    }
}

/// The other number that an order is archived under, or that it has now.
fn other_number<'k>(known: &'k Known, own: Option<&'k Archived>) -> Option<&'k str> {
    if let Some(own) = own {
        let number = own.numero.as_deref();
        return number.filter(|number| *number != known.numero);
    }
    known
        .archived
        .iter()
        .find_map(|document| match &document.belongs {
            Belongs::Elsewhere(number) => number.as_deref(),
            _ => None,
        })
}
