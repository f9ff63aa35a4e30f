//! A relay on the way to a server: it cuts, delays, swallows and pauses, on command or by a plan
//! that can be repeated.
//!
//! A plan acts on the messages that hold given bytes, such as `$changeStream`, `getMore` or
//! `insert`: MongoDB's messages begin with their own length, and commands lie in them as they are.
//! Bytes of the answers can be replaced too.

use std::io::Result as IoResult;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What is done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The connection ends, and the server never sees the message.
    Cut,
    /// The server gets the message; its answer is dropped and the connection ends.
    Swallow,
    /// The message goes on after a while.
    Delay(Duration),
}

/// Which of the messages that a rule is for it acts on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plan {
    /// Every one.
    Always,
    /// The first so many.
    First(u32),
    /// The second, fourth and so on for 2.
    Every(u32),
    /// By chance: one of so many, the same ones for the same seed.
    OneIn(u32, u64),
}

#[derive(Debug)]
struct Rule {
    bytes: Vec<u8>,
    plan: Plan,
    deed: Deed,
    seen: u32,
    hits: u32,
}

/// Bytes that are replaced wherever an answer holds them.
#[derive(Debug)]
struct Rewrite {
    from: Vec<u8>,
    to: Vec<u8>,
    hits: u32,
}

/// How a stream of bytes falls into messages.
#[derive(Debug, Clone, Copy)]
enum Framing {
    /// Each begins with its length: MongoDB.
    Length,
    /// Whatever comes at once: everything else.
    None,
}

/// A relay on 127.0.0.1. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    rules: Arc<Mutex<Vec<Rule>>>,
    rewrites: Arc<Mutex<Vec<Rewrite>>>,
    cuts: watch::Sender<u64>,
    paused: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// A relay to the mongod at an address.
    pub async fn to_mongod(address: &str) -> Result<Self> {
        Self::start(address, Framing::Length).await
    }

    /// A relay to any server at an address; its rules are for whatever bytes come at once.
    pub async fn to(address: &str) -> Result<Self> {
        Self::start(address, Framing::None).await
    }

    async fn start(address: &str, framing: Framing) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .context("there is no port for a relay")?;
        let port = listener.local_addr()?.port();
        let (cuts, paused) = (watch::Sender::new(0), watch::Sender::new(false));
        let rules: Arc<Mutex<Vec<Rule>>> = Arc::default();
        let rewrites: Arc<Mutex<Vec<Rewrite>>> = Arc::default();
        let (address, shared) = (address.to_owned(), rules.clone());
        let replaced = rewrites.clone();
        let (cut, pause) = (cuts.subscribe(), paused.subscribe());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let connection = Connection {
                    framing,
                    rules: shared.clone(),
                    rewrites: replaced.clone(),
                    paused: pause.clone(),
                };
                let (address, mut cut) = (address.clone(), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = cut.changed() => {}
                        _ = connection.serve(client, &address) => {}
                    }
                });
            }
        });
        Ok(Self {
            port,
            rules,
            rewrites,
            cuts,
            paused,
            accepting,
        })
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The connection string of a mongod behind this relay; a client that looked for the set would
    /// go around it.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address())
    }

    /// From now on does this with messages that hold these bytes. The first rule that acts on a
    /// message is the only one.
    pub fn on(&self, bytes: &str, plan: Plan, deed: Deed) {
        let bytes = bytes.as_bytes().to_vec();
        lock(&self.rules).push(Rule {
            bytes,
            plan,
            deed,
            seen: 0,
            hits: 0,
        });
    }

    /// From now on replaces these bytes in every answer by others, as many, and nothing that was
    /// replaced before.
    pub fn rewrite(&self, from: &[u8], to: &[u8]) {
        assert_eq!(from.len(), to.len(), "a message says its own length");
        let (from, to) = (from.to_vec(), to.to_vec());
        *lock(&self.rewrites) = vec![Rewrite { from, to, hits: 0 }];
    }

    /// The same for several, as the relays to all nodes of a set need: in place of the addresses of
    /// the nodes, a client is told those of the relays, and never goes around them.
    pub fn rewrite_all<'b>(&self, pairs: impl IntoIterator<Item = (&'b [u8], &'b [u8])>) {
        let rewrites = pairs.into_iter().map(|(from, to)| {
            assert_eq!(from.len(), to.len(), "a message says its own length");
            let (from, to) = (from.to_vec(), to.to_vec());
            Rewrite { from, to, hits: 0 }
        });
        *lock(&self.rewrites) = rewrites.collect();
    }

    /// In how many places answers were changed since they are.
    pub fn rewritten(&self) -> u32 {
        lock(&self.rewrites)
            .iter()
            .map(|rewrite| rewrite.hits)
            .sum()
    }

    /// Forgets every rule, and says how often they acted.
    pub fn clear(&self) -> u32 {
        lock(&self.rules).drain(..).map(|rule| rule.hits).sum()
    }

    /// How often the rules have acted.
    pub fn hits(&self) -> u32 {
        lock(&self.rules).iter().map(|rule| rule.hits).sum()
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Lets nothing through until [`resume`](Self::resume), with every connection open: a black
    /// hole.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Lets everything through again, what came in between first.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

struct Connection {
    framing: Framing,
    rules: Arc<Mutex<Vec<Rule>>>,
    rewrites: Arc<Mutex<Vec<Rewrite>>>,
    paused: watch::Receiver<bool>,
}

impl Connection {
    /// Carries bytes both ways until one side ends, or a rule ends both.
    async fn serve(self, client: TcpStream, address: &str) -> IoResult<()> {
        let server = TcpStream::connect(address).await?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let (mut asked, mut to_client) = client.into_split();
        let (mut answered, mut to_server) = server.into_split();
        let swallow = watch::Sender::new(false);
        let (mut up, mut down) = (self.paused.clone(), self.paused.clone());
        let asking = async {
            while let Some(message) = self.framing.message(&mut asked).await? {
                through(&mut up).await;
                match judge(&self.rules, &message) {
                    None => {}
                    Some(Deed::Cut) => break,
                    Some(Deed::Swallow) => drop(swallow.send_replace(true)),
                    Some(Deed::Delay(length)) => sleep(length).await,
                }
                to_server.write_all(&message).await?;
            }
            IoResult::Ok(())
        };
        let answering = async {
            while let Some(mut bytes) = self.framing.message(&mut answered).await? {
                through(&mut down).await;
                if *swallow.borrow() {
                    break;
                }
                replace(&self.rewrites, &mut bytes);
                to_client.write_all(&bytes).await?;
            }
            IoResult::Ok(())
        };
        tokio::select! {
            end = asking => end,
            end = answering => end,
        }
    }
}

impl Framing {
    /// The next message; none at the end.
    async fn message(self, from: &mut OwnedReadHalf) -> IoResult<Option<Vec<u8>>> {
        match self {
            Framing::Length => {
                let Ok(length) = from.read_u32_le().await else {
                    return Ok(None);
                };
                let mut message = length.to_le_bytes().to_vec();
                message.resize(message.len().max(length as usize), 0);
                from.read_exact(&mut message[4..]).await?;
                Ok(Some(message))
            }
            Framing::None => {
                let mut bytes = vec![0; 16 * 1024];
                let length = from.read(&mut bytes).await?;
                bytes.truncate(length);
                Ok((!bytes.is_empty()).then_some(bytes))
            }
        }
    }
}

/// Waits while the relay is paused. One that is gone lets nothing through: the connection ends with
/// it anyway.
async fn through(paused: &mut watch::Receiver<bool>) {
    if paused.wait_for(|paused| !paused).await.is_err() {
        std::future::pending().await
    }
}

/// What is to be done with a message.
fn judge(rules: &Mutex<Vec<Rule>>, message: &[u8]) -> Option<Deed> {
    lock(rules).iter_mut().find_map(|rule| {
        let holds = message
            .windows(rule.bytes.len())
            .any(|bytes| bytes == rule.bytes);
        (holds && rule.acts()).then_some(rule.deed)
    })
}

impl Rule {
    fn acts(&mut self) -> bool {
        self.seen += 1;
        let acts = match self.plan {
            Plan::Always => true,
            Plan::First(times) => self.seen <= times,
            Plan::Every(step) => self.seen.is_multiple_of(step),
            Plan::OneIn(many, seed) => mixed(seed, self.seen).is_multiple_of(many.into()),
        };
        self.hits += u32::from(acts);
        acts
    }
}

/// SplitMix64: a number for each place in the sequence of a seed, with every bit as likely as not.
fn mixed(seed: u64, place: u32) -> u64 {
    let mut bits = seed.wrapping_add(u64::from(place).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Puts other bytes in the place of those that are to be replaced.
fn replace(rewrites: &Mutex<Vec<Rewrite>>, message: &mut [u8]) {
    for Rewrite { from, to, hits } in lock(rewrites).iter_mut() {
        for at in 0..(message.len() + 1).saturating_sub(from.len()) {
            let place = &mut message[at..at + from.len()];
            if place == &from[..] {
                place.copy_from_slice(to);
                *hits += 1;
            }
        }
    }
}

fn lock<T>(shared: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    shared.lock()
}
