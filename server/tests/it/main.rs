//! What archd promises, held to a real mongod: one file a promise.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests fail by panicking, and their names are sentences"
)]

mod support;

mod availability;
mod batches;
mod faults;
mod house;
mod independent_clients;
mod life_of_one_order;
mod process;
mod readme;
mod requests;
mod secrets;
mod seeding;
mod tail_faults;
mod tailing;
mod watch_checkpoints;
mod watch_collections;
mod watch_cuts;
mod watch_refusals;
mod watching;
