//! A door for browsers: `POST /command` with a JSON array of words, answered in JSON.
//!
//! Each request is a client of its own: it comes in through the [`Entrance`], says AUTH if the request
//! has a password, sends its one command and takes the reply. So users, tenants, limits and
//! `maxclients` are the server's, and there is one way for commands. A command that waits does so as long as
//! the request stands.
//!
//! Invariants: a request of a web page is served only if its origin was named ([`Settings::origins`]);
//! headers, bodies, replies and connections have limits; nothing of one request reaches another.
//!
//! Deliberately absent: TLS (a proxy's business), state between requests, and commands that turn a
//! connection into something else (`SUBSCRIBE`, `MONITOR`).

mod answer;
mod client;
mod door;
mod patient;
mod request;
mod value;

pub use door::{Door, Entrance, Settings};
