//! The live side: finding orders, and reading them with everything that hangs off them.

pub mod delivered_status;
pub mod deliveries;
pub mod gather;
pub mod lookup;
pub mod near_misses;
pub mod pages;
pub mod reader;
pub mod references;
