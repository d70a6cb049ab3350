//! The runtime from outside: guests that behave and guests that do not.

#![expect(clippy::unwrap_used, reason = "what fails in a test's tools fails the test")]

mod bundled;
mod guest;
mod hostile;
mod keys;
mod lifecycle;
mod operators;
mod rig;
mod service;
mod sink;
mod trouble;
