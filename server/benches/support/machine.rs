//! What Linux says of the machine and of processes: the CPU time that they have used, the memory
//! that they hold.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};

/// The unit of the CPU times in `/proc`, which every Linux shows its programs.
const TICK: Duration = Duration::from_millis(10);

/// The CPU time of a process so far, in its own code and in the system's; to the hundredth of a
/// second.
pub(crate) fn cpu(process: u32) -> Result<Duration> {
    ticks(&process.to_string(), 11)
}

/// The CPU time of this process and of its children that have ended.
pub(crate) fn own_cpu() -> Result<Duration> {
    Ok(ticks("self", 11)? + ticks("self", 13)?)
}

/// The CPU time of everything on this machine.
pub(crate) fn all_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let times: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("/proc/stat")?;
    // The fourth is idleness, the fifth idleness that waits for a disk; after the eighth, guests
    // are counted once more.
    let busy = |(place, time): (usize, u64)| if [3, 4].contains(&place) { 0 } else { time };
    let busy: u64 = times.into_iter().take(8).enumerate().map(busy).sum();
    Ok(Duration::from_millis(busy * 10))
}

/// How many cores there are.
pub(crate) fn cores() -> Result<usize> {
    Ok(thread::available_parallelism()?.get())
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// What it holds now.
    pub(crate) resident: f64,
    /// The most that it has ever held.
    pub(crate) peak: f64,
}

/// The memory of a process; none once it has ended.
pub(crate) fn memory(process: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    Some(Memory {
        resident: mebibytes(&status, "VmRSS:")?,
        peak: mebibytes(&status, "VmHWM:")?,
    })
}

/// How large the machine is, as a report names it.
pub(crate) fn size() -> Result<String> {
    let cores = cores()?;
    let memory = fs::read_to_string("/proc/meminfo").context("/proc/meminfo")?;
    let memory = mebibytes(&memory, "MemTotal:").context("/proc/meminfo tells no total")?;
    Ok(format!("{cores} cores, {:.0} GiB", memory / 1024.0))
}

/// The sum of two neighbouring times in `stat`, counted from the field after the name of the
/// program.
fn ticks(process: &str, first: usize) -> Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).context(path.clone())?;
    // The name stands in parentheses and may hold anything, blanks and parentheses included.
    let (_, fields) = stat.rsplit_once(") ").context(path.clone())?;
    let ticks: Vec<u32> = fields
        .split(' ')
        .skip(first)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context(path)?;
    Ok(TICK * ticks.iter().sum())
}

fn mebibytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes / 1024.0)
}
