//! The service manager of Windows: makes and takes away the service, and runs it.

use std::{
    env,
    error::Error as StdError,
    ffi::OsString,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::runtime;
use tokio_util::sync::CancellationToken;
use windows_service::{
    define_windows_service,
    service::{
        Service, ServiceAccess, ServiceAction as FailureAction, ServiceActionType, ServiceControl,
        ServiceControlAccept, ServiceErrorControl, ServiceExitCode, ServiceFailureActions,
        ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceStatus,
        ServiceType,
    },
    service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle},
    service_dispatcher,
    service_manager::{ServiceManager, ServiceManagerAccess},
};

use super::{
    Work,
    lifecycle::{FAREWELL, Manager, Phase, live},
};
use crate::{
    config::{Config, InstallArgs, Refusal, RunArgs, ServiceAction, UninstallArgs},
    shutdown::{BAD_SETTINGS, FAILURE, SUCCESS},
    terminal::flush_log,
};

/// After how long the manager starts a service again that has failed; the last one is repeated.
const RESTARTS: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(5 * 60),
];
/// After how long without a failure the count begins anew.
const WELL: Duration = Duration::from_secs(24 * 60 * 60);
/// How often a service that stops is looked at.
const POLL: Duration = Duration::from_millis(200);
/// What a program hears that the manager has not started
/// (`ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`).
const NO_SERVICE: i32 = 1063;

/// What the service is to do, handed to the function that the manager calls, which takes no argument.
static STARTED: Mutex<Option<Started>> = Mutex::new(None);

enum Started {
    With(RunArgs, Box<Config>, Work),
    Refused(String),
}

define_windows_service!(service_main, serve);

/// Does what is asked of the service.
pub fn perform(action: ServiceAction, config: Config, work: Work) -> ExitCode {
    let done = match action {
        ServiceAction::Run(run) => return dispatch(Started::With(run, Box::new(config), work)),
        ServiceAction::Install(install) => installed(&install, &config),
        ServiceAction::Uninstall(uninstall) => uninstalled(&uninstall, &config),
    };
    match done {
        Ok(text) => {
            say(&text);
            ExitCode::from(SUCCESS)
        }
        Err(error) => {
            say(&format!("error: {}", told(&error)));
            ExitCode::from(FAILURE)
        }
    }
}

/// Has the manager hear why a service does not start, if this process is one; none if it is not.
pub fn refused(refusal: &Refusal) -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    let is_service =
        arguments.next().is_some_and(|it| it == "service") && arguments.next()? == "run";
    is_service.then(|| dispatch(Started::Refused(refusal.text())))
}

/// Hands this process to the manager, until the service has stopped.
fn dispatch(started: Started) -> ExitCode {
    *STARTED.lock() = Some(started);
    // The name is of no matter to a process that is one service.
    match service_dispatcher::start("archd", service_main) {
        Ok(()) => ExitCode::from(SUCCESS),
        Err(windows_service::Error::Winapi(error)) if error.raw_os_error() == Some(NO_SERVICE) => {
            if let Some(Started::Refused(text)) = STARTED.lock().take() {
                say(&text);
            }
            say("error: archd service run is for the service manager: sc.exe start archd");
            ExitCode::from(BAD_SETTINGS)
        }
        Err(error) => {
            say(&format!("error: {}", told(&error)));
            ExitCode::from(FAILURE)
        }
    }
}

/// What the manager runs in a thread of its own, with arguments that nobody gives.
fn serve(_: Vec<OsString>) {
    let Some(started) = STARTED.lock().take() else {
        return;
    };
    let (stop, up) = (CancellationToken::new(), CancellationToken::new());
    let stopped = stop.clone();
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            stopped.cancel();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let Ok(manager) = service_control_handler::register("archd", handler) else {
        return;
    };
    let manager = ToldBy(manager);
    let (run, config, work) = match started {
        Started::With(run, config, work) => (run, config, work),
        Started::Refused(text) => {
            leave_behind(&text);
            let _ = manager.tell(Phase::Stopped { code: BAD_SETTINGS });
            return;
        }
    };
    if let Some(folder) = data_folder() {
        // The log tells what is wrong with it, if anything is.
        let _ = fs::create_dir_all(folder);
    }
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
        let _ = manager.tell(Phase::Stopped { code: FAILURE });
        return;
    };
    let grace = config.shutdown_delay + config.shutdown_grace;
    let (role, stopping, serving) = (run.role, stop.clone(), up.clone());
    // It has threads of its own, which nothing here holds up.
    let worker = thread::spawn(move || work(*config, role, stopping, serving));
    runtime.block_on(async {
        let ended = tokio::task::spawn_blocking(move || worker.join().unwrap_or(FAILURE));
        live(&manager, grace, up, stop, async {
            ended.await.unwrap_or(FAILURE)
        })
        .await;
    });
    flush_log();
    // Threads that hang would hold the process, which the manager takes for stopped.
    process::exit(0);
}

/// The manager, as a service is heard by it.
struct ToldBy(ServiceStatusHandle);

impl Manager for ToldBy {
    fn tell(&self, phase: Phase) -> io::Result<()> {
        let (state, accepted, (checkpoint, hint), code) = match phase {
            Phase::StartPending { checkpoint, hint } => (
                ServiceState::StartPending,
                ServiceControlAccept::empty(),
                (checkpoint, hint),
                SUCCESS,
            ),
            Phase::Running => (
                ServiceState::Running,
                ServiceControlAccept::STOP
                    | ServiceControlAccept::SHUTDOWN
                    | ServiceControlAccept::PRESHUTDOWN,
                Default::default(),
                SUCCESS,
            ),
            Phase::StopPending { checkpoint, hint } => (
                ServiceState::StopPending,
                ServiceControlAccept::empty(),
                (checkpoint, hint),
                SUCCESS,
            ),
            Phase::Stopped { code } => (
                ServiceState::Stopped,
                ServiceControlAccept::empty(),
                Default::default(),
                code,
            ),
        };
        let status = ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted,
            exit_code: match code {
                SUCCESS => ServiceExitCode::Win32(0),
                code => ServiceExitCode::ServiceSpecific(code.into()),
            },
            checkpoint,
            wait_hint: hint,
            process_id: None,
        };
        self.0.set_service_status(status).map_err(io::Error::other)
    }
}

fn installed(install: &InstallArgs, config: &Config) -> windows_service::Result<String> {
    let RunArgs { name, .. } = &install.service;
    let access = ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE;
    let manager = ServiceManager::local_computer(None::<&str>, access)?;
    let info = ServiceInfo {
        name: name.into(),
        display_name: format!("Order Archiver ({name})").into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: env::current_exe().map_err(windows_service::Error::Winapi)?,
        launch_arguments: install.launch.clone(),
        dependencies: Vec::new(),
        // An account that is the service's own, without a password, and with no right but to be one.
        account_name: Some(format!(r"NT SERVICE\{name}").into()),
        account_password: None,
    };
    // Whoever may have it started again must be allowed to start it.
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START | ServiceAccess::DELETE;
    let service = manager.create_service(&info, access)?;
    if let Err(error) = configured(&service, config) {
        // Half a service would look like one.
        let _ = service.delete();
        return Err(error);
    }
    if let Some(folder) = data_folder() {
        fs::create_dir_all(folder).map_err(windows_service::Error::Winapi)?;
    }
    Ok(format!(
        "the service {name} is there; sc.exe start {name} starts it, and so does the next start of the machine"
    ))
}

fn configured(service: &Service, config: &Config) -> windows_service::Result<()> {
    service.set_description("Archives delivered orders from MongoDB")?;
    let restart = |delay| FailureAction {
        action_type: ServiceActionType::Restart,
        delay,
    };
    service.update_failure_actions(ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(WELL),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.map(restart).to_vec()),
    })?;
    // One that ends with a code beyond 0 has failed, though it has told so.
    service.set_failure_actions_on_non_crash_failures(true)?;
    service.set_preshutdown_timeout(config.shutdown_delay + config.shutdown_grace + FAREWELL)
}

fn uninstalled(uninstall: &UninstallArgs, config: &Config) -> windows_service::Result<String> {
    let name = &uninstall.name;
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)?;
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = manager.open_service(name, access)?;
    let end = Instant::now() + config.shutdown_delay + config.shutdown_grace + FAREWELL;
    let mut is_told = false;
    loop {
        match service.query_status()?.current_state {
            ServiceState::Stopped => break,
            // One that starts takes no order yet.
            ServiceState::Running | ServiceState::Paused if !is_told => {
                service.stop()?;
                is_told = true;
            }
            _ if Instant::now() > end => {
                let text =
                    format!("the service {name} does not stop; end its process, then try again");
                return Err(windows_service::Error::Winapi(io::Error::other(text)));
            }
            _ => thread::sleep(POLL),
        }
    }
    service.delete()?;
    Ok(format!(
        "the service {name} is gone; its log, its settings and the database are left"
    ))
}

/// Where the log and the settings of services are.
fn data_folder() -> Option<PathBuf> {
    let data = env::var_os("ProgramData").filter(|data| !data.is_empty())?;
    Some(Path::new(&data).join("archd"))
}

/// Why the service did not start, where somebody may look for it: there is no terminal, and no log
/// without settings.
fn leave_behind(text: &str) {
    if let Some(folder) = data_folder() {
        // Whoever can't be told this way finds the code with the manager.
        let _ = fs::create_dir_all(&folder);
        let _ = fs::write(folder.join("not-started.txt"), text);
    }
}

/// An error with its cause: the one that Windows gives is in there.
fn told(error: &windows_service::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn say(text: &str) {
    // There is nobody left to tell when the terminal is gone.
    let _ = writeln!(io::stderr(), "{text}");
}
