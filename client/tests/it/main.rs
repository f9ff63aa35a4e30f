//! `archctl` as people and scripts meet it: the program itself, against a server that says what
//! each test needs.
//!
//! The server here is no imitation of `archd`: it holds answers, not orders. What the two do
//! together is tested elsewhere.

#![allow(
    clippy::unwrap_used,
    reason = "a helper fails its test by panicking, and allow-unwrap-in-tests sees #[test] functions only"
)]

mod archive;
mod auth;
mod batch;
mod config;
mod exits;
mod export;
mod fake;
mod golden;
mod health;
mod help;
mod instances;
mod man;
mod orders;
mod pipes;
mod program;
mod pty;
mod quarantine;
mod seed;
mod stats;
mod status;
mod tail;
mod terminal;
mod top;
mod unreadable;
mod verify;
mod verify_differences;
mod verify_ledger;
mod verify_repair;
mod version;
mod watch;
mod why;
