//! What text is made for: how wide it may be, whether it may have colours, and in which zone its
//! times are.

use std::sync::OnceLock;

use chrono_tz::Tz;

use crate::zone::Zone;

/// The reader's screen. There is one for all that a process prints, as there is one standard
/// output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// The most columns of a line; nothing is cut to none.
    pub(crate) columns: Option<usize>,
    pub(crate) colours: bool,
    pub(crate) zone: Zone,
}

static SCREEN: OnceLock<Screen> = OnceLock::new();

/// Says what the screen is like, before anything is made for it.
pub(crate) fn set(screen: Screen) {
    let _ = SCREEN.set(screen);
}

/// The screen; before anybody has said what it is like, one of any width, without colours and in
/// UTC.
pub(crate) fn screen() -> Screen {
    const PLAIN: Screen = Screen {
        columns: None,
        colours: false,
        zone: Zone::Named(Tz::UTC),
    };
    SCREEN.get().copied().unwrap_or(PLAIN)
}
