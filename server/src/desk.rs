//! The desk: the door for callers who ask for orders by number. It gathers callers who come at once into one chunk.
//!
//! A write is bound by the journal's flush, which a chunk pays once. While some chunks are under way, new callers wait in
//! line and form the next one, so the busier the desk is the larger its chunks are, and an idle desk serves at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    corridor::{Corridor, Door, Outcome},
    domain::raw::{self, Value, ValueRef},
    store::{Error, Store, gather::Selection},
};

/// Chunks under way at once: one is prepared while the other is written. With more of them, callers who come at once are spread
/// over smaller chunks, and what a chunk costs whatever its size is paid more often.
const CHUNKS: usize = 2;
/// Callers in one chunk at most.
const CALLERS: usize = 500;
/// Callers in line at most; more wait outside until there is room.
const LINE: usize = 4_096;

/// What became of an order that a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order was there.
    Met(Outcome),
    /// Neither the orders nor the archive know the number.
    Unknown,
}

/// The place to ask for orders by number. Clones stand at the same desk.
#[derive(Clone, Debug)]
pub struct Desk {
    line: mpsc::Sender<Caller>,
}

struct Caller {
    numero: String,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

impl Desk {
    /// Opens a desk. It closes once `stop` is cancelled; chunks under way are finished.
    pub fn open(
        store: Store,
        corridor: Corridor,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Desk {
        let (line, callers) = mpsc::channel(LINE);
        let clerk = Arc::new(Clerk { store, corridor });
        tasks.spawn(serve(clerk, callers, tasks.clone(), stop));
        Desk { line }
    }

    /// Archives the order with this number, if it is delivered.
    pub async fn archive(&self, numero: String) -> Result<Answer, Error> {
        let closed = || Error::Unavailable("the server is stopping".to_owned());
        let (answer, answered) = oneshot::channel();
        self.line
            .send(Caller { numero, answer })
            .await
            .map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn serve(
    clerk: Arc<Clerk>,
    mut callers: mpsc::Receiver<Caller>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CHUNKS));
    loop {
        let place = places
            .clone()
            .acquire_owned()
            .await
            .expect("nobody closes the semaphore");
        let mut chunk = Vec::new();
        tokio::select! {
            () = stop.cancelled() => return,
            count = callers.recv_many(&mut chunk, CALLERS) => if count == 0 { return },
        }
        let clerk = clerk.clone();
        tasks.spawn(async move {
            clerk.answer(chunk).await;
            drop(place);
        });
    }
}

struct Clerk {
    store: Store,
    corridor: Corridor,
}

impl Clerk {
    async fn answer(&self, chunk: Vec<Caller>) {
        let numeros: Vec<String> = chunk.iter().map(|caller| caller.numero.clone()).collect();
        let answers = self.archive(&numeros).await;
        let mut served: HashSet<String> = HashSet::new();
        for caller in chunk {
            let answer = answers.as_ref().map_err(Clone::clone).map(|answers| {
                let answer = answers
                    .get(&caller.numero)
                    .cloned()
                    .unwrap_or(Answer::Unknown);
                let again = !served.insert(caller.numero);
                if again { as_second(answer) } else { answer }
            });
            // A caller that has hung up is not waiting for an answer.
            let _ = caller.answer.send(answer);
        }
    }

    async fn archive(&self, numeros: &[String]) -> Result<HashMap<String, Answer>, Error> {
        let orders = self.store.ids_of(numeros).await?;
        let ids = orders.iter().map(|(_, id)| id.clone()).collect();
        let passed = self
            .corridor
            .archive(Selection::Ids(ids), Door::Rpc)
            .await?;
        let outcomes: HashMap<&Value, &Outcome> = passed
            .iter()
            .map(|passed| (&passed.id, &passed.outcome))
            .collect();
        let mut answers: HashMap<String, Answer> = HashMap::new();
        for (numero, id) in &orders {
            let Some(outcome) = outcomes.get(id) else {
                continue;
            };
            let worse = |known: &Answer| matches!(known, Answer::Met(known) if weight(known) >= weight(outcome));
            if !answers.get(numero).is_some_and(worse) {
                answers.insert(numero.clone(), Answer::Met((*outcome).clone()));
            }
        }
        for numero in numeros
            .iter()
            .filter(|numero| !answers.contains_key(*numero))
            .cloned()
            .collect::<Vec<_>>()
        {
            if let Some(archived) = self.store.archived_order(&numero).await? {
                answers.insert(
                    numero,
                    Answer::Met(Outcome::Duplicate(missing_of(&archived))),
                );
            }
        }
        Ok(answers)
    }
}

/// Of several orders with one number, the caller hears of the one that most needs a look.
fn weight(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::NotDelivered(_) => 0,
        Outcome::Duplicate(_) => 1,
        Outcome::Archived(_) => 2,
        Outcome::Quarantined { .. } => 3,
    }
}

/// What the second of two callers hears who asked for the same order at once.
fn as_second(answer: Answer) -> Answer {
    match answer {
        Answer::Met(Outcome::Archived(missing)) => Answer::Met(Outcome::Duplicate(missing)),
        answer => answer,
    }
}

fn missing_of(archived: &bson::RawDocument) -> Vec<String> {
    let list = raw::find(archived, crate::domain::enrich::MISSING_FIELDS).unwrap_or(ValueRef::NULL);
    list.elements()
        .filter_map(|element| element.value.as_str())
        .map(str::to_owned)
        .collect()
}
