//! The coalescer: the source for callers who ask for orders by number. It gathers callers who come
//! at once into one chunk.
//!
//! What a chunk costs depends little on its size, so the coalescer serves one chunk after the
//! other: who comes meanwhile waits in the queue and is in the next one. The busier it is, the
//! larger its chunks are, and an idle one serves at once.
//!
//! Large orders are served one by one beside the chunks, a few at a time, so that nobody else waits
//! for them.

use std::{
    collections::{HashMap, HashSet},
    slice,
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span, error_span};

use crate::{
    bytes::raw::Value,
    pipeline::{Outcome, Passed, Pipeline, Since, Source},
    progress::Turning,
    store::{
        Error, Store,
        orders::gather::{LARGE, Selection},
    },
};

/// Callers in one chunk at most.
const CALLERS: usize = 500;
/// Callers in the queue at most; more wait outside until there is room.
const QUEUE: usize = 4_096;
/// How long the coalescer waits after a chunk for a crowd as large as it was then: those who were
/// answered, and those in the queue. Who was answered comes back with the next order, one by one,
/// and without a wait the first of them would leave the others behind.
const LINGER: Duration = Duration::from_millis(4);
/// Large orders that are served at once, each of which may be held in memory a few times over.
const LARGE_AT_ONCE: usize = 2;
/// Numbers of large orders that are kept in mind, so that only the first call for each is looked at
/// in a chunk: even its head makes the database read all of it.
const LARGE_KNOWN: usize = 4_096;

/// Callers whose request ids the lines of a chunk name; of the others they tell how many.
const NAMED: usize = 10;

/// What became of an order that a caller asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order was there.
    Met(Outcome),
    /// Neither the orders nor the archive know the number.
    Unknown,
}

/// Where to ask for orders by number. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Coalescer {
    queue: mpsc::Sender<Caller>,
}

struct Caller {
    numero: String,
    asked: Instant,
    request_id: String,
    /// Of the call.
    span: Span,
    answer: oneshot::Sender<Result<Answer, Error>>,
}

impl Coalescer {
    /// Starts a coalescer. It ends once `stop` is cancelled: chunks under way are finished, large
    /// orders that wait for their turn are left to another instance.
    pub(crate) fn open(
        store: Store,
        pipeline: Pipeline,
        tasks: &TaskTracker,
        stop: CancellationToken,
        turning: Turning,
    ) -> Coalescer {
        let (queue, callers) = mpsc::channel(QUEUE);
        let worker = Arc::new(Worker {
            store,
            pipeline,
            tasks: tasks.clone(),
            stop,
            large: Mutex::default(),
            turns: Semaphore::new(LARGE_AT_ONCE),
        });
        tasks.spawn(serve(worker, callers, turning));
        Coalescer { queue }
    }

    /// Archives the order with this number, if it is delivered, for the call with this id.
    pub async fn archive(&self, numero: String, request_id: &str) -> Result<Answer, Error> {
        let closed = || Error::Unavailable("the server is stopping".to_owned());
        let (answer, answered) = oneshot::channel();
        let caller = Caller {
            numero,
            asked: Instant::now(),
            request_id: request_id.to_owned(),
            span: Span::current(),
            answer,
        };
        self.queue.send(caller).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn serve(worker: Arc<Worker>, mut callers: mpsc::Receiver<Caller>, turning: Turning) {
    let mut crowd = 0;
    loop {
        turning.idle();
        let chunk = tokio::select! {
            () = worker.stop.cancelled() => return,
            chunk = next_chunk(&mut callers, crowd) => chunk,
        };
        if chunk.is_empty() {
            return;
        }
        let chunk = worker.set_aside(chunk, |numero| worker.large().contains(numero));
        let answered = chunk.len();
        if answered > 0 {
            turning.turned();
            let span = span_for(&chunk);
            let answering = worker.clone().answer(chunk).instrument(span);
            // In a task of its own: a chunk that panics is not the end of the coalescer.
            let _ = worker.tasks.spawn(answering).await;
        }
        crowd = answered + callers.len();
    }
}

/// Who is in the queue, once somebody is; waits a little for the rest of a crowd. Nobody once the
/// queue is closed.
async fn next_chunk<C>(queue: &mut mpsc::Receiver<C>, crowd: usize) -> Vec<C> {
    let mut chunk = Vec::new();
    queue.recv_many(&mut chunk, CALLERS).await;
    let until = Instant::now() + LINGER;
    while chunk.len() < crowd.min(CALLERS) {
        let room = CALLERS - chunk.len();
        let more = timeout_at(until, queue.recv_many(&mut chunk, room)).await;
        if !matches!(more, Ok(1..)) {
            break;
        }
    }
    chunk
}

struct Worker {
    store: Store,
    pipeline: Pipeline,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Numbers of orders that were large when they were last met.
    large: Mutex<HashSet<String>>,
    turns: Semaphore,
}

/// What is known of numbers that were asked for.
#[derive(Default)]
struct Known {
    answers: HashMap<String, Answer>,
    /// Numbers of orders that are large, and not looked into any further.
    unread: HashSet<String>,
}

impl Worker {
    /// Answers a chunk, but for those who ask for large orders: they are served beside it.
    async fn answer(self: Arc<Self>, chunk: Vec<Caller>) {
        let numeros: Vec<String> = chunk.iter().map(|caller| caller.numero.clone()).collect();
        match self.archive(&numeros, &since(&chunk), false).await {
            Ok(Known { answers, unread }) => {
                let chunk = self.set_aside(chunk, |numero| unread.contains(numero));
                tell(chunk, Ok(answers));
            }
            Err(error) => tell(chunk, Err(error)),
        }
    }

    /// Has those served beside the chunks whose orders are large, and comes back with the others.
    fn set_aside(
        self: &Arc<Self>,
        chunk: Vec<Caller>,
        is_large: impl Fn(&str) -> bool,
    ) -> Vec<Caller> {
        let (aside, chunk): (Vec<Caller>, Vec<Caller>) = chunk
            .into_iter()
            .partition(|caller| is_large(&caller.numero));
        let mut groups: HashMap<String, Vec<Caller>> = HashMap::new();
        for caller in aside {
            groups
                .entry(caller.numero.clone())
                .or_default()
                .push(caller);
        }
        for (numero, callers) in groups {
            let span = span_for(&callers);
            let answering = self.clone().answer_aside(numero, callers);
            self.tasks.spawn(answering.instrument(span));
        }
        chunk
    }

    /// Answers those who ask for an order that may be large, when its turn comes.
    async fn answer_aside(self: Arc<Self>, numero: String, callers: Vec<Caller>) {
        let turn = tokio::select! {
            biased;
            () = self.stop.cancelled() => return,
            turn = self.turns.acquire() => turn,
        };
        if callers.iter().all(|caller| caller.answer.is_closed()) {
            return;
        }
        let numero = slice::from_ref(&numero);
        let known = self.archive(numero, &since(&callers), true).await;
        drop(turn);
        tell(callers, known.map(|known| known.answers));
    }

    /// Archives the orders with these numbers; the large ones only where they are to be read whole.
    async fn archive(
        &self,
        numeros: &[String],
        since: &Since,
        reads_large: bool,
    ) -> Result<Known, Error> {
        let mut known = Known::default();
        let selection = Selection::Numbers(values(numeros));
        let report = self.pipeline.archive_all(selection, Source::Rpc, since);
        let report = report.await?;
        self.note(&mut known, report.passed);
        for head in report.unread {
            if let Some(numero) = head.numero() {
                self.note_large(numero);
                known.unread.insert(numero.to_owned());
            }
            if reads_large {
                let selection = Selection::Candidates(vec![head.id().to_owned()]);
                let report = self.pipeline.archive_all(selection, Source::Rpc, since);
                self.note(&mut known, report.await?.passed);
            }
        }
        let is_open = |numero: &&String| {
            let met = known.answers.contains_key(*numero);
            !met && (reads_large || !known.unread.contains(*numero))
        };
        let unmet: Vec<&String> = numeros.iter().filter(is_open).collect();
        if !unmet.is_empty() {
            for archived in self.store.archived_under(&values(unmet)).await? {
                if archived.bytes > LARGE {
                    self.note_large(&archived.numero);
                }
                let answer = Answer::Met(Outcome::Duplicate(archived.missing));
                known.answers.insert(archived.numero, answer);
            }
        }
        Ok(known)
    }

    fn note(&self, known: &mut Known, passed: Vec<Passed>) {
        for order in passed {
            let Some(numero) = order.numero else { continue };
            if order.is_large {
                self.note_large(&numero);
            }
            let outcome = order.outcome;
            let worse = |known: &Answer| matches!(known, Answer::Met(known) if weight(known) >= weight(&outcome));
            if !known.answers.get(&numero).is_some_and(worse) {
                known.answers.insert(numero, Answer::Met(outcome));
            }
        }
    }

    fn note_large(&self, numero: &str) {
        let mut large = self.large();
        if large.len() == LARGE_KNOWN {
            large.clear();
        }
        large.insert(numero.to_owned());
    }

    fn large(&self) -> MutexGuard<'_, HashSet<String>> {
        self.large.lock()
    }
}

/// Since when the orders of these callers are waited for: since the first call for each.
fn since(callers: &[Caller]) -> Since {
    let mut since = HashMap::new();
    for caller in callers {
        let first = since.entry(caller.numero.clone()).or_insert(caller.asked);
        *first = caller.asked.min(*first);
    }
    Since::Asked(since)
}

/// The span of what is done for some callers together: it names them, and the span of each call
/// links to it.
fn span_for(callers: &[Caller]) -> Span {
    let ids = callers.iter().take(NAMED);
    let ids: Vec<&str> = ids.map(|caller| caller.request_id.as_str()).collect();
    let request_ids = ids.join(" ");
    let span = error_span!(parent: None, "callers", callers = callers.len(), request_ids);
    for caller in callers {
        caller.span.follows_from(&span);
    }
    span
}

/// Tells callers what became of the orders that they asked for.
fn tell(callers: Vec<Caller>, answers: Result<HashMap<String, Answer>, Error>) {
    let mut served: HashSet<String> = HashSet::new();
    for caller in callers {
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

    /// The chunk that forms when one caller is in the queue, and others come right after.
    async fn chunk(crowd: usize, later: &[u32]) -> Vec<u32> {
        let (callers, mut queue) = mpsc::channel(QUEUE);
        callers.send(0).await.unwrap();
        let coming = async {
            for caller in later {
                yield_now().await;
                callers.send(*caller).await.unwrap();
            }
        };
        let (chunk, ()) = tokio::join!(next_chunk(&mut queue, crowd), coming);
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
        let (callers, mut queue) = mpsc::channel::<u32>(QUEUE);
        drop(callers);
        assert!(next_chunk(&mut queue, 3).await.is_empty());
    }
}
