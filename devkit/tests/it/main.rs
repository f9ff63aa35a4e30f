//! The promises of the devkit, each kept in front of a real mongod.

mod child;
mod gone;
mod history;
mod locating;
mod relaying;
mod single;
mod standalone;
mod three;
