//! What archd promises, held to a real mongod: one file a promise.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking, their names are sentences, and random and slow ones say their seed and their time"
)]

mod faults;
mod load;
mod support;

mod availability;
mod batch_crashes;
mod batch_lives;
mod batch_options;
mod batch_pace;
mod batch_paging;
mod batch_process;
mod batch_rates;
mod batch_reads;
mod batch_rehearsal;
mod batches;
mod burst;
mod check;
mod check_privileges;
mod clock_jump;
mod crash_loop;
mod deployment_faults;
mod full_disk;
mod gather;
mod history_lost;
mod hostile_orders;
mod house;
mod independent_clients;
mod life_of_one_order;
mod process;
mod quarantine;
mod readme;
mod requests;
mod schedule;
mod secrets;
mod seeding;
mod state_documents;
mod table_scans;
mod tail_faults;
mod tailing;
mod three_nodes;
mod watch_checkpoints;
mod watch_collections;
mod watch_cuts;
mod watch_refusals;
mod watch_takeover;
mod watching;
mod writing;
