//! The engine as its callers see it: transcripts, the command table as a whole, and random runs
//! from a seed. Neither sockets nor threads nor a clock take part.

mod atomicity;
mod clients;
mod dump;
mod effects;
mod effects_peer;
mod files;
mod introspection;
mod judge;
mod measures;
mod oracle;
mod peer;
mod quota;
mod refusals;
mod replica;
mod search;
mod snapshot;
mod table;
mod traffic;
mod transcripts;
mod waiting;
mod walk;
