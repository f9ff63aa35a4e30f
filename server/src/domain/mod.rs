//! The meaning: what an order is, what becomes of it and what its archive looks like. Pure: no I/O,
//! no clock, no runtime.

pub mod text;

pub mod order;

pub(crate) mod same_id;

pub mod judge;

pub mod enrich;

pub mod counts;

pub mod partition;

pub mod latency;

pub mod near_miss;

pub(crate) mod near_miss_kind;

pub mod schedule;

pub mod verify;

pub mod explanation;

pub mod ledger;
