//! What tests share: a server with every client ready, the data that it works on, and patience.

mod archctl;
mod balancer;
mod calls;
mod data;
pub(crate) mod frames;
pub(crate) mod http;
pub(crate) mod pki;
mod server;
mod status;
mod wait;

pub(crate) use archctl::{Ended, archctl, program};
pub(crate) use balancer::Balancer;
pub(crate) use calls::tally;
pub(crate) use data::{order, orders, references};
pub(crate) use server::TestServer;
pub(crate) use status::{assert_unavailable, assert_unusable, faults};
pub(crate) use wait::{PATIENCE, eventually, last, within};
