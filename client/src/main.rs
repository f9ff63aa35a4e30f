//! `archctl`: people and cron jobs talk to Order Archiver with it.

mod args;
mod commands;
mod config;
mod connect;
mod exit;
mod fault;
mod follow;
mod format;
mod globals;
mod interrupt;
mod job;
mod ledger;
mod output;
mod pages;
mod progress;
mod reconnect;
mod render;
mod repaint;
mod shell;
mod tls;
mod token;
mod top;
mod values;
mod zone;

use std::process::ExitCode;

use args::Cli;
use exit::Exit;

fn main() -> ExitCode {
    match Cli::read() {
        Ok(cli) => run(cli).into(),
        // Help, version and usage errors all come this way; a reader that has gone needs none of
        // them.
        Err(answer) => {
            let _ = answer.print();
            u8::try_from(answer.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

// One worker keeps the connection alive while this thread is blocked by a full pipe or a question.
#[tokio::main(worker_threads = 1)]
async fn run(cli: Cli) -> Exit {
    let Cli {
        mut globals,
        command,
    } = cli;
    let completed = match command.goes_by_settings() {
        true => config::complete(&mut globals),
        false => Ok(()),
    };
    render::screen::set(output::screen(&globals));
    let ended = match completed {
        Ok(()) => command.run(&globals).await,
        Err(fault) => Err(fault),
    };
    match ended {
        Ok(exit) => exit,
        Err(fault) => match fault.explain(&globals) {
            Some(report) => {
                output::say_error(&report);
                report.exit
            }
            None => Exit::Done,
        },
    }
}
