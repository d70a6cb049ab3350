//! Huge pages, once there is data that gains from them.
//!
//! The allocator asks the kernel for huge pages wherever it may have them. With much data that
//! saves a quarter of a command's time; with little it only rounds everything up to 2 MiB, and a
//! server that holds nothing would occupy twice as much. So `reef serve` begins without them.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::disable_transparent_huge_pages;

/// From how many bytes of data on they pay.
const LARGE_BYTES: usize = 64 * 1024 * 1024;

/// Does without huge pages until there is much data. To be called before anything is allocated.
pub fn postpone_huge_pages() {
    set_disabled(true);
}

/// Whether the process may have huge pages by now.
#[derive(Debug, Default)]
pub(crate) struct HugePages(AtomicBool);

impl HugePages {
    /// Allows them if there is enough data, from then on for good.
    pub(crate) fn allow_for(&self, data_bytes: impl FnOnce() -> usize) {
        if !self.0.load(Ordering::Relaxed) && data_bytes() >= LARGE_BYTES {
            set_disabled(false);
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// A kernel that does not know of it goes on as it was.
fn set_disabled(disabled: bool) {
    if let Err(error) = disable_transparent_huge_pages(disabled) {
        tracing::debug!("huge pages stay as they are: {error}");
    }
}
