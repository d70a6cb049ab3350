//! The server: sockets, threads and time around the engine.
//!
//! [`Store`] holds the shards behind one small lock each and runs steps on them; it is also the
//! [`Backend`](reef_engine::backend::Backend) that plugins' batches go to. [`Server`] runs
//! `io-threads` workers, each an event loop of its own that reads what arrived, executes it in
//! place and answers with one system call per connection and turn.
//!
//! The server knows nothing of plugins but the [`Extension`](reef_engine::backend::Extension)
//! trait, and nothing of files of configuration but [`Configuration`].

mod answers;
mod clients;
mod clock;
mod connection;
mod copying;
mod errands;
mod execution;
mod housekeeping;
mod huge_pages;
mod indexes;
mod info;
mod input;
mod link;
mod listener;
mod mailbox;
mod memory;
mod migration;
mod monitors;
mod notices;
mod parking;
mod pause;
mod persistence;
mod post;
mod process;
mod pushes;
mod rates;
mod readiness;
mod reaper;
mod replication;
mod server;
mod settling;
mod socket;
mod start_code;
mod statistics;
mod store;
mod surroundings;
mod tally;
mod tenants;
mod timing;
mod tls;
mod triggers;
mod users;
mod users_file;
mod waits;
mod worker;

pub use clock::now_ms;
pub use huge_pages::postpone_huge_pages;
pub use persistence::{LoadFailure, Pace, PersistenceOptions};
pub use reef_storage::Fsync;
pub use replication::ReplicationOptions;
pub use server::{Configuration, Options, OutputLimit, OutputLimits, Server, ServerError, Stopper};
pub use start_code::forget_start_code;
pub use store::{Execution, Moment, Store};
pub use surroundings::BatchHost;
pub use tenants::TenantTerms;
pub use tls::{ClientCertificates, TlsError, TlsOptions};
