//! archd
pub mod domain;
