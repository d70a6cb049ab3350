//! What strangers may send, at random: targets that take bytes and panic when something is wrong.
//!
//! A target is a plain `fn(&[u8])`, so that any fuzzer can call it (`cargo fuzz` from a project of
//! its own, on nightly Rust); here `runner` calls it on stable Rust, for a bounded time, as an
//! ordinary test (`tests/main.rs`). Targets read their input as a source of choices ([`choice`]) and
//! make of them what is nearly right, because bytes that are merely random get no further than the
//! first check.
//!
//! What the targets promise: no panic, no wrong count, no reply that is not RESP, and neither time
//! nor memory out of proportion ([`measure`]). What they do not do: judge what a command answers; the
//! transcripts do that.
//!
//! The engine's own tests borrow the generators, [`choice::Rng`] and [`walk`], and [`copy`].

pub mod choice;
pub mod commands;
pub mod copy;
pub mod frames;
pub mod measure;
pub mod parsers;
pub mod payloads;
pub mod rdb_file;
pub mod runner;
pub mod users;
pub mod walk;
pub mod words;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("frames", frames::run),
    ("commands", commands::run),
    ("payloads", payloads::run),
    ("rdb_file", rdb_file::run),
    ("users", users::run),
    ("parsers", parsers::run),
];
