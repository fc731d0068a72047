//! A process as the kernel sees it. Linux only, as `scripts/services` is.

use std::time::Duration;

/// Clock ticks per second in `/proc/<pid>/stat`: 100 on every Linux that Rust runs on (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: u64 = 100;

/// Memory that a process holds, in KiB: `VmRSS` is now, `VmHWM` the most so far.
pub(crate) fn memory_kib(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a field of it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// The processor time that a process has used, user and system, all threads.
pub(crate) fn cpu(pid: u32) -> Duration {
    cpu_fields(pid, 2)
}

/// The same of this process, with the children that have ended.
pub(crate) fn own_cpu() -> Duration {
    cpu_fields(std::process::id(), 4)
}

/// User time is field 14, system time 15; those of ended children come next.
fn cpu_fields(pid: u32, count: usize) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // The name in the second field may hold anything, up to the last parenthesis.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks = fields.split_whitespace().skip(11).take(count).map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS_PER_SECOND)
}

/// Processor time over a time, in percent of one processor.
pub(crate) fn percent_of(time: Duration, cpu: Duration) -> String {
    format!("{:.2}", cpu.as_secs_f64() / time.as_secs_f64() * 100.0)
}

/// For reading.
pub(crate) fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}
