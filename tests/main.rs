//! The integration tests above the engine, in one binary.

mod author;
mod cli;
mod compat;
mod config;
mod crashes;
mod examples;
mod following;
mod hostile;
mod house;
mod http;
mod kills;
mod operations;
mod parking;
mod persistence;
mod plugins;
mod readme;
mod redis_cli;
mod rendezvous;
mod served;
mod tenants;
mod tls;
mod transcripts;
mod triggers;
mod users;
mod waiting;
mod wire;
