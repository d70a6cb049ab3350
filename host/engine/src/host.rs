//! What a command may ask of the process around the engine.
//!
//! Commands such as CLIENT LIST, CONFIG SET and INFO are declared and spoken in the engine like
//! all others, but know things that only the host has. It answers through this trait; the engine
//! stays free of clocks, sockets and threads.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::DerefMut;

use reef_resp::{Argv, Writer};

use crate::acl::{Account, Directory};
use crate::backend::{CallStatus, Caller, PluginCommand};
pub use crate::client_info::ClientFilter;
use crate::client_info::ClientInfo;
use crate::clock::Millis;
use crate::effects::Effects;
use crate::error::Error;
use crate::gates::Pause;
use crate::keyspace::{Database, Keyspace};
use crate::latencies::Latencies;
use crate::migration::Migration;
use crate::pubsub::{Send, Subscriptions};
use crate::registry::CommandRef;
use crate::replication::Replication;
use crate::slow_log::{Excess, SlowLog};
use crate::tracking::Tracking;
use crate::types::histogram::Histogram;
use crate::waiters::Waiter;

/// How SHUTDOWN wants the process to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// `SAVE` or `NOSAVE`; without either, as the save points say.
    pub save: Option<bool>,
    /// `NOW`: does not wait for replicas.
    pub now: bool,
    /// `FORCE`: stops although saving failed.
    pub force: bool,
}

/// What is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// A snapshot, and the client waits for it.
    Now,
    /// A snapshot.
    Background {
        /// Whether it comes after what is being saved already.
        may_wait: bool,
        /// Whether it comes later in any case, because EXEC runs.
        waits: bool,
    },
    /// A new base of the append-only log, after what is being saved already.
    Log {
        /// Whether it comes later in any case, because EXEC runs.
        waits: bool,
    },
}

/// Where data that is to be loaded again comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The snapshot, after one was made if `saves`; the data goes first if `flushes`.
    Snapshot {
        /// Whether a snapshot is made first.
        saves: bool,
        /// Whether the data goes first.
        flushes: bool,
        /// Whether what is loaded takes the place of keys that are there.
        merges: bool,
    },
    /// The append-only log.
    Log,
}

/// What the shards know of all data.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataFigures {
    /// Bytes that it occupies, tables included.
    pub bytes: u64,
    /// How often it changed so far.
    pub changes: u64,
}

/// The users for as long as this is held; nobody else sees or changes them meanwhile.
pub type Users<'a> = Box<dyn DerefMut<Target = Directory> + 'a>;

/// The process around the engine, from the point of view of one command.
pub trait Host {
    /// Runs a plugin's command, with no shard held; a late reply comes by the host's own ways, and so
    /// does what becomes of a call that parks.
    fn call_plugin(
        &mut self,
        command: &CommandRef,
        plugin: PluginCommand,
        caller: &Caller,
        argv: Argv<'_>,
        reply: &mut Writer,
    ) -> CallStatus;

    /// Lets a parked call go on because this key was written: to be run by who serves it, when no
    /// shard is held any more.
    fn wake(&mut self, _waiter: &Waiter, _key: &[u8]) {}

    /// Runs `PLUGIN ...`.
    fn administer_plugins(&mut self, argv: Argv<'_>, reply: &mut Writer) -> CallStatus;

    /// Runs `TENANT ...`.
    fn administer_tenants(&mut self, _argv: Argv<'_>, _reply: &mut Writer) -> Result<(), Error> {
        Err(Error::NO_TENANTS)
    }

    /// A user of a tenant, if the password is right: `tenant` for its user `default`, or
    /// `tenant/user`. The client that asks belongs to the tenant after this command. An error says
    /// why the tenant does not take it: also because it `is_tied` to where it is.
    fn enter_tenant(
        &mut self,
        _name: &[u8],
        _password: &[u8],
        _is_tied: bool,
    ) -> Result<Option<Arc<Account>>, Error> {
        Ok(None)
    }

    /// Calls `show` with name and value of each directive that matches one of the patterns.
    fn config_get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str));

    /// Sets directives, all or none.
    fn config_set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), Error>;

    /// Writes the configuration back to its file.
    fn config_rewrite(&mut self) -> Result<(), Error>;

    /// Sets the counters of INFO back to zero.
    fn reset_stats(&mut self);

    /// Appends what only the host knows of a section of INFO: lines `name:value\r\n`, in any order
    /// (INFO sorts them as Redis does and puts names that Redis does not have last). Names are
    /// Redis's own. The section is one of these, in lower case, and the host knows:
    ///
    /// - `server`: `reef_version os arch_bits monotonic_clock multiplexing_api process_id
    ///   process_supervised run_id tcp_port server_time_usec uptime_in_seconds uptime_in_days hz
    ///   configured_hz lru_clock executable config_file io_threads_active`
    /// - `clients`: `connected_clients maxclients client_recent_max_input_buffer
    ///   client_recent_max_output_buffer blocked_clients tracking_clients`
    /// - `memory`: `used_memory used_memory_rss used_memory_peak used_memory_startup
    ///   total_system_memory maxmemory maxmemory_policy mem_replication_backlog
    ///   mem_clients_slaves mem_clients_normal mem_aof_buffer mem_allocator`. From bytes INFO
    ///   makes `..._human`, percentages and ratios by itself.
    /// - `persistence`: `loading rdb_changes_since_last_save rdb_bgsave_in_progress
    ///   rdb_last_save_time rdb_last_bgsave_status rdb_last_bgsave_time_sec
    ///   rdb_current_bgsave_time_sec rdb_saves rdb_last_load_keys_expired
    ///   rdb_last_load_keys_loaded aof_enabled aof_rewrite_in_progress aof_rewrite_scheduled
    ///   aof_last_rewrite_time_sec aof_current_rewrite_time_sec aof_last_bgrewrite_status
    ///   aof_rewrites aof_last_write_status`, with `appendonly yes` also `aof_current_size
    ///   aof_base_size aof_pending_rewrite aof_buffer_length aof_delayed_fsync`
    /// - `stats`: `total_connections_received total_commands_processed instantaneous_ops_per_sec
    ///   total_net_input_bytes total_net_output_bytes total_net_repl_input_bytes
    ///   total_net_repl_output_bytes instantaneous_input_kbps instantaneous_output_kbps
    ///   rejected_connections sync_full sync_partial_ok sync_partial_err evicted_clients
    ///   pubsub_channels pubsub_patterns pubsubshard_channels tracking_total_keys
    ///   tracking_total_items tracking_total_prefixes latest_fork_usec total_forks
    ///   unexpected_error_replies total_error_replies total_reads_processed
    ///   total_writes_processed acl_access_denied_auth acl_access_denied_cmd
    ///   acl_access_denied_key acl_access_denied_channel`
    /// - `replication`: `role connected_slaves master_failover_state master_replid master_replid2
    ///   master_repl_offset second_repl_offset repl_backlog_active repl_backlog_size
    ///   repl_backlog_first_byte_offset repl_backlog_histlen`, `slave0:ip=...` and so on; on a
    ///   replica `master_host master_port master_link_status ...`
    /// - `cpu`: `used_cpu_sys used_cpu_user used_cpu_sys_children used_cpu_user_children
    ///   used_cpu_sys_main_thread used_cpu_user_main_thread`
    /// - `modules`: nothing; plugins tell of themselves in `plugins`
    /// - `plugins`: what [`Extension::info`](crate::backend::Extension::info) tells
    /// - `commandstats`: `cmdstat_get:calls=1,usec=2,usec_per_call=2.00,rejected_calls=0,
    ///   failed_calls=0` for every command that was called, in order
    ///   ([`Registry::by_id`](crate::registry::Registry::by_id) knows the name)
    /// - `errorstats`: `errorstat_WRONGTYPE:count=1`, sorted by the error's first word
    /// - `latencystats`: `latency_percentiles_usec_get:p50=1.003,p99=2.007,p99.9=2.007`
    ///
    /// The rest (`cluster`, `keyspace`, hits, misses, expired keys, the size of the data) the engine
    /// counts itself. All shards are held meanwhile, so the host must not ask for them; the bytes that
    /// the data occupies, tables included, and how often it changed are in `data`.
    fn info(&self, section: &str, data: DataFigures, out: &mut String);

    /// Calls `show` with every client that passes the filter, the oldest first. Of the caller the
    /// session's own values are shown, however old the host's are.
    fn list_clients(&self, filter: &ClientFilter, show: &mut dyn FnMut(ClientInfo));

    /// Closes clients; gives how many. The caller's own connection closes after the reply.
    fn kill_clients(&mut self, filter: &ClientFilter) -> usize;

    /// Who serves the connection of the client that asks: kept with a waiter, so that it is found
    /// again.
    fn home(&self) -> u32 {
        0
    }

    /// Whether the client that asks has hung up meanwhile. Asked before a command that takes what
    /// others wait for: what is given to a client that has gone is lost.
    fn has_hung_up(&mut self) -> bool {
        false
    }

    /// Whether a waiter's connection still stands. Asked before an element is given to it.
    fn is_connected(&mut self, waiter: &Waiter) -> bool;

    /// Sends a waiter its reply (RESP, in its protocol): it waits no longer.
    fn deliver(&mut self, waiter: &Waiter, reply: Vec<u8>);

    /// Counts in that a step takes so many bytes more than its shards did when it began, in place of what
    /// was counted for it before. Whether all data takes no more than `most` then; if not, nothing is
    /// counted for it. Asked for data with a [quota](crate::settings::Settings::memory_quota) only.
    fn may_grow(&mut self, _growth: usize, _most: usize) -> bool {
        true
    }

    /// The step has ended, and its growth is known: what [`Self::may_grow`] counted for it counts no more.
    fn end_growth(&mut self) {}

    /// Lets `act` see and change who is subscribed, and send what follows. Whoever implements it may
    /// hold a lock meanwhile: `act` asks the host for nothing else.
    fn subscriptions(&mut self, act: &mut dyn FnMut(&mut Subscriptions, &mut Send<'_>));

    /// The same for who caches what.
    fn tracking(&mut self, act: &mut dyn FnMut(&mut Tracking, &mut Send<'_>));

    /// Who serves a client, if it is connected.
    fn home_of(&self, _client: u64) -> Option<u32> {
        None
    }

    /// Makes a client that waits go on, as if it had timed out or with an error. Whether it waited.
    fn unblock_client(&mut self, _id: u64, _with_error: bool) -> bool {
        false
    }

    /// One client as CLIENT LIST shows it.
    fn client(&self, id: u64) -> Option<ClientInfo> {
        let mut found = None;
        self.list_clients(&ClientFilter::only(id), &mut |client| found = Some(client));
        found
    }

    /// All users and the log of refusals. To be held for a moment only.
    fn users(&mut self) -> Users<'_>;

    /// The name and the content of the file of users (`aclfile`).
    fn read_users(&mut self) -> Result<(String, Vec<u8>), Error> {
        Err(Error::NO_ACL_FILE)
    }

    /// Puts this content in the place of the file of users, as a whole or not at all.
    fn write_users(&mut self, _content: &[u8]) -> Result<(), Error> {
        Err(Error::NO_ACL_FILE)
    }

    /// Fills the place with random bytes that nobody can guess: for passwords.
    fn secret(&mut self, place: &mut [u8]) -> Result<(), Error>;

    /// Is told of each command that EXEC ran, with which error it failed, and how many bytes its reply
    /// has, for statistics and MONITOR.
    fn ran_in_transaction(
        &mut self,
        _database: u32,
        _command: &CommandRef,
        _argv: Argv<'_>,
        _outcome: (Option<&[u8]>, usize),
    ) {
    }

    /// Lets `act` see and change a log of commands that were slow, or large.
    fn command_log(&mut self, _of: Excess, _act: &mut dyn FnMut(&mut SlowLog)) {}

    /// Lets `act` see and change the latencies of events.
    fn latencies(&mut self, _act: &mut dyn FnMut(&mut Latencies)) {}

    /// Calls `show` with the index in the command table of each command that was called, and how
    /// long its calls took.
    fn histograms(&self, _show: &mut dyn FnMut(u16, &Histogram)) {}

    /// Lets commands wait until then, unless others wait longer already.
    fn pause(&mut self, _until: Millis, _what: Pause) {}

    /// Ends the pause.
    fn resume(&mut self) {}

    /// Microseconds since 1970, for TIME.
    fn now_us(&self) -> u64;

    /// 64 random bits.
    fn random(&mut self) -> u64;

    /// Starts to stop the process, saving first if that is wanted. The client hears of it if that
    /// fails, and otherwise by the end of its connection.
    fn shutdown(&mut self, how: Shutdown) -> Result<CallStatus, Error>;

    /// All databases have been emptied: what is being saved is of no use any more.
    fn all_flushed(&mut self) {}

    /// Calls off a shutdown that still waits. Whether there was one.
    fn abort_shutdown(&mut self) -> bool {
        false
    }

    /// Saves the data; says so in the reply, or later.
    fn save(&mut self, _what: Saving, _reply: &mut Writer) -> Result<CallStatus, Error> {
        Err(Error::NOTHING_KEPT)
    }

    /// Moves keys to another server; the client hears when that is done.
    fn migrate(&mut self, _migration: Migration) -> Result<CallStatus, Error> {
        Err(Error::MIGRATE_NOT_SENT)
    }

    /// Replication, for the client that asks.
    fn replication(&mut self) -> Option<&mut dyn Replication> {
        None
    }

    /// When the last snapshot was complete.
    fn saved_at(&self) -> Millis {
        Millis::default()
    }

    /// Loads the data again, with all shards held.
    fn reload(&mut self, _keys: &mut Keyspace<'_>, _from: Reload) -> Result<(), Error> {
        Err(Error::NOTHING_KEPT)
    }

    /// Takes the effects of a step, in the order in which they happened, while the shards are held
    /// that they are about. What follows from them is sent to clients afterwards.
    fn propagate(&mut self, _effects: &mut Effects) {}

    /// The same for a step whose only effect is its command word for word: `frame`, to be run in
    /// `database`, and never taken back. `false`: not in this way, it comes with
    /// [`propagate`](Self::propagate).
    fn propagate_command(&mut self, _database: u32, _frame: &[u8]) -> bool {
        false
    }

    /// Whether keys are removed as soon as they are due, and not only when somebody meets them:
    /// DEBUG SET-ACTIVE-EXPIRE.
    fn set_active_expiry(&mut self, on: bool);

    /// Takes databases that a flush emptied: ending them may take long. `asked` tells whether the
    /// client or the configuration wants that to happen elsewhere, so that it counts as such.
    fn discard(&mut self, databases: Vec<Database>, _asked: bool) {
        drop(databases);
    }

    /// Sleeps on the caller's thread: DEBUG SLEEP.
    fn sleep(&mut self, seconds: f64);
}
