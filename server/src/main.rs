//! `archd`: reads its settings, then serves callers, runs one job or checks the database, and
//! says by its exit code how that went.

use std::{io::Write, net::SocketAddr, process::ExitCode};

use archd::{
    check,
    config::{
        self, Command, Config, InForce, Setting,
        table::{HTTP, LISTEN},
    },
    once, run,
    shutdown::{self, BAD_SETTINGS, FAILURE},
    telemetry,
    terminal::flush_log,
    watch,
};
use tokio::{net::TcpListener, runtime::Builder};
use tracing::{error, info, warn};

/// Archiving allocates several times for each order, on every core: the system's allocator takes a
/// quarter of its CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What each thread may put on its stack, in bytes: as much as a main thread. A document may nest 180
/// others, and is shown as text by calls within calls.
const STACK: usize = 8 * 1024 * 1024;

fn main() -> ExitCode {
    let (command, config) = match config::from_process() {
        Ok(start) => start,
        Err(refusal) => return refusal.report(),
    };
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(logged(command, config)),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "error: no threads can be started: {error}"
            );
            ExitCode::from(FAILURE)
        }
    };
    flush_log();
    code
}

async fn logged(command: Command, config: Config) -> ExitCode {
    let telemetry = match telemetry::init(&config) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            // Without a log, standard error is the only place left.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            return ExitCode::from(match error.is_of_settings() {
                true => BAD_SETTINGS,
                false => FAILURE,
            });
        }
    };
    let code = work(command, config).await;
    telemetry.close().await;
    code
}

async fn work(command: Command, config: Config) -> ExitCode {
    if !matches!(command, Command::Check(_) | Command::State(_)) {
        let InForce { given, defaults } = &config.in_force;
        info!(given, defaults, "settings in force");
    }
    for warning in &config.warnings {
        warn!("{warning}");
    }
    if matches!(command, Command::Serve | Command::Watch) {
        for note in &config.notes {
            info!("{note}");
        }
    }
    let stop = match shutdown::signal() {
        Ok(stop) => stop,
        Err(error) => {
            error!(%error, "signals can't be heard");
            return ExitCode::from(FAILURE);
        }
    };
    match command {
        Command::Batch(options) => once::batch(config, options, stop).await,
        Command::Verify(options) => once::verify(config, options, stop).await,
        Command::Check(options) => check::check(config, options, stop).await,
        Command::State(options) => check::state(config, options, stop).await,
        Command::Watch => match http(&config).await {
            Ok(http) => ended(watch(http, config, stop).await),
            Err(refusal) => refusal,
        },
        Command::Serve => {
            let listener = match bind(config.listen, &LISTEN).await {
                Ok(listener) => listener,
                Err(refusal) => return refusal,
            };
            // Port 0 asks the system for any that is free; the log says which.
            let address = listener.local_addr().unwrap_or(config.listen);
            info!(%address, profile = ?config.profile, "archd {} listens", env!("CARGO_PKG_VERSION"));
            match http(&config).await {
                Ok(http) => ended(run(listener, http, config, stop).await),
                Err(refusal) => refusal,
            }
        }
    }
}

/// Opens the port of HTTP, if the settings want one.
async fn http(config: &Config) -> Result<Option<TcpListener>, ExitCode> {
    let Some(address) = config.http else {
        return Ok(None);
    };
    let listener = bind(address, &HTTP).await?;
    let address = listener.local_addr().unwrap_or(address);
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    info!(%address, "HTTP is answered at {scheme}://{address}/");
    Ok(Some(listener))
}

/// Opens a port, or says which setting names another.
async fn bind(address: SocketAddr, setting: &Setting) -> Result<TcpListener, ExitCode> {
    TcpListener::bind(address).await.map_err(|error| {
        let (name, flag) = (setting.name, setting.flag.unwrap_or_default());
        error!(%error, "can't listen on {address}; is another archd running? Choose another address with --{flag} or {name}");
        ExitCode::from(BAD_SETTINGS)
    })
}

fn ended(outcome: Result<(), archd::Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "archd ends");
            ExitCode::from(match error {
                archd::Error::Access(_) => BAD_SETTINGS,
                archd::Error::Tls(_) => BAD_SETTINGS,
                archd::Error::Store(_) => FAILURE,
            })
        }
    }
}
