//! Unmodified client libraries against the built server, in one binary.

#![expect(clippy::duplicate_mod, reason = "the same checks for two versions of one client")]

mod fred_10;
mod fred_9;
mod interpreted;
mod redis_rs;
