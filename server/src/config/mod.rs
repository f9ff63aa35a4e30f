//! What `archd` is told before it starts: every setting, typed and checked, from flags,
//! environment, `.env` and defaults.

pub mod cli;
pub mod docs;
mod exposure;
mod load;
pub mod problem;
pub mod setting;
pub mod sources;
mod start;
pub mod table;
mod unknown;
pub mod uri;
pub mod uri_file;

pub use self::{
    cli::{
        BatchArgs, CheckArgs, Command, Deployment, FunctionsArgs, InstallArgs, ManArgs, Output,
        RunArgs, ServiceAction, ServiceRole, StateArgs, UninstallArgs, VerifyArgs,
    },
    load::{BatchReads, Collections, Config, LogFileSettings, LogFormat, Profile, TlsFiles},
    problem::Problem,
    setting::Setting,
    sources::{InForce, Values},
    start::{Refusal, from_process},
    table::SETTINGS,
    uri::MongodbUri,
};
