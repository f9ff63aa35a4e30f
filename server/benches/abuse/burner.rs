//! A process that burns a share of CPU time and does nothing else.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

/// How finely work and rest alternate.
const SLICE: Duration = Duration::from_millis(10);

/// How much to burn.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The share of one core's time; above 1 several threads share it
    pub(crate) share: f64,
}

/// Burns until it is killed.
pub(crate) fn burn(arguments: &Arguments) -> Result<()> {
    let threads = arguments.share.ceil().max(1.0);
    let work = SLICE.mul_f64((arguments.share / threads).clamp(0.0, 1.0));
    thread::scope(|scope| {
        for _ in 0..threads as usize {
            scope.spawn(move || {
                loop {
                    let start = Instant::now();
                    while start.elapsed() < work {
                        black_box(());
                    }
                    thread::sleep(SLICE.saturating_sub(work));
                }
            });
        }
    });
    Ok(())
}
