//! Calls a target with random inputs for a while.
//!
//! - `REEF_FUZZ_SECONDS`: for how long, 2 unless told otherwise;
//! - `REEF_FUZZ_SEED`: one input instead, the one that a failure named;
//! - `corpus/<target>/*`: inputs that once failed or that reach far, called first.
//!
//! Inputs are numbered from a fresh seed on, so each run tries others. The number under way is also
//! kept in a file of the build folder, for deaths that no panic tells of (a full stack, no memory).

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::Target;
use crate::choice::{Choice, Rng};

/// Longest random input.
const INPUT_BYTES_MAX: usize = 4096;

/// The input that belongs to a seed.
pub fn input(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let max = rng.pick(&[&64_usize, &512, &INPUT_BYTES_MAX]);
    let length = rng.below(*max);
    (0..length).map(|_| rng.bits() as u8).collect()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Calls a target for a while; panics with what reproduces the failure. `scratch` is a folder for the
/// number under way.
pub fn run((name, target): Target, scratch: &Path) {
    if let Some(seed) = number("REEF_FUZZ_SEED") {
        return target(&input(seed));
    }
    for (path, bytes) in corpus(name) {
        attempt(|| target(&bytes), || format!("{name} failed with {}", path.display()));
    }
    let place = scratch.join(format!("fuzz-{name}"));
    let end = Instant::now() + Duration::from_secs(number("REEF_FUZZ_SECONDS").unwrap_or(2));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut seed = since.as_nanos() as u64;
    while Instant::now() < end {
        // Without the file the run is as good, only a death is harder to understand.
        let _ = fs::write(&place, seed.to_string());
        attempt(
            || target(&input(seed)),
            || format!("{name} failed: REEF_FUZZ_SEED={seed} cargo test -p reef-fuzz {name}"),
        );
        seed = seed.wrapping_add(1);
    }
}

#[expect(clippy::print_stderr, reason = "a failure must say how to see it again")]
fn attempt(run: impl FnOnce(), tell: impl FnOnce() -> String) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        eprintln!("{}", tell());
        resume_unwind(panic);
    }
}

/// The kept inputs of a target, by name.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).ok().map(|bytes| (path, bytes));
    paths.into_iter().filter_map(read).collect()
}
