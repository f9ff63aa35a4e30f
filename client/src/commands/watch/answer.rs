//! What every one of these commands prints: the watcher.

use order_archiver_api::v1::Watcher;

use crate::{connect::Session, exit::Exit, fault::Fault, render};

/// Prints the watcher; whatever its state, the question was answered.
pub(super) fn show(session: &Session, watcher: Option<Watcher>) -> Result<Exit, Fault> {
    let watcher = watcher.ok_or_else(|| Fault::left_out("watcher"))?;
    session.output.one(&watcher, render::watcher::card)?;
    Ok(Exit::Done)
}
