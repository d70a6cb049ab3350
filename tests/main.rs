//! The integration tests above the engine, in one binary.

mod cli;
mod config;
mod redis_cli;
mod served;
