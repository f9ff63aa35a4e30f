//! What archd promises, held to a real mongod: one file a promise.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests fail by panicking, and their names are sentences"
)]

mod support;

mod availability;
mod batches;
mod life_of_one_order;
mod process;
mod requests;
mod secrets;
mod seeding;
mod tailing;
