//! The integration tests above the engine, in one binary.

mod cli;
mod compat;
mod config;
mod crashes;
mod following;
mod house;
mod operations;
mod parking;
mod persistence;
mod plugins;
mod readme;
mod redis_cli;
mod served;
mod tenants;
mod tls;
mod transcripts;
mod triggers;
mod users;
mod waiting;
mod wire;
