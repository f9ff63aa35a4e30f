//! What a verification holds to be so: when an archived document is the archive of an order, what a
//! difference is called, and when the verdict is good. Pure.

pub mod class;
pub mod compare;
pub mod counts;
pub mod days;
pub mod finding;
pub mod fingerprint;
pub mod id_key;
pub mod metadata;
pub mod pairing;
pub mod plan;
pub mod progress;
pub mod surplus;
pub mod verdict;
