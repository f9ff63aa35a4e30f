//! Following a job to its end, across a restart of the server.

use tonic::{Code, Status};

use crate::{
    connect::Session, fault::Fault, interrupt::interrupted, job::Job, output::say,
    progress::JobProgress, reconnect::Reconnect,
};

/// Shows the progress of a job and hands each of its states to `each`; gives its last state, or
/// none after Ctrl-C.
pub(crate) async fn to_the_end<J: Job>(
    session: &Session,
    id: &str,
    each: impl FnMut(&J) -> Result<(), Fault>,
) -> Result<Option<J>, Fault> {
    let mut progress = JobProgress::new();
    // `latest` may be another job soon: once the server has named this one, it goes by its whole
    // id.
    let mut id = id.to_owned();
    let ended = tokio::select! {
        ended = persist(session, &mut id, &mut progress, each) => Some(ended),
        () = interrupted() => None,
    };
    progress.clear();
    let (name, command) = (J::NAME, J::COMMAND);
    let advice = format!("`{command} {id}` follows it again.");
    match ended {
        Some(Ok(job)) => {
            say(&format!("{name} {id} {}", job.ending()));
            Ok(Some(job))
        }
        Some(Err(fault)) => {
            // Whoever reads no more needs no advice, and a job that does not exist has nothing to
            // follow.
            if matches!(&fault, Fault::Refused(status) if status.code() != Code::NotFound) {
                say(&format!("{name} {id} may be running still; {advice}"));
            }
            Err(fault)
        }
        None => {
            say(&format!("{name} {id} is left running; {advice}"));
            Ok(None)
        }
    }
}

async fn persist<J: Job>(
    session: &Session,
    id: &mut String,
    progress: &mut JobProgress,
    mut each: impl FnMut(&J) -> Result<(), Fault>,
) -> Result<J, Fault> {
    let mut reconnect = Reconnect::bounded();
    let mut each = |job: &J| {
        progress.show(job);
        each(job)
    };
    loop {
        match listen(session, id, &mut reconnect, &mut each).await {
            Err(Fault::Refused(status)) => reconnect.lost(*status).await?,
            end => return end,
        }
    }
}

async fn listen<J: Job>(
    session: &Session,
    id: &mut String,
    reconnect: &mut Reconnect,
    each: &mut impl FnMut(&J) -> Result<(), Fault>,
) -> Result<J, Fault> {
    let mut states = J::watch(session, id.clone()).await?;
    reconnect.opened("");
    let mut last = None;
    while let Some(message) = states.message().await? {
        if let Some(job) = J::told(message) {
            id.clear();
            id.push_str(job.id());
            each(&job)?;
            last = Some(job);
        }
    }
    // A server that stops may end its streams without a word.
    match last {
        Some(job) if job.has_ended() => Ok(job),
        _ => Err(Status::unavailable("the server ended the stream before the end was told").into()),
    }
}
