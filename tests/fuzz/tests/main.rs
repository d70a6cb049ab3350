//! Every target for a bounded time: see `src/runner.rs` for what the environment can change.

use std::path::Path;

use peak_alloc::PeakAlloc;
use reef_fuzz::{TARGETS, runner};

/// So that targets see what they allocate.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|(other, _)| *other == name).expect("a target of this name");
    runner::run(*target, Path::new(env!("CARGO_TARGET_TMPDIR")));
}

#[test]
fn frames() {
    fuzz("frames");
}

#[test]
fn commands() {
    fuzz("commands");
}

#[test]
fn payloads() {
    fuzz("payloads");
}

#[test]
fn rdb_file() {
    fuzz("rdb_file");
}

#[test]
fn users() {
    fuzz("users");
}

#[test]
fn parsers() {
    fuzz("parsers");
}

#[test]
fn every_target_has_its_test() {
    assert_eq!(TARGETS.len(), 6, "a target without a test is never called");
}
