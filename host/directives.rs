//! Directives put into effect: what each part of Reef gets out of the configuration.

use parking_lot::Mutex;
use reef_engine::keyspace::{Lfu, Policy};
use reef_engine::settings::{Eviction, Lazy, Settings, SlowLogLimits};
use reef_engine::types::limits::Limits;
use reef_server::{Configuration, Options, OutputLimit, OutputLimits};

use crate::config::{Access, BufferLimit, Caller, Config};

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

    fn set(&self, pairs: &[(&[u8], &[u8])]) -> Result<(Settings, Options), String> {
        let mut config = self.0.lock();
        let mut changed = config.clone();
        changed.set(pairs, Caller::Local).map_err(|error| error.reply())?;
        *config = changed;
        Ok((settings(&config), options(&config)))
    }

    fn rewrite(&self) -> Result<(), String> {
        self.0.lock().rewrite_file(None).map_err(|error| error.reply())
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
        debug_commands: config.enable_debug_command() != Access::No,
        lfu: policy(config).is_lfu().then(|| Lfu {
            log_factor: config.lfu_log_factor(),
            decay_minutes: config.lfu_decay_time_min(),
        }),
        eviction: eviction(config),
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
    }
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
        output_limits: OutputLimits {
            normal: output_limit(config.client_output_buffer_limits().normal),
            pubsub: output_limit(config.client_output_buffer_limits().pubsub),
            replica: output_limit(config.client_output_buffer_limits().replica),
        },
        client_bytes_max: bytes(config.maxmemory_clients_bytes()),
        latency_tracking: config.latency_tracking(),
        latency_percentiles: config.latency_tracking_info_percentiles().to_vec(),
        memory_bytes_max: bytes(config.maxmemory_bytes()),
        memory_policy: policy_name(config),
        protected_mode: config.protected_mode() && config.requirepass().is_empty(),
        config_file: config.file().map(|file| file.display().to_string()).unwrap_or_default(),
        hz: config.hz(),
    }
}

fn output_limit(limit: BufferLimit) -> OutputLimit {
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    OutputLimit {
        hard_bytes: bytes(limit.hard_bytes),
        soft_bytes: bytes(limit.soft_bytes),
        soft_s: limit.soft_seconds,
    }
}

/// The policy as redis.conf spells it.
fn policy_name(config: &Config) -> String {
    let values = config.get(&["maxmemory-policy"]);
    values.first().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}
