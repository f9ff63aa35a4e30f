//! `archd service`: archd as a service of Windows. `lifecycle` is what its manager is told, `windows`
//! the manager itself; other systems have none of it, and are told what they have instead.

#[cfg(any(windows, test))]
mod lifecycle;
#[cfg(windows)]
mod windows;

#[cfg(windows)]
pub use self::windows::{perform, refused};

#[cfg(not(windows))]
pub use self::elsewhere::perform;

use tokio_util::sync::CancellationToken;

use crate::config::{Config, ServiceRole};

/// Serves or watches until `stop` is cancelled, cancels `up` as soon as it does, and returns the code
/// that says how it went. Ends within the grace period of the settings.
pub type Work =
    fn(config: Config, role: ServiceRole, stop: CancellationToken, up: CancellationToken) -> u8;

#[cfg(not(windows))]
mod elsewhere {
    use std::{
        io::{Write, stderr},
        process::ExitCode,
    };

    use super::Work;
    use crate::{
        config::{Config, ServiceAction},
        shutdown::BAD_SETTINGS,
    };

    /// Says that there is no such thing here.
    pub fn perform(_: ServiceAction, _: Config, _: Work) -> ExitCode {
        let text = "error: archd service is for Windows; here a service manager such as systemd runs archd itself";
        // There is nobody left to tell when the terminal is gone.
        let _ = writeln!(stderr(), "{text}");
        ExitCode::from(BAD_SETTINGS)
    }
}
