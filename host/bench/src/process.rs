//! CPU time and resident memory of the server's process (and of our own), from /proc.
//!
//! A process id alone proves nothing (a forwarded port may lead to another machine or container), so
//! a server's process is taken only when the connection is local and the process is as old as the
//! server says it has been up.

use std::fs;
use std::time::Duration;

use crate::client::{Client, info_field};

/// A process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// The process behind `client`, whose INFO is `info`, when it can be seen from here.
    pub(crate) fn of_server(client: &Client, info: &str) -> Option<Self> {
        if !client.is_local() {
            return None;
        }
        let process = Self(info_field(info, "process_id")?.parse().ok()?);
        process.cpu()?;
        if let Some(uptime) = info_field(info, "uptime_in_seconds") {
            let age_s = process.age()?.as_secs();
            let uptime_s: u64 = uptime.parse().ok()?;
            if age_s.abs_diff(uptime_s) > AGE_TOLERANCE_S {
                return None;
            }
        }
        Some(process)
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self(std::process::id())
    }

    /// User and system time that the process has used, all threads together.
    pub(crate) fn cpu(self) -> Option<Duration> {
        let [user, system, _] = times(&self.read("stat")?)?;
        Some(ticks(user + system))
    }

    /// Memory that the process holds in RAM.
    pub(crate) fn resident_bytes(self) -> Option<u64> {
        resident(&self.read("status")?)
    }

    fn age(self) -> Option<Duration> {
        let [_, _, start] = times(&self.read("stat")?)?;
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
        Duration::try_from_secs_f64(uptime).ok()?.checked_sub(ticks(start))
    }

    fn read(self, file: &str) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).ok()
    }
}

/// User time, system time and start, in ticks. The name in front of them may contain anything, so
/// fields count from its closing parenthesis.
fn times(stat: &str) -> Option<[u64; 3]> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |at: usize| fields.get(at)?.parse().ok();
    Some([field(11)?, field(12)?, field(19)?])
}

fn resident(status: &str) -> Option<u64> {
    let line = info_field(status, "VmRSS")?;
    let kilobytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1000 / TICKS_PER_SECOND))
}

/// Linux's USER_HZ: fixed for /proc on every architecture that Reef runs on.
const TICKS_PER_SECOND: u64 = 100;
/// A server may start to count a little after its process began.
const AGE_TOLERANCE_S: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_behind_a_hostile_name() {
        let stat = "42 (a) R 9 (b)) S 1 2 3 4 5 6 7 8 9 10 250 75 0 0 20 0 1 0 6000 1 2";
        assert_eq!(times(stat), Some([250, 75, 6000]));
        assert_eq!(ticks(325), Duration::from_millis(3250));
        assert_eq!(times("42 (x) S 1 2"), None);
        assert_eq!(times("nothing"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("VmPeak:\t  9 kB\nVmRSS:\t   12 kB\n"), Some(12_288));
        assert_eq!(resident("VmPeak:\t  9 kB\n"), None);
    }

    #[test]
    fn own_process_can_be_seen() {
        let own = Process::own();
        assert!(own.cpu().is_some());
        assert!(own.resident_bytes() > Some(100_000));
        assert!(own.age() < Some(Duration::from_secs(3600)));
    }
}
