//! What a thread uses of the machine: CPU time, and time in which it was ready to run and had no core.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::share::Slice;

/// CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Measures slices of one thread.
pub(crate) struct Stopwatch {
    /// `schedstat` of the thread: where the kernel says how long it waited. What is between CPU time
    /// and the clock on the wall is more than that: a host that takes a virtual machine's core away is
    /// nobody to make room for, and sleep within a command of the host is no waiting. Where the kernel
    /// does not say it, that has to do.
    schedstat: Option<File>,
}

/// Where a thread is at an instant.
#[derive(Clone, Copy)]
struct Reading {
    at: Instant,
    cpu: Duration,
    waited: Option<Duration>,
}

impl Stopwatch {
    pub(crate) fn of_this_thread() -> Self {
        Self { schedstat: File::open("/proc/thread-self/schedstat").ok() }
    }

    /// Measures what this thread does.
    pub(crate) fn measure<T>(&self, work: impl FnOnce() -> T) -> (T, Slice) {
        let before = self.read();
        let result = work();
        let after = self.read();
        let used = after.cpu.saturating_sub(before.cpu);
        let waited = match (before.waited, after.waited) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => after.at.duration_since(before.at).saturating_sub(used),
        };
        (result, Slice { used, waited })
    }

    fn read(&self) -> Reading {
        let waited = self.schedstat.as_ref().and_then(waited);
        Reading { at: Instant::now(), cpu: thread_cpu(), waited }
    }
}

/// The second of the numbers in a `schedstat`, nanoseconds. A kernel that does not count says that the
/// thread, which reads this, has never run: the third is 0.
fn waited(schedstat: &File) -> Option<Duration> {
    // Three numbers of at most twenty digits.
    let mut buffer = [0; 64];
    let length = schedstat.read_at(&mut buffer, 0).ok()?;
    let text = std::str::from_utf8(&buffer[..length]).ok()?;
    let mut numbers = text.split_ascii_whitespace().map_while(|number| number.parse().ok()).skip(1);
    let (waited, runs) = (numbers.next()?, numbers.next()?);
    (runs > 0).then(|| Duration::from_nanos(waited))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_slice_has_the_time_that_a_thread_used_and_not_that_in_which_it_slept() {
        const MS: Duration = Duration::from_millis(1);
        let stopwatch = Stopwatch::of_this_thread();
        let spin = || {
            let before = thread_cpu();
            while thread_cpu() - before < 20 * MS {}
        };
        let ((), spun) = stopwatch.measure(spin);
        assert!(spun.used >= 20 * MS, "{spun:?}");
        let ((), slept) = stopwatch.measure(|| thread::sleep(20 * MS));
        assert!(slept.used < 20 * MS, "{slept:?}");
    }

    #[test]
    fn threads_that_share_a_core_have_waited() {
        let spin = || {
            let (stopwatch, begun) = (Stopwatch::of_this_thread(), Instant::now());
            let ((), slice) =
                stopwatch.measure(|| while begun.elapsed() < Duration::from_millis(300) {});
            slice
        };
        let cores = thread::available_parallelism().unwrap().get();
        let threads: Vec<_> = (0..2 * cores).map(|_| thread::spawn(spin)).collect();
        let slices: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(slices.iter().any(|slice| slice.waited > slice.used / 16), "{slices:?}");
    }
}
