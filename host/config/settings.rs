//! The configuration as the parts of the server read it: typed, with units, zero turned into
//! "none" where zero means that.
//!
//! Each call looks the directive up by name: read once and again when it changed, not per command.

use std::path::PathBuf;
use std::time::Duration;

use super::Config;
use super::collected::{Plugin, Rename, Tenant, User};
use reef_engine::notifications::Classes;

use super::limits::{BufferLimits, SavePoint};
use super::query::Caller;
use super::value::{Value, lossy, path};

/// To whom something dangerous is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To nobody.
    No,
    /// To clients on this machine.
    Local,
    /// To all.
    Yes,
}

impl Access {
    /// Whether it is open to this client.
    pub fn allows(self, caller: Caller) -> bool {
        match self {
            Self::No => false,
            Self::Local => caller == Caller::Local,
            Self::Yes => true,
        }
    }
}

/// What gives way when `maxmemory` is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// Nothing: writes are refused.
    NoEviction,
    /// Any key, the least recently used first.
    AllkeysLru,
    /// Any key, the least often used first.
    AllkeysLfu,
    /// Any key, at random.
    AllkeysRandom,
    /// Keys that expire, the least recently used first.
    VolatileLru,
    /// Keys that expire, the least often used first.
    VolatileLfu,
    /// Keys that expire, at random.
    VolatileRandom,
    /// Keys that expire, the soonest first.
    VolatileTtl,
}

/// When the log of writes is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before each reply.
    Always,
    /// Once a second.
    EverySecond,
    /// When the operating system likes.
    Never,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Rarely useful details too.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// Only what is wrong.
    Warning,
}

/// Whether a shutdown by signal writes a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownSave {
    /// If snapshots are configured.
    Default,
    /// Yes.
    Save,
    /// No.
    NoSave,
}

/// How a signal shuts the server down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Whether a snapshot is written.
    pub save: ShutdownSave,
    /// Without waiting for replicas.
    pub now: bool,
    /// Even when the snapshot fails.
    pub force: bool,
}

/// Sizes up to which values stay in their packed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Fields of a hash.
    pub hash_entries: usize,
    /// Bytes of a field or value of a hash.
    pub hash_value_bytes: usize,
    /// Elements of a list node, or, if negative, its size class: -1 is 4 kB, -5 is 64 kB.
    pub list_size: i32,
    /// Nodes at each end of a list that are not compressed; zero means no compression.
    pub list_compress_depth: u32,
    /// Members of a set of integers.
    pub set_intset_entries: usize,
    /// Members of a small set.
    pub set_entries: usize,
    /// Bytes of a member of a small set.
    pub set_value_bytes: usize,
    /// Members of a sorted set.
    pub zset_entries: usize,
    /// Bytes of a member of a sorted set.
    pub zset_value_bytes: usize,
    /// Bytes of a sparse HyperLogLog.
    pub hll_sparse_bytes: usize,
    /// Bytes of a stream node.
    pub stream_node_bytes: usize,
    /// Entries of a stream node.
    pub stream_node_entries: usize,
}

/// What one call of a plugin may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PluginBudget {
    /// Processor time.
    pub cpu: Duration,
    /// Linear memory.
    pub memory_bytes: u64,
    /// Calls of the host.
    pub host_calls: u64,
    /// Bytes that those calls carry, both ways.
    pub bytes: u64,
}

/// What lookups below rely on; the test that calls every getter proves it.
const MISMATCH: &str = "a getter names a directive of the kind that it reads";

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $read:ident($directive:literal);)*) => {
        impl Config {
            $($(#[$doc])* pub fn $name(&self) -> $type { self.$read($directive) })*
        }
        #[cfg(test)]
        impl Config {
            /// Calls every getter of the list.
            pub(super) fn read_all(&self) {
                $(let _ = self.$name();)*
            }
        }
    };
}

getters! {
    /// Addresses to listen on; a leading `-` means that its absence is no error.
    bind: Vec<String> = words("bind");
    /// The port for RESP, unless it is off.
    port: Option<u16> = number_or_none("port");
    /// How many connections may wait to be accepted.
    tcp_backlog: u32 = number("tcp-backlog");
    /// The Unix socket, if any.
    unixsocket: Option<PathBuf> = path_or_none("unixsocket");
    /// The port for RESP under TLS, unless it is off.
    tls_port: Option<u16> = number_or_none("tls-port");
    /// The server's certificates.
    tls_cert_file: Option<PathBuf> = path_or_none("tls-cert-file");
    /// Their key.
    tls_key_file: Option<PathBuf> = path_or_none("tls-key-file");
    /// Whom to trust with clients' certificates.
    tls_ca_cert_file: Option<PathBuf> = path_or_none("tls-ca-cert-file");
    /// The same, a folder.
    tls_ca_cert_dir: Option<PathBuf> = path_or_none("tls-ca-cert-dir");
    /// Whether clients show a certificate.
    tls_auth_clients: &'static str = choice("tls-auth-clients");
    /// The protocols that are offered, empty for all.
    tls_protocols: String = text("tls-protocols");
    /// After which idle time a client is disconnected.
    timeout: Option<Duration> = seconds("timeout");
    /// How often an idle connection is probed.
    tcp_keepalive: Option<Duration> = seconds("tcp-keepalive");
    /// Whether a server without password serves this machine only.
    protected_mode: bool = boolean("protected-mode");
    /// Who may change protected directives.
    enable_protected_configs: Access = access("enable-protected-configs");
    /// Who may use `DEBUG`.
    enable_debug_command: Access = access("enable-debug-command");
    /// Clients at a time.
    maxclients: u32 = number("maxclients");
    /// Bytes that a client may have sent without a whole command.
    client_query_buffer_limit_bytes: u64 = memory("client-query-buffer-limit");
    /// Bytes of the longest argument.
    proto_max_bulk_len_bytes: u64 = memory("proto-max-bulk-len");
    /// Keys that client-side caching remembers; zero means no limit.
    tracking_table_max_keys: usize = number("tracking-table-max-keys");
    /// Where the process writes its number.
    pidfile: Option<PathBuf> = path_or_none("pidfile");
    /// Where the log goes, unless to standard output.
    logfile: Option<PathBuf> = path_or_none("logfile");
    /// The number of databases.
    databases: u32 = number("databases");
    /// Background steps per second.
    hz: u32 = number("hz");
    /// How long a shutdown waits for replicas.
    shutdown_timeout: Option<Duration> = seconds("shutdown-timeout");
    /// What SIGINT does.
    shutdown_on_sigint: Shutdown = shutdown("shutdown-on-sigint");
    /// What SIGTERM does.
    shutdown_on_sigterm: Shutdown = shutdown("shutdown-on-sigterm");
    /// Whether writes are refused after a snapshot failed.
    stop_writes_on_bgsave_error: bool = boolean("stop-writes-on-bgsave-error");
    /// The name of the snapshot within `dir`.
    dbfilename: String = text("dbfilename");
    /// Whether snapshots are compressed.
    rdbcompression: bool = boolean("rdbcompression");
    /// How slowly keys are saved.
    rdb_key_save_delay_us: i32 = number("rdb-key-save-delay");
    /// How slowly keys are loaded.
    key_load_delay_us: i32 = number("key-load-delay");
    /// The working folder, absolute.
    dir: PathBuf = path_of("dir");
    /// Whether writes are logged.
    appendonly: bool = boolean("appendonly");
    /// The first part of the names of the log's files.
    appendfilename: String = text("appendfilename");
    /// The folder of the log within `dir`.
    appenddirname: String = text("appenddirname");
    /// Whether the log is not made durable while it is rewritten.
    no_appendfsync_on_rewrite: bool = boolean("no-appendfsync-on-rewrite");
    /// At which growth in percent the log is rewritten; zero means never.
    auto_aof_rewrite_percentage: u32 = number("auto-aof-rewrite-percentage");
    /// Below which size the log is not rewritten.
    auto_aof_rewrite_min_size_bytes: u64 = memory("auto-aof-rewrite-min-size");
    /// Whether a log whose end is cut off loads.
    aof_load_truncated: bool = boolean("aof-load-truncated");
    /// Whether a rewritten log starts with a snapshot.
    aof_use_rdb_preamble: bool = boolean("aof-use-rdb-preamble");
    /// Whether the log tells the time.
    aof_timestamp_enabled: bool = boolean("aof-timestamp-enabled");
    /// Whether old files of the log are kept.
    aof_disable_auto_gc: bool = boolean("aof-disable-auto-gc");
    /// Which versions of snapshots are read: `strict` or `relaxed`.
    rdb_version_check: &'static str = choice("rdb-version-check");
    /// The password for the primary, empty for none.
    masterauth: Vec<u8> = raw("masterauth");
    /// The user name for the primary, empty for none.
    masteruser: Vec<u8> = raw("masteruser");
    /// Whether a replica that lost its primary answers.
    replica_serve_stale_data: bool = boolean("replica-serve-stale-data");
    /// Whether a replica refuses writes of clients.
    replica_read_only: bool = boolean("replica-read-only");
    /// Which replica to promote: the lowest first, zero never.
    replica_priority: u32 = number("replica-priority");
    /// Whether `ROLE` and the like tell of this replica.
    replica_announced: bool = boolean("replica-announced");
    /// The address that a replica tells, empty for its own.
    replica_announce_ip: String = text("replica-announce-ip");
    /// The port that a replica tells.
    replica_announce_port: Option<u16> = number_or_none("replica-announce-port");
    /// Whether a replica leaves eviction to its primary.
    replica_ignore_maxmemory: bool = boolean("replica-ignore-maxmemory");
    /// Whether a replica goes on when it cannot write its log.
    replica_ignore_disk_write_errors: bool = boolean("replica-ignore-disk-write-errors");
    /// Whether replicas are sent snapshots without a file between.
    repl_diskless_sync: bool = boolean("repl-diskless-sync");
    /// How long such a snapshot waits for more replicas.
    repl_diskless_sync_delay: Option<Duration> = seconds("repl-diskless-sync-delay");
    /// With how many it waits no longer.
    repl_diskless_sync_max_replicas: u32 = number("repl-diskless-sync-max-replicas");
    /// How often a primary pings its replicas.
    repl_ping_replica_period: Option<Duration> = seconds("repl-ping-replica-period");
    /// After which silence replication is broken off.
    repl_timeout: Option<Duration> = seconds("repl-timeout");
    /// How much of the replication stream is kept.
    repl_backlog_size_bytes: u64 = memory("repl-backlog-size");
    /// How long it is kept without replicas.
    repl_backlog_ttl: Option<Duration> = seconds("repl-backlog-ttl");
    /// Good replicas without which writes are refused.
    min_replicas_to_write: u32 = number("min-replicas-to-write");
    /// The lag up to which a replica is good.
    min_replicas_max_lag: Option<Duration> = seconds("min-replicas-max-lag");
    /// The password of the default user, empty for none.
    requirepass: Vec<u8> = raw("requirepass");
    /// The file of users.
    aclfile: Option<PathBuf> = path_or_none("aclfile");
    /// Refusals that `ACL LOG` remembers.
    acllog_max_len: usize = number("acllog-max-len");
    /// Bytes that data may use; zero means no limit.
    maxmemory_bytes: u64 = memory("maxmemory");
    /// Keys that eviction looks at to choose one.
    maxmemory_samples: u32 = number("maxmemory-samples");
    /// How hard eviction works, 0 to 100.
    maxmemory_eviction_tenacity: u32 = number("maxmemory-eviction-tenacity");
    /// How slowly the use count of a key saturates.
    lfu_log_factor: u32 = number("lfu-log-factor");
    /// Minutes after which the use count of a key falls.
    lfu_decay_time_min: u32 = number("lfu-decay-time");
    /// Whether an evicted value is freed in the background.
    lazyfree_lazy_eviction: bool = boolean("lazyfree-lazy-eviction");
    /// Whether an expired value is freed in the background.
    lazyfree_lazy_expire: bool = boolean("lazyfree-lazy-expire");
    /// Whether an overwritten value is freed in the background.
    lazyfree_lazy_server_del: bool = boolean("lazyfree-lazy-server-del");
    /// Whether `DEL` frees in the background.
    lazyfree_lazy_user_del: bool = boolean("lazyfree-lazy-user-del");
    /// Whether `FLUSHALL` frees in the background unless told.
    lazyfree_lazy_user_flush: bool = boolean("lazyfree-lazy-user-flush");
    /// Microseconds from which a command is slow; negative means that none is logged.
    slowlog_log_slower_than_us: i64 = number("slowlog-log-slower-than");
    /// Slow commands that are remembered.
    slowlog_max_len: usize = number("slowlog-max-len");
    /// Bytes from which a request is large; negative means that none is logged.
    commandlog_request_larger_than_bytes: i64 = number("commandlog-request-larger-than");
    /// Large requests that are remembered.
    commandlog_large_request_max_len: usize = number("commandlog-large-request-max-len");
    /// Bytes from which a reply is large; negative means that none is logged.
    commandlog_reply_larger_than_bytes: i64 = number("commandlog-reply-larger-than");
    /// Large replies that are remembered.
    commandlog_large_reply_max_len: usize = number("commandlog-large-reply-max-len");
    /// Milliseconds from which an event is slow; zero means none is.
    latency_monitor_threshold_ms: u64 = number("latency-monitor-threshold");
    /// Whether the latencies of commands are counted.
    latency_tracking: bool = boolean("latency-tracking");
    /// After how many milliseconds a script may be interrupted.
    busy_reply_threshold_ms: u64 = number("busy-reply-threshold");
    /// Workers that serve clients.
    io_threads: usize = number("io-threads");
    /// Parts of the keyspace, a power of two.
    shards: usize = number("shards");
    /// The port where commands are taken over HTTP, unless it is off.
    http_port: Option<u16> = number_or_none("http-port");
    /// The origins of web pages that may send some, with blanks between.
    http_origins: String = text("http-origins");
    /// A folder whose components are loaded.
    plugin_dir: Option<PathBuf> = path_or_none("plugin-dir");
}

impl Config {
    /// The mode of the Unix socket, unless the default of the process applies.
    pub fn unixsocketperm(&self) -> Option<u32> {
        match self.value("unixsocketperm") {
            Some(Value::Octal(mode)) => u32::try_from(*mode).ok().filter(|&mode| mode != 0),
            _ => unreachable!("{MISMATCH}: unixsocketperm"),
        }
    }

    /// Limits of the output buffers.
    pub fn client_output_buffer_limits(&self) -> BufferLimits {
        match self.value("client-output-buffer-limit") {
            Some(Value::BufferLimits(limits)) => *limits,
            _ => unreachable!("{MISMATCH}: client-output-buffer-limit"),
        }
    }

    /// Bytes that the buffers of all clients may use together; zero means no limit. A share is one
    /// of `maxmemory`, and without that no limit.
    pub fn maxmemory_clients_bytes(&self) -> u64 {
        match self.value("maxmemory-clients") {
            Some(Value::Bytes(bytes)) => *bytes,
            Some(Value::Percent(share)) => {
                let bytes = u128::from(self.maxmemory_bytes()) * u128::from(*share) / 100;
                u64::try_from(bytes).unwrap_or(u64::MAX)
            }
            _ => unreachable!("{MISMATCH}: maxmemory-clients"),
        }
    }

    /// When snapshots are written.
    pub fn save_points(&self) -> &[SavePoint] {
        match self.value("save") {
            Some(Value::Save(points)) => points,
            _ => unreachable!("{MISMATCH}: save"),
        }
    }

    /// Which keyspace events are published.
    pub fn notify_keyspace_events(&self) -> Classes {
        match self.value("notify-keyspace-events") {
            Some(Value::Events(events)) => *events,
            _ => unreachable!("{MISMATCH}: notify-keyspace-events"),
        }
    }

    /// Host and port of the primary.
    pub fn replicaof(&self) -> Option<(String, u16)> {
        match self.value("replicaof") {
            Some(Value::Primary(Some((host, port)))) => Some((lossy(host), *port)),
            _ => None,
        }
    }

    /// Percentiles that `INFO latencystats` shows.
    pub fn latency_tracking_info_percentiles(&self) -> &[f64] {
        match self.value("latency-tracking-info-percentiles") {
            Some(Value::Percentiles(list)) => list,
            _ => unreachable!("{MISMATCH}: latency-tracking-info-percentiles"),
        }
    }

    /// Whether a new user may use all channels.
    pub fn acl_pubsub_default_all(&self) -> bool {
        self.choice("acl-pubsub-default") == "allchannels"
    }

    /// What gives way when `maxmemory` is reached.
    pub fn maxmemory_policy(&self) -> Eviction {
        match self.choice("maxmemory-policy") {
            "allkeys-lru" => Eviction::AllkeysLru,
            "allkeys-lfu" => Eviction::AllkeysLfu,
            "allkeys-random" => Eviction::AllkeysRandom,
            "volatile-lru" => Eviction::VolatileLru,
            "volatile-lfu" => Eviction::VolatileLfu,
            "volatile-random" => Eviction::VolatileRandom,
            "volatile-ttl" => Eviction::VolatileTtl,
            _ => Eviction::NoEviction,
        }
    }

    /// When the log of writes is made durable.
    pub fn appendfsync(&self) -> Fsync {
        match self.choice("appendfsync") {
            "always" => Fsync::Always,
            "no" => Fsync::Never,
            _ => Fsync::EverySecond,
        }
    }

    /// How much is logged.
    pub fn loglevel(&self) -> LogLevel {
        match self.choice("loglevel") {
            "debug" => LogLevel::Debug,
            "verbose" => LogLevel::Verbose,
            "warning" => LogLevel::Warning,
            _ => LogLevel::Notice,
        }
    }

    /// Sizes up to which values stay packed.
    pub fn packing(&self) -> Packing {
        let bytes = |name| usize::try_from(self.memory(name)).unwrap_or(usize::MAX);
        Packing {
            hash_entries: self.number("hash-max-listpack-entries"),
            hash_value_bytes: bytes("hash-max-listpack-value"),
            list_size: self.number("list-max-listpack-size"),
            list_compress_depth: self.number("list-compress-depth"),
            set_intset_entries: self.number("set-max-intset-entries"),
            set_entries: self.number("set-max-listpack-entries"),
            set_value_bytes: self.number("set-max-listpack-value"),
            zset_entries: self.number("zset-max-listpack-entries"),
            zset_value_bytes: bytes("zset-max-listpack-value"),
            hll_sparse_bytes: bytes("hll-sparse-max-bytes"),
            stream_node_bytes: bytes("stream-node-max-bytes"),
            stream_node_entries: self.number("stream-node-max-entries"),
        }
    }

    /// The engine of another server to use instead of the one in this process.
    pub fn engine_url(&self) -> Option<String> {
        Some(self.text("engine")).filter(|url| !url.is_empty())
    }

    /// What one call of a plugin may use.
    pub fn plugin_budget(&self) -> PluginBudget {
        PluginBudget {
            cpu: Duration::from_millis(self.number("plugin-cpu-ms")),
            memory_bytes: self.memory("plugin-memory"),
            host_calls: self.number("plugin-host-calls"),
            bytes: self.memory("plugin-bytes"),
        }
    }

    /// Plugins to load, in order.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// Tenants to create, in order.
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The files of the pipelines to run.
    pub fn pipelines(&self) -> &[PathBuf] {
        &self.pipelines
    }

    /// Users to create, in order.
    pub fn users(&self) -> &[User] {
        &self.users
    }

    /// Commands to rename, in order.
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    fn boolean(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Bool(value)) => *value,
            _ => unreachable!("{MISMATCH}: {name}"),
        }
    }

    fn number<N: TryFrom<i64>>(&self, name: &str) -> N {
        match self.value(name) {
            Some(Value::Integer(value)) => {
                N::try_from(*value).ok().expect("the bounds in the table fit the type")
            }
            _ => unreachable!("{MISMATCH}: {name}"),
        }
    }

    fn number_or_none(&self, name: &str) -> Option<u16> {
        Some(self.number(name)).filter(|&number| number != 0)
    }

    fn seconds(&self, name: &str) -> Option<Duration> {
        Some(self.number(name)).filter(|&seconds| seconds != 0).map(Duration::from_secs)
    }

    fn memory(&self, name: &str) -> u64 {
        match self.value(name) {
            Some(Value::Bytes(bytes)) => *bytes,
            _ => unreachable!("{MISMATCH}: {name}"),
        }
    }

    fn choice(&self, name: &str) -> &'static str {
        match self.value(name) {
            Some(Value::Choice(word)) => word,
            _ => unreachable!("{MISMATCH}: {name}"),
        }
    }

    fn access(&self, name: &str) -> Access {
        match self.choice(name) {
            "yes" => Access::Yes,
            "local" => Access::Local,
            _ => Access::No,
        }
    }

    fn shutdown(&self, name: &str) -> Shutdown {
        let Some(Value::Switches(words)) = self.value(name) else {
            unreachable!("{MISMATCH}: {name}")
        };
        let save = match (words.contains(&"save"), words.contains(&"nosave")) {
            (true, _) => ShutdownSave::Save,
            (_, true) => ShutdownSave::NoSave,
            _ => ShutdownSave::Default,
        };
        Shutdown { save, now: words.contains(&"now"), force: words.contains(&"force") }
    }

    fn bytes_of(&self, name: &str) -> &[u8] {
        match self.value(name) {
            Some(Value::Text(text)) => text,
            _ => unreachable!("{MISMATCH}: {name}"),
        }
    }

    fn raw(&self, name: &str) -> Vec<u8> {
        self.bytes_of(name).to_vec()
    }

    fn text(&self, name: &str) -> String {
        lossy(self.bytes_of(name))
    }

    fn path_of(&self, name: &str) -> PathBuf {
        path(self.bytes_of(name))
    }

    fn path_or_none(&self, name: &str) -> Option<PathBuf> {
        Some(self.path_of(name)).filter(|path| !path.as_os_str().is_empty())
    }

    fn words(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::Words(words)) => words.iter().map(|word| lossy(word)).collect(),
            _ => unreachable!("{MISMATCH}: {name}"),
        }
    }
}
