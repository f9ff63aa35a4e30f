//! The seed writer: writes what the generator makes up into an empty database, and keeps new orders
//! coming.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::{Duration, SystemTime},
};

use bson::{Bson, DateTime, RawDocumentBuf};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use crate::{
    domain::order::Reference,
    seed::{Generator, LiveOrder, NOBODY, Offset, Plan, Step},
    store::{Error, Store},
};

/// More menus than any restaurant has.
const MOST_MENUS: u32 = 100;
/// Documents in one insert.
const HANDFUL: usize = 1_000;
/// How often the progress of live orders is told.
const NEWS: Duration = Duration::from_secs(1);

/// What to write.
#[derive(Clone, Debug)]
pub struct Job {
    /// How much of what.
    pub plan: Plan,
    /// Beside data that is there.
    pub append: bool,
    /// New orders a minute, once everything is written.
    pub live_per_minute: u32,
    /// How long a live order takes.
    pub live_lifetime: Duration,
}

/// How far the seeding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeedProgress {
    /// So many documents of a collection are written.
    Writing {
        /// Which collection.
        collection: String,
        /// How many.
        written: u64,
        /// Of how many.
        total: u64,
    },
    /// All documents are written.
    Written {
        /// How many.
        total: u64,
        /// Orders by status.
        by_status: Vec<(String, i64)>,
    },
    /// Live orders are under way: those of this seeding by status.
    Live(Vec<(String, i64)>),
}

/// Why nothing was written, or not all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SeedFault {
    /// A collection holds data.
    #[error(
        "{collection} holds {documents} documents; seed an empty database, or append to this one with `append` (archctl seed --append)"
    )]
    NotEmpty {
        /// Which collection.
        collection: String,
        /// How many documents it holds.
        documents: i64,
    },
    /// A collection holds an id after which there is no room.
    #[error(
        "{collection} holds the number {highest}, and made-up ones stay below 900,000,000: there is no room for {wanted} more after it; seed an empty database, or delete the document with that number"
    )]
    NoRoom {
        /// Which collection.
        collection: String,
        /// The highest number that it holds.
        highest: i64,
        /// How many are to come after it.
        wanted: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// Whoever asked has left.
    #[error("nobody is listening any more")]
    Abandoned,
}

/// Where progress is told.
pub(crate) type Listener = mpsc::Sender<SeedProgress>;

/// Writes what a request asks for, telling how far it is. With live orders it goes on until nobody
/// listens any more.
pub async fn write(store: &Store, job: Job, listener: &Listener) -> Result<(), SeedFault> {
    let collections = Collections::of(store);
    let mut plan = job.plan;
    if job.append {
        plan.offset = offset(store, &plan).await?;
    } else {
        collections.must_be_empty(store).await?;
    }
    store.create_absent_indexes().await?;
    let generator = Generator::new(plan);
    let mut total = 0;
    total += scatter(store, &collections.clients, generator.clients(), listener).await?;
    total += scatter(store, &collections.livreurs, generator.livreurs(), listener).await?;
    total += scatter(
        store,
        &collections.restaurants,
        generator.restaurants(),
        listener,
    )
    .await?;
    total += scatter(store, &collections.menus, generator.menus(), listener).await?;
    total += scatter(store, &collections.orders, generator.orders(), listener).await?;
    tell(
        listener,
        SeedProgress::Written {
            total,
            by_status: store.orders_by_status().await?,
        },
    )
    .await?;
    if job.live_per_minute > 0 {
        Live::new(store, &collections.orders, job.live_lifetime)
            .run(&generator, job.live_per_minute, listener)
            .await?;
    }
    Ok(())
}

struct Collections {
    clients: String,
    livreurs: String,
    restaurants: String,
    menus: String,
    orders: String,
}

impl Collections {
    fn of(store: &Store) -> Collections {
        let [clients, livreurs, restaurants, menus] =
            Reference::ALL.map(|reference| store.names().of(reference).to_owned());
        Collections {
            clients,
            livreurs,
            restaurants,
            menus,
            orders: store.names().orders.clone(),
        }
    }

    async fn must_be_empty(&self, store: &Store) -> Result<(), SeedFault> {
        for collection in [
            &self.clients,
            &self.livreurs,
            &self.restaurants,
            &self.menus,
            &self.orders,
        ] {
            let documents = store.collection_size(collection).await?;
            if documents > 0 {
                return Err(SeedFault::NotEmpty {
                    collection: collection.clone(),
                    documents,
                });
            }
        }
        Ok(())
    }
}

/// The first free numbers beside the data that is there.
async fn offset(store: &Store, plan: &Plan) -> Result<Offset, SeedFault> {
    let after = async |reference: Reference, wanted: u32| {
        let collection = store.names().of(reference);
        let highest = store
            .highest_value(collection, reference.id_field())
            .await?;
        first_free(collection, highest, wanted)
    };
    let menus = plan.restaurants.saturating_mul(MOST_MENUS);
    let sequence = store.highest_sequence().await?;
    Ok(Offset {
        clients: after(Reference::Client, plan.clients).await?,
        livreurs: after(Reference::Livreur, plan.livreurs).await?,
        restaurants: after(Reference::Restaurant, plan.restaurants).await?,
        menus: after(Reference::Menu, menus).await?,
        orders: first_free(&store.names().orders, sequence, plan.orders)?,
    })
}

/// The number after the highest one, if there is room after it for as many as are wanted.
fn first_free(collection: &str, highest: i64, wanted: u32) -> Result<u32, SeedFault> {
    let first = highest.max(0).checked_add(1);
    let fits = |first: &i64| first.saturating_add(i64::from(wanted)) <= i64::from(NOBODY);
    let first = first
        .filter(fits)
        .and_then(|first| u32::try_from(first).ok());
    first.ok_or_else(|| SeedFault::NoRoom {
        collection: collection.to_owned(),
        highest,
        wanted,
    })
}

/// Writes documents by the handful, telling how far it is.
async fn scatter(
    store: &Store,
    collection: &str,
    documents: impl Iterator<Item = RawDocumentBuf> + Send,
    listener: &Listener,
) -> Result<u64, SeedFault> {
    let (_, most) = documents.size_hint();
    let mut documents = documents.peekable();
    let mut written = 0;
    while documents.peek().is_some() {
        let handful: Vec<RawDocumentBuf> = documents.by_ref().take(HANDFUL).collect();
        store.insert_documents(collection, &handful).await?;
        written += handful.len() as u64;
        let total = most.map_or(written, |most| most as u64).max(written);
        tell(
            listener,
            SeedProgress::Writing {
                collection: collection.to_owned(),
                written,
                total,
            },
        )
        .await?;
    }
    Ok(written)
}

async fn tell(listener: &Listener, progress: SeedProgress) -> Result<(), SeedFault> {
    listener
        .send(progress)
        .await
        .map_err(|_| SeedFault::Abandoned)
}

/// Live orders on their way through the statuses.
struct Live<'s> {
    store: &'s Store,
    orders: &'s str,
    lifetime: Duration,
    /// What happens next to which order.
    due: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    under_way: BTreeMap<u64, LiveOrder>,
    by_status: BTreeMap<&'static str, i64>,
}

impl<'s> Live<'s> {
    fn new(store: &'s Store, orders: &'s str, lifetime: Duration) -> Live<'s> {
        Live {
            store,
            orders,
            lifetime,
            due: BinaryHeap::new(),
            under_way: BTreeMap::new(),
            by_status: BTreeMap::new(),
        }
    }

    async fn run(
        mut self,
        generator: &Generator,
        per_minute: u32,
        listener: &Listener,
    ) -> Result<(), SeedFault> {
        let mut source = generator.live();
        let mut births = interval(Duration::from_secs(60) / per_minute);
        let mut news = interval(NEWS);
        // A database that was slow for a while is not flooded with all the orders it missed.
        births.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for serial in 0.. {
            let next = loop {
                let due = self.due.peek().map(|Reverse((when, ..))| *when);
                tokio::select! {
                    () = listener.closed() => return Ok(()),
                    _ = births.tick() => break source.next(now()),
                    () = until(due) => self.step().await?,
                    _ = news.tick() => tell(listener, SeedProgress::Live(self.counted())).await?,
                }
            };
            self.begin(serial, next).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, serial: u64, order: LiveOrder) -> Result<(), SeedFault> {
        self.store
            .insert_documents(self.orders, std::slice::from_ref(&order.document))
            .await?;
        *self.by_status.entry("en_attente").or_default() += 1;
        for (index, Step { share, .. }) in order.steps.iter().enumerate() {
            self.due.push(Reverse((
                Instant::now() + self.lifetime.mul_f64(*share),
                serial,
                index,
            )));
        }
        self.under_way.insert(serial, order);
        Ok(())
    }

    /// Takes the step that is due.
    async fn step(&mut self) -> Result<(), SeedFault> {
        let Some(Reverse((_, serial, index))) = self.due.pop() else {
            return Ok(());
        };
        let Some(order) = self.under_way.get(&serial) else {
            return Ok(());
        };
        let step = order.steps[index];
        let id = order
            .document
            .get("_id")
            .ok()
            .flatten()
            .and_then(|id| Bson::try_from(id).ok())
            .unwrap_or(Bson::Null);
        self.store
            .update_order(&id, &order.changes(&step, now()))
            .await?;
        let before = index
            .checked_sub(1)
            .map_or("en_attente", |before| order.steps[before].status.as_str());
        *self.by_status.entry(before).or_default() -= 1;
        *self.by_status.entry(step.status.as_str()).or_default() += 1;
        if index + 1 == order.steps.len() {
            self.under_way.remove(&serial);
        }
        Ok(())
    }

    fn counted(&self) -> Vec<(String, i64)> {
        self.by_status
            .iter()
            .map(|(status, orders)| ((*status).to_owned(), *orders))
            .collect()
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn now() -> DateTime {
    DateTime::from_system_time(SystemTime::now())
}
