//! RESP, the wire protocol of Redis: bytes in, commands out; replies in, bytes out.
//!
//! - [`Decoder`] finds the next command in a receive buffer without copying it;
//! - [`Pipeline`] is the commands that arrived together;
//! - [`Argv`] is a command's arguments as spans of somebody else's bytes;
//! - [`Writer`] says a reply as RESP2, RESP3 or columns for a plugin.
//!
//! This crate knows bytes only: no commands, no keys, no sockets, no clock. It never panics on
//! input and allocates in proportion to what was really received, never to what was announced.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod argv;
mod decoder;
mod inline;
mod pipeline;
mod writer;

pub use argv::{Argv, OwnedArgv, Span};
pub use decoder::{Decoder, Limits, Progress, ProtocolError};
pub use inline::split_line;
pub use pipeline::{COMMANDS_MAX, Pipeline, Tail};
pub use writer::{Mark, Node, Protocol, Writer};
