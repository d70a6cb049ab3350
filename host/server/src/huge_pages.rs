//! Huge pages, once there is data that gains from them.
//!
//! The allocator asks the kernel for huge pages wherever it may have them. With much data that
//! saves a quarter of a command's time; with little it only rounds everything up to 2 MiB, and a
//! server that holds nothing would occupy twice as much. So `reef serve` begins without them. The
//! allocator has its first pages before anything can be said to the kernel, so the process says it and
//! begins once more: an exec keeps the wish and forgets the pages.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use reef_engine::clock::Millis;
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

/// From how many bytes of data on they pay.
const LARGE_BYTES: usize = 4 * 1024 * 1024;
/// How often it is asked how much there is: what is there already stays on small pages for long, so
/// a data set that grows fast must be noticed early.
const LOOK_EVERY_MS: u64 = 10;

/// Does without huge pages until there is much data. The process may begin once more, with the same
/// arguments: to be called before it has done anything.
pub fn postpone_huge_pages() {
    let are_disabled = || transparent_huge_pages_are_disabled().unwrap_or(true);
    if are_disabled() {
        return;
    }
    set_disabled(true);
    // Never a second time, whatever the kernel makes of the wish.
    if are_disabled()
        && let Err(error) = begin_again()
    {
        tracing::debug!("the first pages stay huge: {error}");
    }
}

fn begin_again() -> std::io::Result<Infallible> {
    let mut arguments = std::env::args_os();
    let mut program = Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        program.arg0(name);
    }
    Err(program.args(arguments).exec())
}

/// Whether the process may have huge pages by now, or when to look again: milliseconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct HugePages(AtomicU64);

/// They are allowed.
const ALLOWED: u64 = u64::MAX;

impl HugePages {
    /// Allows them if there is enough data, from then on for good.
    #[inline]
    pub(crate) fn allow_for(&self, now: Millis, data_bytes: impl FnOnce() -> usize) {
        if now.get() < self.0.load(Ordering::Relaxed) {
            return;
        }
        let mut next = now.get() + LOOK_EVERY_MS;
        if data_bytes() >= LARGE_BYTES {
            set_disabled(false);
            next = ALLOWED;
        }
        self.0.store(next, Ordering::Relaxed);
    }
}

/// A kernel that does not know of it goes on as it was.
fn set_disabled(disabled: bool) {
    if let Err(error) = disable_transparent_huge_pages(disabled) {
        tracing::debug!("huge pages stay as they are: {error}");
    }
}
