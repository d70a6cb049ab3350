//! Reef, put together: configuration, engine, server and plugin runtime.
//!
//! This is the one place that knows all crates. `reef serve`, the demonstrations, tests and
//! examples start the same composition through [`Reef::start`].

pub mod cli;
pub mod config;
mod directives;
mod plugin_folder;
mod reef;
mod write_behind;

pub use reef::{Reef, StartError};
