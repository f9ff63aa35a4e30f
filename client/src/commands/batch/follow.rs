//! Following one batch to its end, across a restart of the server.

use order_archiver_api::v1::{Batch, WatchBatchRequest};
use tonic::{Code, Status};

use super::ended::has_ended;
use crate::{
    connect::Session, fault::Fault, interrupt::interrupted, output::say, progress::BatchProgress,
    reconnect::Reconnect, render,
};

/// Shows the progress of a batch and hands each of its states to `each`; gives its last state, or
/// none after Ctrl-C.
pub(super) async fn to_the_end(
    session: &Session,
    id: &str,
    each: impl FnMut(&Batch) -> Result<(), Fault>,
) -> Result<Option<Batch>, Fault> {
    let mut progress = BatchProgress::new();
    // `latest` may be another batch soon: once the server has named this one, it goes by its whole
    // id.
    let mut id = id.to_owned();
    let ended = tokio::select! {
        ended = persist(session, &mut id, &mut progress, each) => Some(ended),
        () = interrupted() => None,
    };
    progress.clear();
    let advice = format!("`archctl batch watch {id}` follows it again.");
    match ended {
        Some(Ok(batch)) => {
            say(&format!("Batch {id} {}", render::batch::ending(&batch)));
            Ok(Some(batch))
        }
        Some(Err(fault)) => {
            // Whoever reads no more needs no advice, and a batch that does not exist has nothing to
            // follow.
            if matches!(&fault, Fault::Refused(status) if status.code() != Code::NotFound) {
                say(&format!("Batch {id} may be running still; {advice}"));
            }
            Err(fault)
        }
        None => {
            say(&format!("Batch {id} is left running; {advice}"));
            Ok(None)
        }
    }
}

async fn persist(
    session: &Session,
    id: &mut String,
    progress: &mut BatchProgress,
    mut each: impl FnMut(&Batch) -> Result<(), Fault>,
) -> Result<Batch, Fault> {
    let mut reconnect = Reconnect::bounded();
    let mut each = |batch: &Batch| {
        progress.show(batch);
        each(batch)
    };
    loop {
        match listen(session, id, &mut reconnect, &mut each).await {
            Err(Fault::Refused(status)) => reconnect.lost(*status).await?,
            end => return end,
        }
    }
}

async fn listen(
    session: &Session,
    id: &mut String,
    reconnect: &mut Reconnect,
    each: &mut impl FnMut(&Batch) -> Result<(), Fault>,
) -> Result<Batch, Fault> {
    let request = WatchBatchRequest { id: id.clone() };
    let mut states = session.batch().watch_batch(request).await?.into_inner();
    reconnect.opened("");
    let mut last = None;
    while let Some(state) = states.message().await? {
        if let Some(batch) = state.batch {
            id.clone_from(&batch.id);
            each(&batch)?;
            last = Some(batch);
        }
    }
    // A server that stops may end its streams without a word.
    match last {
        Some(batch) if has_ended(&batch) => Ok(batch),
        _ => Err(Status::unavailable("the server ended the stream before the batch ended").into()),
    }
}
