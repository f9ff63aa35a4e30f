//! What archd promises, held to a real mongod: one file a promise.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    reason = "tests fail by panicking, their names are sentences, and random and slow ones say their seed and their time"
)]

mod child;
mod faults;
mod install;
mod load;
mod mongosh;
mod program;
mod support;

mod acknowledgements;
mod archive_filters;
mod archive_shape;
mod availability;
mod batch_crashes;
mod batch_dry_run;
mod batch_options;
mod batch_paging;
mod batch_process;
mod batch_progress;
mod batch_rates;
mod batch_reads;
mod batch_runs;
mod batch_throttle;
mod batches;
mod burst;
mod callers_leaving;
mod calls_withdrawn;
mod check;
mod check_fixes;
mod check_ids;
mod check_privileges;
mod clock_jump;
mod collations;
mod compression;
mod connections;
mod crash_loop;
mod credentials;
mod deployment_faults;
mod error_names;
mod escapes;
mod event_replay;
mod explain_order;
mod figures;
mod full_disk;
mod gather;
mod gone_orders;
mod help_examples;
mod history_lost;
mod hostile_orders;
mod house;
mod independent_clients;
mod index_build;
mod index_lost;
mod instances;
mod large_orders;
mod ledger;
mod life_of_one_order;
mod log;
mod log_file;
mod log_formats;
mod memory;
mod near_miss_kinds;
mod near_misses;
mod order_ids;
mod order_streams;
mod otlp;
mod pages;
mod process;
mod quarantine;
mod readme;
mod repairs;
mod request_ids;
mod requests;
mod schedule;
mod secrets;
mod seeding;
mod short_ids;
mod state_documents;
mod state_lists;
mod supervision;
mod table_scans;
mod tail_cost;
mod tail_faults;
mod tailing;
mod three_nodes;
mod transient_refusals;
mod verification_state;
mod verifications;
mod verify_by_archctl;
mod verify_process;
mod verifying;
mod views;
mod watch_checkpoints;
mod watch_collections;
mod watch_cuts;
mod watch_refusals;
mod watch_takeover;
mod watcher_truth;
mod watching;
mod writing;
