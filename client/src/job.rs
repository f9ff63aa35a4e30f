//! What goes on in the server whether anybody follows it or not: a batch, a verification.

use tonic::{Status, Streaming};

use crate::connect::Session;

/// What whoever follows it has to know of it.
pub(crate) trait Job: Sized {
    /// A message of the stream that tells its states.
    type Watched;

    /// What it is called.
    const NAME: &'static str;
    /// The command that follows it.
    const COMMAND: &'static str;

    fn id(&self) -> &str;
    fn has_ended(&self) -> bool;
    /// How it ended, in words.
    fn ending(&self) -> String;
    /// How far it is, on one line.
    fn line(&self) -> String;
    /// The same without what holds it back.
    fn without_throttle(&self) -> String;
    /// What holds it back; empty when nothing does.
    fn throttle(&self) -> &str;
    /// How many orders it has been through, and of how many.
    fn orders(&self) -> (i64, i64);

    /// Its states, from now on until it ends.
    async fn watch(session: &Session, id: String) -> Result<Streaming<Self::Watched>, Status>;
    /// The state that a message tells.
    fn told(message: Self::Watched) -> Option<Self>;
}
