//! Unmodified client libraries against the built server, in one binary.

mod fred_10;
mod fred_9;
mod interpreted;
mod redis_rs;
