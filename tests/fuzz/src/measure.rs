//! What one step may cost: CPU time of this thread, and memory of this process.
//!
//! Memory is counted only where the program uses [`peak_alloc::PeakAlloc`] as its allocator. Several
//! targets may run at once, so the bound is far above what all of them need and far below what a
//! believed promise of size would take.

use std::time::Duration;

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

/// What a step may take of the processor, checks included: a debug build on a slow machine.
const CPU_MAX: Duration = Duration::from_secs(2);
/// What a step may allocate beyond what was there.
const BYTES_MAX: usize = 256 << 20;

/// A step under way.
#[derive(Debug)]
pub struct Measure {
    cpu: Duration,
    bytes: usize,
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Measure {
    /// A step begins.
    pub fn begin() -> Self {
        PeakAlloc.reset_peak_usage();
        Self { cpu: cpu_time(), bytes: PeakAlloc.current_usage() }
    }

    /// The step is over; panics if it cost too much.
    pub fn end(self, what: impl Fn() -> String) {
        let took = cpu_time() - self.cpu;
        assert!(took < CPU_MAX, "took {took:?}: {}", what());
        let bytes = PeakAlloc.peak_usage().saturating_sub(self.bytes);
        assert!(bytes < BYTES_MAX, "allocated {bytes} bytes: {}", what());
    }
}
