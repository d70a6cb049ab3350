//! The runtime from outside: guests that behave and guests that do not.

mod bundled;
mod guest;
mod hostile;
mod keys;
mod lifecycle;
mod operators;
mod rig;
mod service;
