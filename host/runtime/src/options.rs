//! How a runtime is set up. Values only: whoever reads configuration fills them in.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`Runtime`](crate::Runtime). The defaults suit a server of a few cores.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where compiled code is kept between starts; nowhere when absent. The directory is created
    /// for this user alone, and not used when others can get at it.
    pub cache_dir: Option<PathBuf>,
    /// Threads that finish the calls which did not end within their first slice.
    pub overstay_threads: usize,
    /// Most instances of all plugins together.
    pub instances_max: u32,
    /// Plugins that came with the server: names and components.
    pub bundled: Vec<(&'static str, &'static [u8])>,
    /// Longest time that one compilation may take.
    pub compile_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_dir: None,
            overstay_threads: 1,
            instances_max: 4_096,
            bundled: Vec::new(),
            compile_timeout: Duration::from_secs(60),
        }
    }
}
