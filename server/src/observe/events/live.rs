//! The news of an instance, read once for all who listen.
//!
//! One stream tells all readers what happens, for as long as there is one. A reader that begins in
//! the past, or that falls further behind than the stream keeps for it, reads for itself from its
//! own place until it has caught up, and joins the others then. As places in the history have an
//! order, it misses nothing on the way and hears nothing twice.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use bson::RawDocumentBuf;
use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::news::{News, Told};
use crate::{
    bytes::checkpoint::is_after,
    store::{Error, Store, wire::changes::Start},
};

/// Changes that are kept for a reader: several replies of the database, which come at once.
const KEPT: usize = 8_192;
/// How many bytes of them are kept, for all readers together.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
/// What a reader that reads for itself holds of a reply, in bytes: it reads the rest once more.
const HELD_BYTES: usize = 1024 * 1024;
/// The pause before a history that can't be read is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// The stream that all readers of an instance share. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    store: Store,
    stop: CancellationToken,
    stream: Arc<Mutex<Option<Stream>>>,
}

/// The stream, while somebody listens.
#[derive(Debug)]
struct Stream {
    sender: broadcast::Sender<Weak<Told>>,
    kept: Kept,
    /// The place that all of it has been told up to.
    place: RawDocumentBuf,
}

/// Everything after a place of the shared stream.
struct Listener {
    receiver: broadcast::Receiver<Weak<Told>>,
    place: RawDocumentBuf,
}

/// The latest of what was told, as much as may be kept of it. Who comes for what is gone has fallen
/// behind.
#[derive(Debug, Default)]
struct Kept {
    told: VecDeque<Arc<Told>>,
    bytes: usize,
}

impl Kept {
    fn keep(&mut self, told: Arc<Told>) {
        self.bytes += told.bytes;
        self.told.push_back(told);
        while self.told.len() > KEPT || self.bytes > KEPT_BYTES && self.told.len() > 1 {
            let oldest = self.told.pop_front();
            self.bytes -= oldest.map_or(0, |oldest| oldest.bytes);
        }
    }
}

impl Live {
    /// A stream that nobody listens to yet. It ends with `stop`.
    pub(crate) fn new(store: Store, stop: CancellationToken) -> Live {
        Live {
            store,
            stop,
            stream: Arc::default(),
        }
    }

    /// A reader that begins at `start`, and for now reads for itself.
    pub(crate) async fn reader(&self, start: &Start) -> Result<Reader, Error> {
        Ok(Reader {
            live: self.clone(),
            start: start.clone(),
            last: None,
            source: self.read_alone(start).await?,
            told: VecDeque::new(),
        })
    }

    async fn read_alone(&self, start: &Start) -> Result<NewsSource, Error> {
        let news = News::open(&self.store.for_catching_up(), start).await?;
        Ok(NewsSource::Own(Box::new(news), None))
    }

    fn stream(&self) -> MutexGuard<'_, Option<Stream>> {
        self.stream.lock()
    }

    /// Listens to the stream; where there is none, it begins at this place.
    fn listen(&self, from: &RawDocumentBuf) -> Listener {
        let mut stream = self.stream();
        let stream = stream.get_or_insert_with(|| {
            let (sender, _) = broadcast::channel(KEPT);
            tokio::spawn(self.clone().run(from.clone()));
            Stream {
                sender,
                kept: Kept::default(),
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
            let told = Arc::new(told);
            // Somebody listened a moment ago; who has left since misses nothing.
            let _ = open.sender.send(Arc::downgrade(&told));
            open.kept.keep(told);
        }
        true
    }
}

/// One reader of the news.
pub(crate) struct Reader {
    live: Live,
    /// Where it began.
    start: Start,
    /// What it was told last.
    last: Option<Arc<Told>>,
    source: NewsSource,
    /// What is to be told next.
    told: VecDeque<Arc<Told>>,
}

/// Whom a reader hears the news from.
enum NewsSource {
    /// Nobody: it has to open the history from where it is.
    Nothing,
    /// The history itself; the shared stream is joined once it has been caught up with.
    Own(Box<News>, Option<Listener>),
    /// The shared stream.
    Shared(broadcast::Receiver<Weak<Told>>),
}

impl Reader {
    /// What happened next. After an error the next call begins anew from where the reader is.
    pub(crate) async fn next(&mut self) -> Result<Arc<Told>, Error> {
        loop {
            if let Some(told) = self.told.pop_front() {
                self.last = Some(told.clone());
                return Ok(told);
            }
            // Whoever is cut short here begins anew too.
            self.source = match std::mem::replace(&mut self.source, NewsSource::Nothing) {
                NewsSource::Nothing => self.live.read_alone(&self.start()).await?,
                NewsSource::Own(news, listener) => self.catch_up(news, listener).await?,
                NewsSource::Shared(receiver) => self.listen(receiver).await,
            };
        }
    }

    /// Where the reader is: after everything that it was told.
    pub(crate) fn start(&self) -> Start {
        match &self.last {
            Some(last) => Start::After(last.place.clone()),
            None => self.start.clone(),
        }
    }

    /// Takes back what it was told since `last`. It is read once more, so that nothing of it is
    /// held until then; but for what comes first to a reader that began now, who would begin later.
    pub(crate) fn put_back(&mut self, told: Arc<Told>, last: Option<Arc<Told>>) {
        self.last = last;
        match self.start() {
            Start::Now => self.told.push_front(told),
            _ => {
                self.told.clear();
                self.source = NewsSource::Nothing;
            }
        }
    }

    /// Reads the history once more, and joins the others when that is as far as they are.
    async fn catch_up(
        &mut self,
        mut news: Box<News>,
        listener: Option<Listener>,
    ) -> Result<NewsSource, Error> {
        let reply = news.next().await?;
        let mut room = HELD_BYTES;
        for told in reply.told {
            // Silence is at the place of what comes before.
            if told.bytes > room && !self.told.is_empty() && !told.is_silence() {
                return Ok(NewsSource::Nothing);
            }
            room = room.saturating_sub(told.bytes);
            self.told.push_back(Arc::new(told));
        }
        let Some(place) = self.told.back().map(|last| &last.place) else {
            return Ok(NewsSource::Own(news, listener));
        };
        let listener = listener.or_else(|| reply.is_recent.then(|| self.live.listen(place)));
        Ok(match listener {
            Some(listener) if !is_after(&listener.place, place) => {
                NewsSource::Shared(listener.receiver)
            }
            listener => NewsSource::Own(news, listener),
        })
    }

    /// Hears what is new to it.
    async fn listen(&mut self, mut receiver: broadcast::Receiver<Weak<Told>>) -> NewsSource {
        let told = match receiver.recv().await {
            Ok(told) => told.upgrade(),
            Err(RecvError::Lagged(_)) => None,
            Err(RecvError::Closed) => return NewsSource::Nothing,
        };
        let Some(told) = told else {
            debug!("a reader has fallen behind and reads for itself");
            return NewsSource::Nothing;
        };
        if self.is_new(&told) {
            self.told.push_back(told);
        }
        NewsSource::Shared(receiver)
    }

    /// Whether this comes after what the reader was told. Silence does as long as it does not come
    /// from before.
    fn is_new(&self, told: &Told) -> bool {
        let place = match (&self.last, &self.start) {
            (Some(last), _) => &last.place,
            (None, Start::After(place)) => place,
            (None, Start::At(_) | Start::Now) => return true,
        };
        match told.is_silence() {
            true => !is_after(place, &told.place),
            false => is_after(&told.place, place),
        }
    }
}
