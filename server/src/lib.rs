//! archd
pub mod config;
pub mod domain;
pub mod shutdown;
pub mod telemetry;
