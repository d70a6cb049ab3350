//! Facts about this process for INFO, read from `/proc`; zero where there is none.

use std::fs;

/// Memory and CPU of the process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) rss_bytes: u64,
    pub(crate) user_s: f64,
    pub(crate) system_s: f64,
}

/// What the process uses now.
pub(crate) fn usage() -> Usage {
    const PAGE_BYTES: u64 = 4096;
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; fields are counted behind it.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split(' ').collect();
    let number = |index: usize| fields.get(index).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    Usage {
        rss_bytes: number(22) * PAGE_BYTES,
        user_s: number(12) as f64 / TICKS_PER_SECOND,
        system_s: number(13) as f64 / TICKS_PER_SECOND,
    }
}

/// Memory of the machine in bytes.
pub(crate) fn total_memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// `Linux 6.1.0 x86_64`, as INFO shows it.
pub(crate) fn operating_system() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {} {}", release.trim(), std::env::consts::ARCH)
}
