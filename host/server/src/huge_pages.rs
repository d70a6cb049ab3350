//! Huge pages, once there is data that gains from them, and while it does not grow.
//!
//! The allocator asks the kernel for huge pages wherever it may have them. With much data that
//! saves a quarter of a command's time; with little it only rounds everything up to 2 MiB, and a
//! server that holds nothing would occupy twice as much. So `reef serve` begins without them. The
//! allocator has its first pages before anything can be said to the kernel, so the process says it and
//! begins once more: an exec keeps the wish and forgets the pages.
//!
//! A command that needs memory would have to wait until a huge page is cleared, which takes milliseconds
//! where the machine itself is a guest. So data that grows does so by small pages, which the kernel joins
//! in its own time when it has come to rest.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use reef_engine::clock::Millis;
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

/// From how many bytes of data on they pay.
const LARGE_BYTES: usize = 64 * 1024 * 1024;
/// How often it is asked how much there is: growth is to be noticed soon.
const LOOK_EVERY_MS: u64 = 100;
/// Data has grown if it is larger by more than this part of itself than at the last look.
const GROWTH_PART: usize = 4096;
/// How long it must not have grown to be at rest.
const REST_MS: u64 = 5_000;

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

/// Whether the process may have huge pages, as of the last look.
#[derive(Debug, Default)]
pub(crate) struct HugePages {
    /// When to look again: milliseconds since 1970.
    next_look_ms: AtomicU64,
    /// How much data there was.
    data_bytes: AtomicUsize,
    /// When it was last seen to have grown: milliseconds since 1970.
    grew_at_ms: AtomicU64,
    are_allowed: AtomicBool,
}

impl HugePages {
    /// Allows them if there is enough data and it does not grow, or forbids them, if it is time to look.
    #[inline]
    pub(crate) fn allow_for(&self, now: Millis, data_bytes: impl FnOnce() -> usize) {
        let due_ms = self.next_look_ms.load(Relaxed);
        if now.get() >= due_ms {
            self.look(due_ms, now, data_bytes);
        }
    }

    #[cold]
    fn look(&self, due_ms: u64, now: Millis, data_bytes: impl FnOnce() -> usize) {
        let next_ms = now.get() + LOOK_EVERY_MS;
        if self.next_look_ms.compare_exchange(due_ms, next_ms, Relaxed, Relaxed).is_err() {
            return;
        }
        let bytes = data_bytes();
        if has_grown(self.data_bytes.swap(bytes, Relaxed), bytes) {
            self.grew_at_ms.store(now.get(), Relaxed);
        }
        let rests = now.get().saturating_sub(self.grew_at_ms.load(Relaxed)) >= REST_MS;
        let allow = rests && bytes >= LARGE_BYTES;
        if self.are_allowed.swap(allow, Relaxed) != allow {
            set_disabled(!allow);
        }
    }
}

/// Whether data has grown that was so large at the last look and is at this one.
fn has_grown(before: usize, now: usize) -> bool {
    now.saturating_sub(before) > now / GROWTH_PART
}

/// A kernel that does not know of it goes on as it was.
fn set_disabled(disabled: bool) {
    if let Err(error) = disable_transparent_huge_pages(disabled) {
        tracing::debug!("huge pages stay as they are: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_much_data_that_rests_has_them() {
        const ALMOST: usize = LARGE_BYTES - 1;
        const MORE: usize = 2 * LARGE_BYTES;
        let pages = HugePages::default();
        for (ms, bytes, allowed) in [
            (10_000, ALMOST, false),
            (16_000, ALMOST, false),
            (17_000, MORE, false),
            (17_100, MORE + MORE / GROWTH_PART, false),
            (21_900, MORE, false),
            (22_000, MORE, true),
            (22_100, LARGE_BYTES, true),
            (22_200, LARGE_BYTES + LARGE_BYTES / 1_000, false),
            (27_100, LARGE_BYTES, false),
            (27_200, LARGE_BYTES, true),
            (27_300, ALMOST, false),
        ] {
            pages.allow_for(Millis::new(ms), || bytes);
            assert_eq!(pages.are_allowed.load(Relaxed), allowed, "{bytes} at {ms}");
        }
        set_disabled(false);
    }

    #[test]
    fn it_is_looked_from_time_to_time() {
        let pages = HugePages::default();
        let mut looks = 0;
        for ms in [5_000, 5_001, 5_099, 5_100, 5_150, 5_201] {
            pages.allow_for(Millis::new(ms), || {
                looks += 1;
                0
            });
        }
        assert_eq!(looks, 3);
    }
}
