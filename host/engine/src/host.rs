//! What a command may ask of the process around the engine.
//!
//! Commands such as CLIENT LIST, CONFIG SET and INFO are declared and spoken in the engine like
//! all others, but know things that only the host has. It answers through this trait; the engine
//! stays free of clocks, sockets and threads.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use reef_resp::{Argv, Writer};

use crate::backend::{CallStatus, Caller, PluginCommand};
use crate::error::Error;

/// Which clients CLIENT KILL and CLIENT LIST mean. All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// Only these ids.
    pub ids: Option<Vec<u64>>,
    /// Only the client with this remote address.
    pub address: Option<Box<[u8]>>,
    /// Only clients connected to this local address.
    pub local_address: Option<Box<[u8]>>,
    /// Only clients of this user.
    pub user: Option<Box<[u8]>>,
    /// Only `normal`, `pubsub`, `replica` or `master` ones.
    pub kind: Option<&'static str>,
    /// Not the caller itself.
    pub skip_me: Option<u64>,
    /// Only connections at least this old.
    pub min_age_s: Option<u64>,
}

/// The process around the engine, from the point of view of one command.
pub trait Host {
    /// Runs a plugin's command; a late reply comes through the host's own completion.
    fn call_plugin(
        &mut self,
        command: PluginCommand,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
    ) -> CallStatus;

    /// Runs `PLUGIN ...`.
    fn administer_plugins(&mut self, argv: Argv<'_>, reply: &mut Writer) -> CallStatus;

    /// Calls `show` with name and value of each directive that matches one of the patterns.
    fn config_get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str));

    /// Sets directives, all or none.
    fn config_set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), Error>;

    /// Writes the configuration back to its file.
    fn config_rewrite(&mut self) -> Result<(), Error>;

    /// Sets the counters of INFO back to zero.
    fn reset_stats(&mut self);

    /// Appends the lines of one section of INFO that only the host knows (`name:value\r\n`).
    /// The section's name is in lower case.
    fn info(&self, section: &str, out: &mut String);

    /// Appends one line per client, as CLIENT LIST shows it (`\n` at the end of each).
    fn list_clients(&self, filter: &ClientFilter, out: &mut String);

    /// Closes clients; gives how many.
    fn kill_clients(&mut self, filter: &ClientFilter) -> usize;

    /// Microseconds since 1970, for TIME.
    fn now_us(&self) -> u64;

    /// 64 random bits.
    fn random(&mut self) -> u64;

    /// Starts to stop the process.
    fn shutdown(&mut self, force: bool) -> Result<(), Error>;

    /// Sleeps on the caller's thread: DEBUG SLEEP.
    fn sleep(&mut self, seconds: f64);
}
