//! What is seen of the server and its database: events, figures, whether it can be worked with, and who works on it.

pub mod events;
pub(crate) mod heartbeat;
pub mod monitor;
pub mod state_documents;
pub mod stats;
