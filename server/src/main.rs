//! `archd`: reads its settings, then serves callers, runs one job or checks the database, and
//! says by its exit code how that went.

use std::{io::Write, net::SocketAddr, path::Path, process::ExitCode};

use archd::{
    check,
    config::{
        self, Command, Config, InForce, ServiceRole, Setting,
        table::{HTTP, LISTEN},
    },
    once, run, service,
    shutdown::{self, BAD_SETTINGS, FAILURE, SUCCESS},
    telemetry,
    terminal::flush_log,
    watch,
};
use tokio::{net::TcpListener, runtime::Builder};
use tokio_util::sync::CancellationToken;
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
        Err(refusal) => {
            #[cfg(windows)]
            if let Some(code) = service::refused(&refusal) {
                return code;
            }
            return refusal.report();
        }
    };
    let code = match command {
        Command::Service(action) => return service::perform(action, config, as_service),
        command => on_threads(|| logged(command, config)),
    };
    flush_log();
    code.unwrap_or(ExitCode::from(FAILURE))
}

/// Works on threads of its own; none where the system gives none, which has been said.
fn on_threads<W: Future>(work: impl FnOnce() -> W) -> Option<W::Output> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build();
    match runtime {
        Ok(runtime) => Some(runtime.block_on(work())),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "error: no threads can be started: {error}"
            );
            None
        }
    }
}

/// What a service of Windows does; see [`service::Work`].
fn as_service(
    config: Config,
    role: ServiceRole,
    stop: CancellationToken,
    up: CancellationToken,
) -> u8 {
    let code = on_threads(|| async {
        let telemetry = match opened(&config) {
            Ok(telemetry) => telemetry,
            Err(code) => return code,
        };
        introduce(&config, true);
        let code = match role {
            ServiceRole::Serve => serve(config, stop, up).await,
            ServiceRole::Watch => watch_alone(config, stop, up).await,
        };
        telemetry.close().await;
        code
    });
    flush_log();
    code.unwrap_or(FAILURE)
}

async fn logged(command: Command, config: Config) -> ExitCode {
    let telemetry = match opened(&config) {
        Ok(telemetry) => telemetry,
        Err(code) => return ExitCode::from(code),
    };
    let code = work(command, config).await;
    telemetry.close().await;
    code
}

/// Opens the log, or says why not.
fn opened(config: &Config) -> Result<telemetry::Telemetry, u8> {
    telemetry::init(config).map_err(|error| {
        // Without a log, standard error is the only place left.
        let _ = writeln!(std::io::stderr(), "error: {error}");
        match error.is_of_settings() {
            true => BAD_SETTINGS,
            false => FAILURE,
        }
    })
}

/// Tells the log by which settings this process works, and of these what whoever listens is to know.
fn introduce(config: &Config, listens: bool) {
    let InForce { given, defaults } = &config.in_force;
    info!(given, defaults, "settings in force");
    warn_of(config);
    for note in config.notes.iter().filter(|_| listens) {
        info!("{note}");
    }
}

fn warn_of(config: &Config) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
}

async fn work(command: Command, config: Config) -> ExitCode {
    match command {
        Command::Check(_) | Command::State(_) | Command::Man(_) => warn_of(&config),
        Command::Serve | Command::Watch => introduce(&config, true),
        _ => introduce(&config, false),
    }
    let stop = match shutdown::signal() {
        Ok(stop) => stop,
        Err(error) => {
            error!(%error, "signals can't be heard");
            return ExitCode::from(FAILURE);
        }
    };
    let up = CancellationToken::new();
    match command {
        Command::Batch(options) => once::batch(config, options, stop).await,
        Command::Verify(options) => once::verify(config, options, stop).await,
        Command::Functions(options) => once::functions(config, options, stop).await,
        Command::Check(options) => check::check(config, options, stop).await,
        Command::State(options) => check::state(config, options, stop).await,
        Command::Man(options) => manual(&options.folder),
        Command::Watch => ExitCode::from(watch_alone(config, stop, up).await),
        Command::Serve => ExitCode::from(serve(config, stop, up).await),
        Command::Service(_) => unreachable!("it is none of these before there is a log"),
    }
}

/// Serves until told to stop, and cancels `up` once it listens.
async fn serve(config: Config, stop: CancellationToken, up: CancellationToken) -> u8 {
    let listener = match bind(config.listen, &LISTEN).await {
        Ok(listener) => listener,
        Err(refusal) => return refusal,
    };
    // Port 0 asks the system for any that is free; the log says which.
    let address = listener.local_addr().unwrap_or(config.listen);
    info!(%address, profile = ?config.profile, "archd {} listens", env!("CARGO_PKG_VERSION"));
    match http(&config).await {
        Ok(http) => {
            up.cancel();
            ended(run(listener, http, config, stop).await)
        }
        Err(refusal) => refusal,
    }
}

/// Watches until told to stop, and cancels `up` once it begins to.
async fn watch_alone(config: Config, stop: CancellationToken, up: CancellationToken) -> u8 {
    match http(&config).await {
        Ok(http) => {
            up.cancel();
            ended(watch(http, config, stop).await)
        }
        Err(refusal) => refusal,
    }
}

/// Writes the manual pages.
fn manual(folder: &Path) -> ExitCode {
    match config::docs::manual(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(%error, "the manual can't be written into {}", folder.display());
            ExitCode::from(FAILURE)
        }
    }
}

/// Opens the port of HTTP, if the settings want one.
async fn http(config: &Config) -> Result<Option<TcpListener>, u8> {
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
async fn bind(address: SocketAddr, setting: &Setting) -> Result<TcpListener, u8> {
    TcpListener::bind(address).await.map_err(|error| {
        let (name, flag) = (setting.name, setting.flag.unwrap_or_default());
        error!(%error, "can't listen on {address}; is another archd running? Choose another address with --{flag} or {name}");
        BAD_SETTINGS
    })
}

fn ended(outcome: Result<(), archd::Error>) -> u8 {
    match outcome {
        Ok(()) => SUCCESS,
        Err(error) => {
            error!(%error, "archd ends");
            match error {
                archd::Error::Access(_) => BAD_SETTINGS,
                archd::Error::Tls(_) => BAD_SETTINGS,
                archd::Error::Store(_) => FAILURE,
            }
        }
    }
}
