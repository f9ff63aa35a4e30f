//! A verification as the job that it is: following it, and what its end means for the exit code.

use order_archiver_api::{
    v1::{
        Verdict, Verification, VerificationState, WatchVerificationRequest,
        WatchVerificationResponse,
    },
    verification,
};
use tonic::{Status, Streaming};

use crate::{connect::Session, exit::Exit, job::Job};

impl Job for Verification {
    type Watched = WatchVerificationResponse;

    const NAME: &'static str = "Verification";
    const COMMAND: &'static str = "archctl verify watch";

    fn id(&self) -> &str {
        &self.id
    }

    fn has_ended(&self) -> bool {
        matches!(
            self.state(),
            VerificationState::Succeeded | VerificationState::Failed | VerificationState::Cancelled
        )
    }

    fn ending(&self) -> String {
        match self.verdict() {
            Verdict::Unspecified => verification::ending(self),
            _ => format!("says {}", verification::verdict(self)),
        }
    }

    fn line(&self) -> String {
        verification::line(self)
    }

    fn without_throttle(&self) -> String {
        verification::without_throttle(self)
    }

    fn throttle(&self) -> &str {
        &self.throttle
    }

    fn orders(&self) -> (i64, i64) {
        let delivered = self.counts.unwrap_or_default().delivered;
        (delivered, self.estimated_total)
    }

    async fn watch(session: &Session, id: String) -> Result<Streaming<Self::Watched>, Status> {
        let request = WatchVerificationRequest { id };
        let states = session.verification().watch_verification(request).await?;
        Ok(states.into_inner())
    }

    fn told(message: Self::Watched) -> Option<Self> {
        message.verification
    }
}

/// What a verification that was waited for means for the exit code: nothing but the verdict
/// VERIFIED is well.
pub(super) fn exit_of(verification: &Verification) -> Exit {
    match (verification.state(), verification.verdict()) {
        (VerificationState::Failed, _) => Exit::JobFailed,
        (VerificationState::Succeeded, Verdict::Verified) => Exit::Done,
        (VerificationState::Succeeded, Verdict::NotVerified) => Exit::NotVerified,
        _ => Exit::Failure,
    }
}
