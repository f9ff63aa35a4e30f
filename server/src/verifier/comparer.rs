//! Comparer: compares orders with archived documents that were read together, and follows up what
//! has no counterpart among them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicBool, Ordering},
};

use bson::{RawDocument, RawDocumentBuf};
use parking_lot::Mutex;

use super::compared::{Compared, Sides, id_of, number, plain};
use crate::{
    bytes::raw::{self, Value, ValueRef},
    domain::{
        order::{Order, STATUS},
        verify::{
            class::Class,
            compare::{Found, Match, compare},
            days::{Day, digest},
            id_key::IdKey,
            metadata::Archived,
            pairing::pair,
            plan::Depth,
            surplus::surplus,
        },
    },
    store::{
        Error,
        orders::references::ReferenceCache,
        verify::{
            lookups::{Extent, Side, Source},
            reader::{Access, ComparisonReader},
        },
    },
};

/// How many documents are looked up by their `_id`s together.
const TOGETHER: usize = 500;
/// Of so many `_id`s it is remembered that they were looked at: some 36 MB.
const MOST_SEEN: usize = 2_000_000;

/// How the two sides of a comparison were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The delivered orders and the archived documents of one range of `_id`s.
    Range,
    /// Delivered orders, and what the archive holds under their `_id`s; the archive is walked by
    /// itself later.
    Orders,
    /// Archived documents alone, whose delivered orders were compared before.
    Archive,
    /// Whatever there is under some `_id`s, all of it.
    Ids,
}

/// Compares orders with archived documents.
pub(super) struct Comparer {
    pub(super) reader: ComparisonReader,
    pub(super) depth: Depth,
    pub(super) access: Access,
    /// The `_id`s of archived documents that are one too many for their number.
    pub(super) surplus: HashSet<Value>,
    pub(super) cache: ReferenceCache,
    /// Of which classes so many are recorded that the others are only counted.
    told_enough: [AtomicBool; Class::ALL.len()],
}

impl Comparer {
    /// A comparer for the database as it is now.
    pub(super) async fn new(reader: ComparisonReader, depth: Depth) -> Result<Comparer, Error> {
        let access = reader.access().await?;
        let mut comparer = Comparer {
            reader,
            depth,
            access,
            surplus: HashSet::new(),
            cache: ReferenceCache::default(),
            told_enough: Default::default(),
        };
        if !comparer.access.numbers_are_unique {
            comparer.surplus = comparer.find_surplus().await?;
        }
        Ok(comparer)
    }

    /// Of a class so many are recorded that the others need only be counted.
    pub(super) fn told_enough(&self, class: Class) {
        self.told_enough[class as usize].store(true, Ordering::Relaxed);
    }

    /// Whether the fields are compared, and not only whether an order is there.
    pub(super) fn compares(&self) -> bool {
        self.depth >= Depth::Content
    }

    /// The archived documents that are one too many for their number.
    async fn find_surplus(&self) -> Result<HashSet<Value>, Error> {
        let mut found = HashSet::new();
        let groups = self.reader.of_numbers_held_twice().await?;
        for groups in groups.chunks(TOGETHER) {
            let ids = groups.iter().flatten().map(|row| id_of(row).to_owned());
            let ids: Vec<Value> = ids.collect();
            let orders = self
                .reader
                .with_ids(Side::Orders, &ids, Extent::Head, Source::Primary);
            let orders = orders.await?;
            let numbers: HashMap<IdKey, Option<ValueRef<'_>>> = orders
                .iter()
                .map(|order| (IdKey::of(id_of(order)), number(order)))
                .collect();
            for group in groups {
                let is_its = |document: &&RawDocumentBuf| {
                    let order = numbers.get(&IdKey::of(id_of(document)));
                    order.is_some_and(|order| *order == number(document))
                };
                let surplus = surplus(group.iter().collect(), is_its);
                found.extend(surplus.into_iter().map(|it| id_of(it).to_owned()));
            }
        }
        Ok(found)
    }

    /// Compares whatever there is under these `_id`s, each once, on both sides. An order that is
    /// found by the number of a document is counted if `seen` has not met it.
    pub(super) async fn examine(
        &self,
        ids: &[Value],
        source: Source,
        seen: &Seen,
    ) -> Result<Compared, Error> {
        let mut all = Compared::default();
        let mut pieces: VecDeque<&[Value]> = ids.chunks(TOGETHER).collect();
        while let Some(piece) = pieces.pop_front() {
            let ((orders, more_orders), (archived, more_archived)) = futures::try_join!(
                self.reader.few_with_ids(Side::Orders, piece, source),
                self.reader.few_with_ids(Side::Archive, piece, source)
            )?;
            // Large ones are taken in fewer at a time.
            if (more_orders || more_archived) && piece.len() > 1 {
                let (one, other) = piece.split_at(piece.len() / 2);
                pieces.push_front(other);
                pieces.push_front(one);
                continue;
            }
            let orders = orders.into_iter().map(Order::new).collect();
            let mut work = Work::new(self, Way::Ids, source);
            work.seen = Some(seen);
            all.absorb(work.compare(orders, archived).await?);
        }
        Ok(all)
    }

    /// Compares orders with archived documents, both in the order of their `_id`s.
    pub(super) async fn compare(
        &self,
        way: Way,
        source: Source,
        orders: Vec<Order>,
        archived: Vec<RawDocumentBuf>,
    ) -> Result<Compared, Error> {
        let work = Work::new(self, way, source);
        work.compare(orders, archived).await
    }
}

/// The `_id`s that were looked at, by their hashes: an order changes several times on its way, and
/// is looked at once.
#[derive(Debug, Default)]
pub(super) struct Seen {
    hashes: RandomState,
    met: Mutex<HashSet<u64>>,
}

impl Seen {
    /// Notes that an `_id` is looked at; whether it was not before.
    pub(super) fn meet(&self, id: ValueRef<'_>) -> bool {
        let mut met = self.met.lock();
        if met.len() > MOST_SEEN {
            met.clear();
        }
        met.insert(self.hashes.hash_one(IdKey::of(id)))
    }
}

/// One comparison.
pub(super) struct Work<'c> {
    pub(super) comparer: &'c Comparer,
    pub(super) way: Way,
    pub(super) source: Source,
    pub(super) found: Compared,
    /// Orders that are looked at by themselves, where only some `_id`s are.
    seen: Option<&'c Seen>,
    /// Pairs that agree, whose names are to be compared.
    pub(super) agreeing: Vec<(Order, RawDocumentBuf)>,
    /// Delivered orders that are archived under another number, with what was found of them.
    pub(super) renumbered: Vec<(Order, RawDocumentBuf, Found)>,
}

impl<'c> Work<'c> {
    fn new(comparer: &'c Comparer, way: Way, source: Source) -> Work<'c> {
        Work {
            comparer,
            way,
            source,
            found: Compared::default(),
            seen: None,
            agreeing: Vec::new(),
            renumbered: Vec::new(),
        }
    }

    async fn compare(
        mut self,
        orders: Vec<Order>,
        archived: Vec<RawDocumentBuf>,
    ) -> Result<Compared, Error> {
        let delivered: Vec<bool> = orders.iter().map(|order| self.meet(order)).collect();
        if self.way != Way::Orders {
            self.count_documents(&archived);
        }
        let order_ids: Vec<ValueRef<'_>> = orders.iter().map(Order::id).collect();
        let pairs = pair(&order_ids, &ids_of(&archived));
        for (order, document) in pairs.pairs {
            let live = (&orders[order], delivered[order]);
            self.pair(live, &archived[document], Match::Id);
        }
        if self.way != Way::Orders && !pairs.archived.is_empty() {
            let lone = pairs.archived.iter().map(|at| archived[*at].clone());
            self.lone_documents(lone.collect()).await?;
        }
        let lone = pairs.orders.into_iter().filter(|at| delivered[*at]);
        let lone: Vec<Order> = lone.map(|at| orders[at].clone()).collect();
        if !lone.is_empty() {
            self.lone_orders(lone).await?;
        }
        self.look_for_others().await?;
        self.compare_names().await?;
        Ok(self.found)
    }

    /// Whether an order that was found by the number of a document is not looked at by itself.
    pub(super) fn is_unseen(&self, order: &Order) -> bool {
        self.seen.is_some_and(|seen| seen.meet(order.id()))
    }

    /// How much is read of documents that are compared, where `otherwise` would do without.
    pub(super) fn extent(&self, otherwise: Extent) -> Extent {
        match self.way == Way::Ids || self.comparer.compares() {
            true => Extent::Whole,
            false => otherwise,
        }
    }

    /// Whether all of each document is at hand.
    fn has_all(&self) -> bool {
        self.way == Way::Ids
    }

    pub(super) fn is_delivered(&self, order: &RawDocument) -> bool {
        let status = raw::find(order, STATUS).and_then(ValueRef::as_str);
        status == Some(self.comparer.reader.delivered())
    }

    /// Counts an order; whether it is a delivered one. Of a page of bare `_id`s each is taken for
    /// one.
    fn meet(&mut self, order: &Order) -> bool {
        let is_bare = !self.has_all() && !self.comparer.compares();
        let delivered = is_bare || self.is_delivered(order.document());
        self.found.counts.delivered += i64::from(delivered);
        if !delivered {
            self.note_near_miss(order.document());
        }
        delivered
    }

    /// Counts an order of a page of delivered ones that is none: to an index a list is each of its
    /// members.
    pub(super) fn note_near_miss(&mut self, order: &RawDocument) {
        let status = raw::find(order, STATUS).unwrap_or(ValueRef::NULL);
        if self.way != Way::Ids && self.comparer.reader.is_near_miss(status) {
            *self.found.counts.of_mut(Class::NearMiss) += 1;
        }
    }

    fn count_documents(&mut self, archived: &[RawDocumentBuf]) {
        self.found.counts.archived += archived.len() as i64;
        if self.comparer.compares() && self.way != Way::Ids {
            let digests = archived.iter().map(|document| {
                let date = raw::find(document, crate::domain::enrich::DATE_ARCHIVAGE);
                let day = Day::of(date.and_then(ValueRef::as_date));
                (day, digest(document.as_bytes()))
            });
            self.found.documents.extend(digests);
        }
    }

    /// Notes a difference, or counts it where enough of its class are told.
    pub(super) fn push(&mut self, sides: Sides<'_>, found: Found) {
        let class = found.class;
        if !class.fails() {
            *self.found.counts.of_mut(class) += 1;
            if self.comparer.told_enough[class as usize].load(Ordering::Relaxed) {
                return;
            }
        }
        let finding = sides.finding(found, self.has_all());
        self.found.findings.push(finding);
    }

    /// Whether an archived document is one too many for its number.
    pub(super) fn is_surplus(&self, document: &RawDocument) -> bool {
        let surplus = &self.comparer.surplus;
        !surplus.is_empty() && surplus.contains(&id_of(document).to_owned())
    }

    /// Compares an order with its archived document.
    pub(super) fn pair(&mut self, live: (&Order, bool), document: &RawDocument, by: Match) {
        let (order, delivered) = live;
        let sides = Sides {
            order: Some((order.document(), delivered)),
            archived: Some(document),
        };
        if self.is_surplus(document) {
            return self.push(sides, plain(Class::Doubled));
        }
        if !self.comparer.compares() {
            return;
        }
        match compare(order.document(), &Archived::read(document), by) {
            Some(found) if delivered && by == Match::Id && self.is_renumbered(order, document) => {
                let renumbered = (order.clone(), document.to_owned(), found);
                self.renumbered.push(renumbered);
            }
            Some(found) => self.push(sides, found),
            None if delivered && self.comparer.depth == Depth::References => {
                self.agreeing.push((order.clone(), document.to_owned()));
            }
            None => {}
        }
    }

    /// Whether an order has a number, under which another document may be archived than its own.
    fn is_renumbered(&self, order: &Order, document: &RawDocument) -> bool {
        let numero = number(order.document());
        numero.is_some() && numero != number(document) && self.finds_archived_by_number()
    }

    /// Whether archived documents may be looked for by their numbers: without an index only where
    /// few are.
    pub(super) fn finds_archived_by_number(&self) -> bool {
        self.comparer.access.archive_by_number || self.source == Source::Primary
    }

    /// Whether orders may be looked for by their numbers.
    pub(super) fn finds_orders_by_number(&self) -> bool {
        self.comparer.access.orders_by_number || self.source == Source::Primary
    }

    /// Those of these archived documents that belong to no live order by their `_id`s, and are not
    /// one too many for their number.
    pub(super) async fn unclaimed(
        &self,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let mut documents = documents;
        documents.retain(|document| !self.is_surplus(document));
        let ids: Vec<Value> = documents.iter().map(|it| id_of(it).to_owned()).collect();
        let reader = &self.comparer.reader;
        let live = reader.with_ids(Side::Orders, &ids, Extent::Id, self.source);
        let live = live.await?;
        let left = pair(&ids_of(&live), &ids_of(&documents)).archived;
        Ok(left.into_iter().map(|at| documents[at].clone()).collect())
    }
}

pub(super) fn ids_of(documents: &[RawDocumentBuf]) -> Vec<ValueRef<'_>> {
    documents.iter().map(|document| id_of(document)).collect()
}

/// Each of these values once.
pub(super) fn distinct<'v>(values: impl Iterator<Item = ValueRef<'v>>) -> Vec<Value> {
    let mut seen = HashSet::new();
    let values = values.filter(|value| seen.insert(*value));
    values.map(ValueRef::to_owned).collect()
}
