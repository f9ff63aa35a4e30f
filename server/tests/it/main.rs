//! What archd promises, held to a real mongod: one file a promise.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests fail by panicking, and their names are sentences"
)]

mod support;

mod gather;
mod hostile_orders;
mod life_of_one_order;
mod quarantine;
mod writing;
