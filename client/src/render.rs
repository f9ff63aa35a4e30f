//! Answers as text for people. Nothing here does I/O or looks at a clock.

pub(crate) mod archive;
pub(crate) mod batch;
pub(crate) mod config;
pub(crate) mod difference;
pub(crate) mod event;
pub(crate) mod explanation;
pub(crate) mod export;
pub(crate) mod grid;
pub(crate) mod ids;
pub(crate) mod instance;
pub(crate) mod ledger;
pub(crate) mod near_miss;
pub(crate) mod order;
pub(crate) mod paint;
pub(crate) mod quarantine;
pub(crate) mod repair;
pub(crate) mod screen;
pub(crate) mod seed;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod text;
pub(crate) mod units;
pub(crate) mod verification;
pub(crate) mod version;
pub(crate) mod watcher;
