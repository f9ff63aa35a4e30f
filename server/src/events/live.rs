//! The news of an instance, read once for all who listen.
//!
//! One stream tells all readers what happens, for as long as there is one. A reader that begins in
//! the past, or that falls further behind than the stream keeps for it, reads for itself from its
//! own place until it has caught up, and joins the others then. As places in the history have an
//! order, it misses nothing on the way and hears nothing twice.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bson::RawDocumentBuf;
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{News, Told};
use crate::{
    domain::checkpoint::is_after,
    store::{Error, Store, changes::Start},
};

/// Changes that are kept for a reader: several replies of the database, which come at once.
const KEPT: usize = 8_192;
/// The pause before a history that can't be read is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The stream that all readers of an instance share. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Live {
    store: Store,
    stop: CancellationToken,
    stream: Arc<Mutex<Option<Stream>>>,
}

/// The stream, while somebody listens.
#[derive(Debug)]
struct Stream {
    sender: broadcast::Sender<Arc<Told>>,
    /// The place that all of it has been told up to.
    place: RawDocumentBuf,
}

/// Everything after a place of the shared stream.
struct Listener {
    receiver: broadcast::Receiver<Arc<Told>>,
    place: RawDocumentBuf,
}

impl Live {
    /// A stream that nobody listens to yet. It ends with `stop`.
    pub fn new(store: Store, stop: CancellationToken) -> Live {
        Live {
            store,
            stop,
            stream: Arc::default(),
        }
    }

    /// A reader that begins at `start`, and for now reads for itself.
    pub async fn reader(&self, start: &Start) -> Result<Reader, Error> {
        Ok(Reader {
            live: self.clone(),
            start: start.clone(),
            source: self.own(start).await?,
            told: VecDeque::new(),
        })
    }

    async fn own(&self, start: &Start) -> Result<Source, Error> {
        let news = News::open(&self.store.for_catching_up(), start).await?;
        Ok(Source::Own(Box::new(news), None))
    }

    fn stream(&self) -> MutexGuard<'_, Option<Stream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to the stream; where there is none, it begins at this place.
    fn listen(&self, from: &RawDocumentBuf) -> Listener {
        let mut stream = self.stream();
        let stream = stream.get_or_insert_with(|| {
            let (sender, _) = broadcast::channel(KEPT);
            tokio::spawn(self.clone().run(from.clone()));
            Stream {
                sender,
                place: from.clone(),
            }
        });
        Listener {
            receiver: stream.sender.subscribe(),
            place: stream.place.clone(),
        }
    }

    /// Reads the history for all who listen, until nobody does.
    async fn run(self, from: RawDocumentBuf) {
        let failure = tokio::select! {
            () = self.stop.cancelled() => None,
            outcome = self.tell_all(from) => match outcome {
                // Closed already, and there may be a new one by now.
                Ok(()) => return,
                Err(error) => Some(error),
            },
        };
        if let Some(error) = failure {
            // Each of those who listen finds out by itself what is wrong with its place.
            debug!(%error, "the stream of the news ends");
        }
        *self.stream() = None;
    }

    /// Returns once nobody listens any more, and the stream is closed.
    async fn tell_all(&self, mut place: RawDocumentBuf) -> Result<(), Error> {
        let mut news = None;
        loop {
            let reply = match &mut news {
                Some(news) => News::next(news).await,
                None => match News::open(&self.store, &Start::After(place.clone())).await {
                    Ok(opened) => {
                        news = Some(opened);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            let told = match reply {
                Ok(reply) => reply.told,
                Err(error) if error.is_transient() => {
                    debug!(%error, "the news can't be read; trying again");
                    news = None;
                    sleep(PAUSE).await;
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            if let Some(last) = told.last() {
                place = last.place.clone();
            }
            if !self.tell(told) {
                return Ok(());
            }
        }
    }

    /// Tells all who listen; whether there is anybody. If not, the stream is closed.
    fn tell(&self, told: Vec<Told>) -> bool {
        let mut stream = self.stream();
        let Some(open) = &mut *stream else {
            return false;
        };
        if open.sender.receiver_count() == 0 {
            *stream = None;
            return false;
        }
        for told in told {
            open.place = told.place.clone();
            // Somebody listened a moment ago; who has left since misses nothing.
            let _ = open.sender.send(Arc::new(told));
        }
        true
    }
}

/// One reader of the news.
pub struct Reader {
    live: Live,
    /// Where it is.
    start: Start,
    source: Source,
    /// What is to be told next.
    told: VecDeque<Arc<Told>>,
}

/// Whom a reader hears the news from.
enum Source {
    /// Nobody: it has to open the history from where it is.
    Nothing,
    /// The history itself; the shared stream is joined once it has been caught up with.
    Own(Box<News>, Option<Listener>),
    /// The shared stream.
    Shared(broadcast::Receiver<Arc<Told>>),
}

impl Reader {
    /// What happened next. After an error the next call begins anew from where the reader is.
    pub async fn next(&mut self) -> Result<Arc<Told>, Error> {
        loop {
            if let Some(told) = self.told.pop_front() {
                self.start = Start::After(told.place.clone());
                return Ok(told);
            }
            // Whoever is cut short here begins anew too.
            self.source = match std::mem::replace(&mut self.source, Source::Nothing) {
                Source::Nothing => self.live.own(&self.start).await?,
                Source::Own(news, listener) => self.catch_up(news, listener).await?,
                Source::Shared(receiver) => self.listen(receiver).await,
            };
        }
    }

    /// Where the reader is: after everything that it was told.
    pub fn start(&self) -> &Start {
        &self.start
    }

    /// Reads the history once more, and joins the others when that is as far as they are.
    async fn catch_up(
        &mut self,
        mut news: Box<News>,
        listener: Option<Listener>,
    ) -> Result<Source, Error> {
        let reply = news.next().await?;
        self.told.extend(reply.told.into_iter().map(Arc::new));
        let Some(place) = self.told.back().map(|last| &last.place) else {
            return Ok(Source::Own(news, listener));
        };
        let listener = listener.or_else(|| reply.is_recent.then(|| self.live.listen(place)));
        Ok(match listener {
            Some(listener) if !is_after(&listener.place, place) => {
                Source::Shared(listener.receiver)
            }
            listener => Source::Own(news, listener),
        })
    }

    /// Hears what is new to it.
    async fn listen(&mut self, mut receiver: broadcast::Receiver<Arc<Told>>) -> Source {
        match receiver.recv().await {
            Ok(told) => {
                if self.is_new(&told) {
                    self.told.push_back(told);
                }
                Source::Shared(receiver)
            }
            Err(RecvError::Lagged(missed)) => {
                debug!(missed, "a reader has fallen behind and reads for itself");
                Source::Nothing
            }
            Err(RecvError::Closed) => Source::Nothing,
        }
    }

    /// Whether this comes after what the reader was told. Silence does as long as it does not come
    /// from before.
    fn is_new(&self, told: &Told) -> bool {
        match &self.start {
            Start::After(place) if told.is_silence() => !is_after(place, &told.place),
            Start::After(place) => is_after(&told.place, place),
            Start::At(_) | Start::Now => true,
        }
    }
}
