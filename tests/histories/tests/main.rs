//! Stories of servers, in one binary.

mod alone;
mod copies;
mod followed;
