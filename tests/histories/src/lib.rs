//! What clients saw, recorded and judged.
//!
//! Clients of the built server note each operation: when it was sent, when its reply came, and what it
//! said. Afterwards pure functions say whether there is a single order of all operations that explains
//! every reply ([`linear`]), and whether anybody saw its past undone ([`session`]). What operations mean
//! is [`model`]. Nothing here trusts the server: the checkers know it by its replies only.
//!
//! The tests play *stories*, each from a seed ([`stories`]): clients on one server, with kills; on a
//! primary and its replica, with cut links and promotions; and random commands of all families with
//! replicas that must hold the same data in the end.
//!
//! - `REEF_HISTORY_SECONDS`: for how long each test plays, 3 unless told otherwise;
//! - `REEF_HISTORY_SEED`: one story instead, the one that a failure named (who is faster in it is
//!   chance, so try it several times);
//! - `REEF_BINARY`: the server, `target/PROFILE/reef` unless told otherwise, built if it is not there;
//! - `REEF_HISTORY_SABOTAGE`: makes a guarantee false, so that tests fail: see [`stories::Sabotage`].

pub mod cable;
pub mod client;
pub mod commands;
pub mod comparison;
pub mod history;
pub mod linear;
pub mod model;
pub mod process;
pub mod session;
pub mod stories;
pub mod traffic;
