//! The desk: the door for callers who ask for orders by number. It gathers callers who come at once into one chunk.
//!
//! What a chunk costs depends little on its size, so the desk serves one chunk after the other: who comes meanwhile waits in
//! line and is in the next one. The busier the desk is the larger its chunks are, and an idle desk serves at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    corridor::{Corridor, Door, Outcome, Passed},
    domain::raw::Value,
    store::{Error, Store, gather::Selection},
};

/// Callers in one chunk at most.
const CALLERS: usize = 500;
/// Callers in line at most; more wait outside until there is room.
const LINE: usize = 4_096;
/// How long the desk waits after a chunk for a crowd as large as it was then: those who were answered, and those in line. Who was
/// answered comes back with the next order, one by one, and without a wait the first of them would leave the others behind.
const LINGER: Duration = Duration::from_millis(4);

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
    let mut crowd = 0;
    loop {
        let chunk = tokio::select! {
            () = stop.cancelled() => return,
            chunk = next_chunk(&mut callers, crowd) => chunk,
        };
        if chunk.is_empty() {
            return;
        }
        let answered = chunk.len();
        let clerk = clerk.clone();
        // In a task of its own: a chunk that panics is not the end of the desk.
        let _ = tasks.spawn(async move { clerk.answer(chunk).await }).await;
        crowd = answered + callers.len();
    }
}

/// Who is in line, once somebody is; waits a little for the rest of a crowd. Nobody once the line is closed.
async fn next_chunk<C>(line: &mut mpsc::Receiver<C>, crowd: usize) -> Vec<C> {
    let mut chunk = Vec::new();
    line.recv_many(&mut chunk, CALLERS).await;
    let until = Instant::now() + LINGER;
    while chunk.len() < crowd.min(CALLERS) {
        let room = CALLERS - chunk.len();
        let more = timeout_at(until, line.recv_many(&mut chunk, room)).await;
        if !matches!(more, Ok(1..)) {
            break;
        }
    }
    chunk
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
        let selection = Selection::Numbers(values(numeros));
        let mut answers: HashMap<String, Answer> = HashMap::new();
        for Passed {
            numero, outcome, ..
        } in self.corridor.archive(selection, Door::Rpc).await?
        {
            let Some(numero) = numero else { continue };
            let worse = |known: &Answer| matches!(known, Answer::Met(known) if weight(known) >= weight(&outcome));
            if !answers.get(&numero).is_some_and(worse) {
                answers.insert(numero, Answer::Met(outcome));
            }
        }
        let unmet = numeros
            .iter()
            .filter(|numero| !answers.contains_key(*numero));
        let unmet: Vec<&String> = unmet.collect();
        if !unmet.is_empty() {
            for (numero, missing) in self.store.archived_under(&values(unmet)).await? {
                answers.insert(numero, Answer::Met(Outcome::Duplicate(missing)));
            }
        }
        Ok(answers)
    }
}

fn values<'n>(numeros: impl IntoIterator<Item = &'n String>) -> Vec<Value> {
    numeros
        .into_iter()
        .map(|numero| Value::string(numero))
        .collect()
}

/// Of several orders with one number, the caller hears of the one that most needs a look.
fn weight(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::NotDelivered { .. } => 0,
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    /// The chunk that forms when one caller is in line, and others come right after.
    async fn chunk(crowd: usize, later: &[u32]) -> Vec<u32> {
        let (callers, mut line) = mpsc::channel(LINE);
        callers.send(0).await.unwrap();
        let coming = async {
            for caller in later {
                yield_now().await;
                callers.send(*caller).await.unwrap();
            }
        };
        let (chunk, ()) = tokio::join!(next_chunk(&mut line, crowd), coming);
        chunk
    }

    #[tokio::test]
    async fn a_chunk_waits_for_the_crowd_that_was_there_before_and_for_nobody_else() {
        assert_eq!(chunk(0, &[1, 2]).await, [0]);
        assert_eq!(chunk(1, &[1, 2]).await, [0]);
        assert_eq!(chunk(3, &[1, 2]).await, [0, 1, 2]);
    }

    #[tokio::test]
    async fn a_crowd_that_does_not_come_back_is_not_waited_for_long() {
        let waiting = chunk(CALLERS + 1, &[1, 2]);
        let chunk = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert_eq!(chunk.unwrap(), [0, 1, 2]);
    }

    #[tokio::test]
    async fn a_closed_line_ends_the_desk() {
        let (callers, mut line) = mpsc::channel::<u32>(LINE);
        drop(callers);
        assert!(next_chunk(&mut line, 3).await.is_empty());
    }
}
