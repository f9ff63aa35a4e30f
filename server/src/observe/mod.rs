//! What is seen of the server and its database: events, figures, whether it can be worked with, and
//! who works on it.

pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod heartbeat;
pub(crate) mod monitor;
pub(crate) mod privileges;
pub(crate) mod state_documents;
pub(crate) mod stats;
