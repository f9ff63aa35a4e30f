//! One mongod of a deployment, to be used and to be ill-treated.

use std::mem;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bson::{DateTime, Document, doc};
use mongodb::Client;
use mongodb::options::ClientOptions;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::timeout;

use crate::disk::Disk;
use crate::hello::Hello;
use crate::launch::{Failure, Launch, free_port};
use crate::wait::until;
use crate::watchdog::Watchdog;

/// How many ports are tried before it is not bad luck any more.
const PORTS: usize = 10;
/// How long a signalled mongod may take to end; a clean end writes everything to disk first.
const END_LIMIT: Duration = Duration::from_secs(60);
/// How long a node may take over a command of a test.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long a restarted node may take to be back in its place, elections included.
const RETURN_LIMIT: Duration = Duration::from_secs(60);

/// One mongod. It keeps its port and its data from start to start.
#[derive(Debug)]
pub struct Node {
    launch: Launch,
    port: u16,
    /// Whether it is primary by itself, having no one to be elected by.
    alone: bool,
    starts: AtomicU32,
    frozen: AtomicBool,
    watchdog: Mutex<Watchdog>,
}

impl Node {
    pub(crate) async fn start(launch: Launch, alone: bool) -> Result<Self> {
        let log = launch.home.join("mongod-1.log");
        for _ in 0..PORTS {
            let port = free_port()?;
            let watchdog = launch.spawn(port, &log)?;
            match launch.listening(&watchdog.state(), &log).await {
                Ok(()) => {
                    let (starts, frozen) = (AtomicU32::new(1), AtomicBool::new(false));
                    return Ok(Self {
                        launch,
                        port,
                        alone,
                        starts,
                        frozen,
                        watchdog: Mutex::new(watchdog),
                    });
                }
                Err(Failure::PortTaken) => watchdog.dismiss(),
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        bail!("{PORTS} ports were free and were taken before mongod could listen on them")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:port`, the name the node has among the members.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The connection string for this node alone, whatever its state.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.address())
    }

    /// The id of the mongod process, or of the last one if it has ended.
    pub fn pid(&self) -> u32 {
        self.watchdog().pid()
    }

    /// Whether the process exists; a frozen one does.
    pub fn is_running(&self) -> bool {
        !self.watchdog().state().is_over()
    }

    /// The log of the latest start.
    pub fn log(&self) -> PathBuf {
        self.log_of(self.starts.load(Ordering::SeqCst))
    }

    /// A new client for this node alone. It belongs to the runtime it is made on, so every test
    /// needs its own.
    pub async fn client(&self) -> Result<Client> {
        client(&self.uri()).await
    }

    /// Kills the process (SIGKILL) and waits until it has ended.
    pub async fn kill(&self) -> Result<()> {
        self.end(&["KILL"]).await
    }

    /// Asks the process to end in good order (SIGTERM) and waits until it has.
    pub async fn terminate(&self) -> Result<()> {
        // A frozen one has to be thawed to take notice.
        self.end(&["TERM", "CONT"]).await
    }

    /// Stops the process where it stands (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.watchdog().signal("STOP")?;
        self.frozen.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.watchdog().signal("CONT")?;
        self.frozen.store(false, Ordering::SeqCst);
        Ok(())
    }

    /// Starts mongod again on the same port and data, after [`terminate`](Self::terminate) if it
    /// still runs, and waits until it is the member it was: primary if it is alone, else primary or
    /// secondary.
    pub async fn restart(&self) -> Result<()> {
        self.terminate().await?;
        until(
            RETURN_LIMIT,
            "the port of the node to be free again",
            async || {
                let log = self.log_of(self.starts.fetch_add(1, Ordering::SeqCst) + 1);
                let fresh = self.launch.spawn(self.port, &log)?;
                // The node owns the process before the first wait, so that giving up the wait loses
                // nothing.
                mem::replace(&mut *self.watchdog(), fresh).dismiss();
                self.frozen.store(false, Ordering::SeqCst);
                let state = self.watchdog().state();
                match self.launch.listening(&state, &log).await {
                    Ok(()) => Ok(Some(())),
                    Err(Failure::PortTaken) => Ok(None),
                    Err(Failure::Other(error)) => Err(error),
                }
            },
        )
        .await?;
        let client = self.client().await?;
        until(
            RETURN_LIMIT,
            "the restarted node to be back in its place",
            async || {
                let hello = Hello::ask(&client).await;
                Ok(hello
                    .filter(|hello| {
                        if self.alone {
                            hello.is_primary()
                        } else {
                            hello.is_up()
                        }
                    })
                    .map(drop))
            },
        )
        .await
    }

    /// Leaves no space on the node's [own disk](crate::Options::own_disk): mongod aborts at one of
    /// its next writes, and a start fails until the disk is [freed](Self::free_disk).
    pub fn fill_disk(&self) -> Result<()> {
        self.disk()?.fill(self.pid(), &self.log())
    }

    /// Gives the space back.
    pub fn free_disk(&self) -> Result<()> {
        self.disk()?.free()
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&self) -> Result<()> {
        self.end(&[]).await
    }

    /// Sets the node's [own wall clock](crate::Options::own_clock) so many seconds ahead of the
    /// time, or behind it, and makes sure that mongod sees it. Its monotonic clocks go on as they
    /// did.
    pub async fn shift_clock(&self, seconds: i64) -> Result<()> {
        let clock = self.launch.clock.as_ref();
        clock
            .context("the node has no clock of its own: see `Options::own_clock`")?
            .set(seconds)?;
        let shown = self.admin(doc! { "hello": 1 }).await?;
        let shown = shown
            .get_datetime("localTime")
            .context("it tells no time")?;
        let ahead = shown.timestamp_millis() - DateTime::now().timestamp_millis();
        ensure!(
            (ahead / 1_000 - seconds).abs() <= 30,
            "mongod's clock is {ahead} ms ahead and should be {seconds} s: this mongod asks for the time in a way that can't be \
             shifted, as one does that is linked statically; set MONGOD to one that is linked with the system's C library"
        );
        Ok(())
    }

    fn disk(&self) -> Result<&Disk> {
        let disk = self.launch.disk.as_ref();
        disk.context("the node has no disk of its own: see `Options::own_disk`")
    }

    /// Runs `configureFailPoint` on this node: `doc! { "configureFailPoint": "failCommand", "mode":
    /// …, "data": … }`.
    pub async fn configure_fail_point(&self, command: Document) -> Result<()> {
        self.admin(command).await.map(drop)
    }

    /// Switches the fail point off on this node.
    pub async fn clear_fail_point(&self, name: &str) -> Result<()> {
        self.configure_fail_point(doc! { "configureFailPoint": name, "mode": "off" })
            .await
    }

    /// Runs a command on the `admin` database of this node.
    pub async fn admin(&self, command: Document) -> Result<Document> {
        let client = self.client().await?;
        let answer = timeout(ANSWER_LIMIT, async {
            client.database("admin").run_command(command).await
        })
        .await;
        answer
            .with_context(|| format!("{} does not answer", self.address()))?
            .context("the command was refused")
    }

    /// Whether it is of any use to ask the node something.
    pub(crate) fn answers(&self) -> bool {
        self.is_running() && !self.frozen.load(Ordering::SeqCst)
    }

    /// Lets the process be killed without waiting for it: the drop that follows waits.
    pub(crate) fn release(&self) {
        self.watchdog().release();
    }

    async fn end(&self, signals: &[&str]) -> Result<()> {
        let mut state = {
            let watchdog = self.watchdog();
            signals
                .iter()
                .try_for_each(|signal| watchdog.signal(signal))?;
            watchdog.state()
        };
        let over = timeout(END_LIMIT, state.over()).await;
        over.with_context(|| format!("mongod (process {}) does not end", self.pid()))?;
        self.frozen.store(false, Ordering::SeqCst);
        Ok(())
    }

    fn log_of(&self, start: u32) -> PathBuf {
        self.launch.home.join(format!("mongod-{start}.log"))
    }

    fn watchdog(&self) -> MutexGuard<'_, Watchdog> {
        self.watchdog.lock()
    }
}

/// A client that gives up looking for a server in time for a test to say what is wrong.
pub(crate) async fn client(uri: &str) -> Result<Client> {
    let mut options = ClientOptions::parse(uri)
        .await
        .context("the connection string is not understood")?;
    options.server_selection_timeout = Some(Duration::from_secs(10));
    Client::with_options(options).context("the client cannot be made")
}
