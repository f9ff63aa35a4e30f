//! The news: what happens on the database, read out of its own history.
//!
//! Nothing publishes events. Every instance writes orders, quarantine entries and batches to the
//! database anyway; whoever wants to hear of them reads the change stream of these collections. So
//! a reader hears every instance, holds nobody up, and can go on from where it was. Those who
//! listen to one instance share one stream ([`Live`]).

mod change;
mod event;
mod live;
mod news;

pub(crate) use self::{
    event::{Detail, Event},
    live::{Live, Reader},
    news::Told,
};
