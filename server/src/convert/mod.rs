//! Between the server's own values and the messages of the contract, whoever carries these.

mod batch;
mod difference;
mod document;
mod event;
pub(crate) mod explanation;
mod job;
pub(crate) mod near_misses;
mod quarantine;
mod remarks;
mod stats;
mod time;
mod verification;
mod watcher;

pub(crate) use self::{
    batch::{batch, counts, limits, options, state},
    difference::{class_of_difference, difference, difference_class},
    document::{Document, MOST_JSON, numero, unreadable},
    event::{event_body, event_kind},
    quarantine::{quarantine_entry, reason},
    stats::{next_batch, stats, stats_point},
    time::{cluster_time, date, duration, length, timestamp},
    verification::{state_of_verification, verification, verification_options},
    watcher::{
        gap, watch_partition, watch_partition_now, watcher_message, watcher_now, watcher_state,
    },
};
