//! Directives put into effect: what each part of Reef gets out of the configuration.

use std::path::PathBuf;

use parking_lot::Mutex;
use reef_engine::acl;
use reef_engine::error::Error;
use reef_engine::keyspace::{Lfu, Policy};
use reef_engine::settings::{Eviction, Lazy, Settings, SizeLogLimits, SlowLogLimits};
use reef_engine::tenancy::Quota;
use reef_engine::types::limits::Limits;
use reef_server::{
    ClientCertificates, Configuration, Options, OutputLimit, OutputLimits, Pace,
    PersistenceOptions, ReplicationOptions, TenantTerms, TlsOptions,
};

use crate::config::{Access, BufferLimit, Caller, Config, Fsync, Tenant};

/// The configuration behind CONFIG GET and CONFIG SET.
pub(crate) struct Directives(Mutex<Config>);

impl Directives {
    pub(crate) fn new(config: Config) -> Self {
        Self(Mutex::new(config))
    }
}

impl Configuration for Directives {
    fn get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str)) {
        for (name, value) in self.0.lock().get(patterns) {
            show(&name, &String::from_utf8_lossy(&value));
        }
    }

    fn set(
        &self,
        pairs: &[(&[u8], &[u8])],
        apply: &mut dyn FnMut(Settings, Options) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut config = self.0.lock();
        let mut changed = config.clone();
        changed.set(pairs, Caller::Local).map_err(|error| Error::Owned(error.reply()))?;
        apply(settings(&changed), options(&changed))?;
        *config = changed;
        Ok(())
    }

    fn note_primary(&self, primary: Option<&(String, u16)>) {
        let primary = primary.map(|(host, port)| (host.clone().into_bytes(), *port));
        self.0.lock().set_primary(primary);
    }

    fn rewrite(&self, users: &[String]) -> Result<(), String> {
        let config = self.0.lock();
        // Users that stand in a file of their own do not stand here.
        let users = if config.aclfile().is_some() { &[] } else { users };
        config.rewrite_file(Some(users)).map_err(|error| error.reply())
    }
}

/// How many parts the keyspace has: one worker alone gains nothing from several.
pub(crate) fn shards(config: &Config) -> usize {
    if config.io_threads() == 1 { 1 } else { config.shards() }
}

/// What the engine acts on.
pub(crate) fn settings(config: &Config) -> Settings {
    Settings {
        databases: config.databases(),
        string_bytes_max: usize::try_from(config.proto_max_bulk_len_bytes()).unwrap_or(usize::MAX),
        password: config.requirepass().into_boxed_slice(),
        users: acl::Policy {
            all_channels: config.acl_pubsub_default_all(),
            log_entries_max: config.acllog_max_len(),
        },
        debug_commands: config.enable_debug_command() != Access::No,
        notify: config.notify_keyspace_events(),
        tracked_keys_max: config.tracking_table_max_keys(),
        lfu: policy(config).is_lfu().then(|| Lfu {
            log_factor: config.lfu_log_factor(),
            decay_minutes: config.lfu_decay_time_min(),
        }),
        eviction: eviction(config),
        // Of tenants, each its own.
        memory_quota: None,
        lazy: Lazy {
            eviction: config.lazyfree_lazy_eviction(),
            expire: config.lazyfree_lazy_expire(),
            server_del: config.lazyfree_lazy_server_del(),
            user_del: config.lazyfree_lazy_user_del(),
            user_flush: config.lazyfree_lazy_user_flush(),
        },
        slow_log: SlowLogLimits {
            threshold_us: config.slowlog_log_slower_than_us(),
            entries_max: config.slowlog_max_len(),
            requests: SizeLogLimits {
                threshold_bytes: config.commandlog_request_larger_than_bytes(),
                entries_max: config.commandlog_large_request_max_len(),
            },
            replies: SizeLogLimits {
                threshold_bytes: config.commandlog_reply_larger_than_bytes(),
                entries_max: config.commandlog_large_reply_max_len(),
            },
        },
        latency_threshold_ms: config.latency_monitor_threshold_ms(),
        limits: limits(config),
    }
}

/// When and how keys give way to others.
fn eviction(config: &Config) -> Eviction {
    Eviction {
        bytes_max: usize::try_from(config.maxmemory_bytes()).unwrap_or(usize::MAX),
        policy: policy(config),
        samples: config.maxmemory_samples() as usize,
        tenacity: config.maxmemory_eviction_tenacity(),
    }
}

fn policy(config: &Config) -> Policy {
    Policy::parse(&policy_name(config)).unwrap_or_default()
}

/// How large packed collections may become.
fn limits(config: &Config) -> Limits {
    let packing = config.packing();
    Limits {
        hash_entries_max: packing.hash_entries,
        hash_value_bytes_max: packing.hash_value_bytes,
        list_node_size: i64::from(packing.list_size),
        set_integers_max: packing.set_intset_entries,
        set_entries_max: packing.set_entries,
        set_value_bytes_max: packing.set_value_bytes,
        sorted_set_entries_max: packing.zset_entries,
        sorted_set_value_bytes_max: packing.zset_value_bytes,
        hyperloglog_sparse_bytes_max: packing.hll_sparse_bytes,
        stream_node_bytes_max: packing.stream_node_bytes,
        stream_node_entries_max: packing.stream_node_entries,
    }
}

/// The door for browsers, if there is to be one.
pub(crate) fn http(config: &Config) -> Option<reef_http::Settings> {
    Some(reef_http::Settings {
        bind: config.bind(),
        port: config.http_port()?,
        origins: config.http_origins().split_whitespace().map(str::to_owned).collect(),
        backlog: i32::try_from(config.tcp_backlog()).unwrap_or(i32::MAX),
        keepalive_s: config.tcp_keepalive().map_or(0, |time| time.as_secs()),
        connections_max: config.maxclients() as usize,
    })
}

/// What the server acts on.
pub(crate) fn options(config: &Config) -> Options {
    let seconds = |duration: Option<std::time::Duration>| duration.map_or(0, |d| d.as_secs());
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Options {
        bind: config.bind(),
        port: config.port().unwrap_or(0),
        port_any: false,
        unix_socket: config.unixsocket(),
        unix_socket_permissions: config.unixsocketperm().unwrap_or(0),
        backlog: i32::try_from(config.tcp_backlog()).unwrap_or(i32::MAX),
        workers: config.io_threads(),
        clients_max: u64::from(config.maxclients()),
        timeout_s: seconds(config.timeout()),
        keepalive_s: seconds(config.tcp_keepalive()),
        query_buffer_bytes_max: bytes(config.client_query_buffer_limit_bytes()),
        output_limits: output_limits(config),
        client_bytes_max: bytes(config.maxmemory_clients_bytes()),
        latency_tracking: config.latency_tracking(),
        latency_percentiles: config.latency_tracking_info_percentiles().to_vec(),
        memory_bytes_max: bytes(config.maxmemory_bytes()),
        memory_policy: policy_name(config),
        tls: tls(config),
        users_file: users_file(config),
        protected_mode: config.protected_mode(),
        config_file: config.file().map(|file| file.display().to_string()).unwrap_or_default(),
        hz: config.hz(),
        persistence: persistence(config),
        replication: replication(config),
    }
}

/// Who copies whom.
fn replication(config: &Config) -> ReplicationOptions {
    let seconds = |duration: Option<std::time::Duration>| duration.map_or(0, |d| d.as_secs());
    ReplicationOptions {
        primary: config.replicaof(),
        user: String::from_utf8_lossy(&config.masteruser()).into_owned(),
        password: config.masterauth(),
        is_readonly: config.replica_read_only(),
        serves_stale_data: config.replica_serve_stale_data(),
        priority: config.replica_priority(),
        is_announced: config.replica_announced(),
        announced_address: config.replica_announce_ip(),
        announced_port: config.replica_announce_port().unwrap_or(0),
        ignores_memory_limit: config.replica_ignore_maxmemory(),
        is_diskless: config.repl_diskless_sync(),
        synchronisation_delay_s: seconds(config.repl_diskless_sync_delay()),
        synchronised_max: config.repl_diskless_sync_max_replicas() as usize,
        ping_period_s: seconds(config.repl_ping_replica_period()),
        timeout_s: seconds(config.repl_timeout()),
        backlog_bytes: config.repl_backlog_size_bytes(),
        backlog_ttl_s: seconds(config.repl_backlog_ttl()),
        replicas_min: config.min_replicas_to_write().into(),
        lag_max_s: seconds(config.min_replicas_max_lag()),
        shutdown_timeout_s: seconds(config.shutdown_timeout()),
    }
}

/// What is kept where.
fn persistence(config: &Config) -> PersistenceOptions {
    PersistenceOptions {
        dir: config.dir(),
        snapshot_name: config.dbfilename(),
        save_points: config.save_points().iter().map(|p| (p.seconds, p.changes)).collect(),
        is_compressed: config.rdbcompression(),
        stops_writes_on_error: config.stop_writes_on_bgsave_error(),
        append_only: config.appendonly(),
        fsync: match config.appendfsync() {
            Fsync::Always => reef_server::Fsync::Always,
            Fsync::EverySecond => reef_server::Fsync::EverySecond,
            Fsync::Never => reef_server::Fsync::No,
        },
        append_folder: config.appenddirname(),
        append_name: config.appendfilename(),
        rewrite_percentage: config.auto_aof_rewrite_percentage().into(),
        rewrite_bytes_min: config.auto_aof_rewrite_min_size_bytes(),
        cuts_torn_log: config.aof_load_truncated(),
        base_is_snapshot: config.aof_use_rdb_preamble(),
        tells_times: config.aof_timestamp_enabled(),
        keeps_history: config.aof_disable_auto_gc(),
        reads_any_version: config.rdb_version_check() == "relaxed",
        save_pace: Pace(config.rdb_key_save_delay_us()),
        load_pace: Pace(config.key_load_delay_us()),
    }
}

/// When a client is closed because it does not take what it is sent.
fn output_limits(config: &Config) -> OutputLimits {
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let limit = |limit: BufferLimit| OutputLimit {
        hard_bytes: bytes(limit.hard_bytes),
        soft_bytes: bytes(limit.soft_bytes),
        soft_s: limit.soft_seconds,
    };
    let limits = config.client_output_buffer_limits();
    OutputLimits {
        normal: limit(limits.normal),
        pubsub: limit(limits.pubsub),
        replica: limit(limits.replica),
    }
}

fn tls(config: &Config) -> TlsOptions {
    TlsOptions {
        port: config.tls_port().unwrap_or(0),
        certificates: config.tls_cert_file().unwrap_or_default(),
        key: config.tls_key_file().unwrap_or_default(),
        authorities: config.tls_ca_cert_file(),
        authorities_folder: config.tls_ca_cert_dir(),
        client_certificates: match config.tls_auth_clients() {
            "no" => ClientCertificates::No,
            "optional" => ClientCertificates::Optional,
            _ => ClientCertificates::Required,
        },
        protocols: config.tls_protocols(),
    }
}

/// What is configured of each tenant, with its name.
pub(crate) fn tenants(configured: &[Tenant]) -> impl Iterator<Item = (String, TenantTerms)> {
    configured.iter().map(|tenant| {
        let limits = &tenant.limits;
        let given = [
            (Quota::Memory, limits.memory_bytes),
            (Quota::Connections, limits.connections),
            (Quota::OperationsPerSecond, limits.ops_per_s),
            (Quota::CpuMsPerSecond, limits.cpu_ms_per_s),
            (Quota::Plugins, limits.plugins),
            (Quota::Code, limits.code_bytes),
        ];
        let limits = given.into_iter().filter(|(_, limit)| limit.is_some()).collect();
        (tenant.name.clone(), TenantTerms { password: tenant.password.clone(), limits })
    })
}

/// Where the users stand; a relative path begins at `dir`.
pub(crate) fn users_file(config: &Config) -> Option<PathBuf> {
    config.aclfile().map(|file| config.dir().join(file))
}

/// The policy as redis.conf spells it.
fn policy_name(config: &Config) -> String {
    let values = config.get(&["maxmemory-policy"]);
    values.first().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}
