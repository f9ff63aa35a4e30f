//! `archd functions`: one batch for each call of an Azure Functions host.

use std::{net::Ipv4Addr, process::ExitCode, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    pin,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    Failure, Outcome,
    batch::{code, lines},
    once,
};
use crate::{
    archiver::Archiver,
    config::{Config, FunctionsArgs},
    http::custom_handler::{self, Invocation, Invoked},
    shutdown::{BAD_SETTINGS, SUCCESS},
    store::{
        batches::{options::Options, record::Batch},
        jobs::limits::Limits,
    },
};

/// What a batch is given beyond its time to save its place and end.
const LEEWAY: Duration = Duration::from_secs(10);

/// Answers the host at the port that it has given, until `stop` is cancelled; then the batch under
/// way is cancelled, or left if it was asked for elsewhere, and what was asked is answered.
pub async fn functions(config: Config, args: FunctionsArgs, stop: CancellationToken) -> ExitCode {
    let FunctionsArgs {
        port,
        max_runtime,
        wait,
    } = args;
    // Whoever reaches the port can have a batch run, so nobody but this machine does.
    let address = (Ipv4Addr::LOCALHOST, port);
    let socket = match TcpListener::bind(address).await {
        Ok(socket) => socket,
        Err(error) => {
            error!(%error, "can't listen on 127.0.0.1:{port}; choose another port with --port or FUNCTIONS_CUSTOMHANDLER_PORT");
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let address = socket.local_addr().unwrap_or_else(|_| address.into());
    info!(%address, ?max_runtime, ?wait, "the host of Azure Functions is answered");
    let grace = config.shutdown_grace;
    let batches = Batches {
        options: Options {
            max_runtime: Some(max_runtime),
            limits: Limits::of_settings(&config),
            ..Options::default()
        },
        config,
        wait,
        most: wait + max_runtime + LEEWAY,
        stop: stop.clone(),
        running: Mutex::default(),
        tasks: TaskTracker::new(),
    };
    let batches = Arc::new(batches);
    let asked = batches.clone();
    let invoke = move |invocation| asked.clone().join(invocation);
    let work = async {
        custom_handler::serve(socket, invoke, stop.clone()).await;
        // Of a host that has hung up, too.
        batches.tasks.close();
        batches.tasks.wait().await;
    };
    let stopped = async {
        stop.cancelled().await;
        sleep(grace).await;
    };
    tokio::select! {
        () = work => {}
        () = stopped => {
            warn!("the grace period is over; leaving what is not finished behind");
        }
    }
    ExitCode::from(SUCCESS)
}

/// The batch that calls join.
type Running = Shared<BoxFuture<'static, Invoked>>;

/// Runs batches for calls, one at a time.
struct Batches {
    config: Config,
    options: Options,
    wait: Duration,
    /// How long a call may take.
    most: Duration,
    stop: CancellationToken,
    running: Mutex<Option<Running>>,
    tasks: TaskTracker,
}

impl Batches {
    /// Runs a batch, or joins the one that another call has begun.
    fn join(self: Arc<Self>, invocation: Invocation) -> Running {
        let Invocation {
            function,
            id: invocation,
            is_past_due,
        } = &invocation;
        let mut running = self.running.lock();
        let under_way = running.as_ref().filter(|it| it.peek().is_none());
        let joins = under_way.is_some();
        info!(function, invocation, is_past_due, joins, "called");
        let batch = match under_way {
            Some(batch) => batch.clone(),
            None => self.clone().begin(),
        };
        *running = Some(batch.clone());
        batch
    }

    /// Runs a batch in a task of its own: a host that hangs up ends no batch half-way.
    fn begin(self: Arc<Self>) -> Running {
        let task = self.tasks.spawn(self.clone().run());
        let ended = async move {
            let fault = "this is a fault of archd, whose log says more; please report it";
            task.await.unwrap_or_else(|_| failed(fault.to_owned()))
        };
        ended.boxed().shared()
    }

    async fn run(self: Arc<Self>) -> Invoked {
        let stop = self.stop.child_token();
        let batch = once::<Archiver>(&self.config, self.wait, &self.options, &stop);
        pin!(batch);
        let ended = match timeout(self.most, &mut batch).await {
            Ok(ended) => ended,
            Err(_) => {
                warn!(most = ?self.most, "the call has taken as long as it may");
                stop.cancel();
                batch.await
            }
        };
        told(ended)
    }
}

/// What the host is told of a batch.
fn told(ended: Result<Outcome<Batch>, Failure>) -> Invoked {
    match ended {
        Ok(outcome) => {
            let code = code(&outcome);
            let mut logs = lines(&outcome.job);
            if code != SUCCESS {
                logs.push(failure(code));
            }
            Invoked {
                succeeded: code == SUCCESS,
                logs,
            }
        }
        Err(Failure { error, code }) => {
            error!(%error, "no batch");
            let mut told = failed(format!("no batch: {error}"));
            told.logs.push(failure(code));
            told
        }
    }
}

fn failure(code: u8) -> String {
    format!("failed: `archd batch` would have left with code {code}")
}

fn failed(why: String) -> Invoked {
    Invoked {
        succeeded: false,
        logs: vec![why],
    }
}
