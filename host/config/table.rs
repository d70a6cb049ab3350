//! Every directive that Reef knows: those of Redis 7.0 and 7.2 with some of Valkey, then its own.
//!
//! Invariants: a name stands once; every default is a valid value of its kind. Both are tested.
//! A directive that is `ignored` is stored and shown all the same, so that existing files load.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::directive::{Directive, Kind};
use super::rule;

const ANY: Kind = Kind::Text(rule::any);
const BOOL: Kind = Kind::Bool;
const LONG: i64 = i64::MAX;
const INT: i64 = i32::MAX as i64;
const UINT: i64 = u32::MAX as i64;
const PORT: Kind = int(0, 65_535);
const COUNT: Kind = int(0, LONG);
const SMALL: Kind = int(0, INT);
const PER_CENT: Kind = int(1, 99);
const BYTES: Kind = bytes(0);
const ACCESS: Kind = Kind::Choice(&["no", "yes", "local"]);
const SHUTDOWN: Kind = Kind::Switches(&["default", "save", "nosave", "now", "force"]);

const CLUSTER: &str = "this server is not a cluster node; 'engine' names an existing cluster";
const TLS: &str = "TLS offers the modern protocols and ciphers, and sessions need no cache";
const TLS_CLIENT: &str = "this server opens no TLS connections yet";
const PROCESS: &str = "it is left to the service manager";
const DEFRAG: &str = "memory is not defragmented while the server runs";

const fn on(name: &'static str, kind: Kind, default: &'static str) -> Directive {
    Directive::new(name, kind, default)
}

const fn int(min: i64, max: i64) -> Kind {
    Kind::Integer { min, max }
}

const fn bytes(min: u64) -> Kind {
    Kind::Memory { min, max: LONG as u64 }
}

const fn bytes_unsigned() -> Kind {
    Kind::Memory { min: 0, max: u64::MAX }
}

/// All directives, by theme.
#[rustfmt::skip] // A row per directive, whatever its length: the list is read as a table.
pub static TABLE: &[Directive] = &[
    // Network.
    on("bind", Kind::Addresses { max: 16 }, "* -::*"),
    on("bind-source-addr", ANY, "").ignored(""),
    on("port", PORT, "6379"),
    on("tcp-backlog", SMALL, "511").fixed(),
    on("unixsocket", ANY, "").fixed(),
    on("unixsocketperm", Kind::Octal { max: 0o777 }, "0").fixed(),
    on("timeout", SMALL, "0"),
    on("tcp-keepalive", SMALL, "300"),
    on("socket-mark-id", int(0, UINT), "0").fixed().ignored(""),
    on("protected-mode", BOOL, "yes"),
    on("enable-protected-configs", ACCESS, "no").fixed(),
    on("enable-debug-command", ACCESS, "no").fixed(),
    on("enable-module-command", ACCESS, "no").fixed().ignored("there are plugins instead of modules"),
    on("maxclients", int(1, UINT), "10000").alias("max-clients"),
    on("client-query-buffer-limit", bytes(1 << 20), "1gb"),
    on("client-output-buffer-limit", Kind::BufferLimits, "normal 0 0 0 slave 256mb 64mb 60 pubsub 32mb 8mb 60"),
    on("maxmemory-clients", Kind::MemoryOrPercent, "0"),
    on("proto-max-bulk-len", bytes(1 << 20), "512mb"),
    on("tracking-table-max-keys", COUNT, "1000000"),
    // TLS.
    on("tls-port", PORT, "0").settled(),
    on("tls-cert-file", ANY, ""),
    on("tls-key-file", ANY, ""),
    on("tls-key-file-pass", ANY, "").sensitive().ignored("keys are read unencrypted"),
    on("tls-client-cert-file", ANY, "").ignored(TLS_CLIENT),
    on("tls-client-key-file", ANY, "").ignored(TLS_CLIENT),
    on("tls-client-key-file-pass", ANY, "").sensitive().ignored(TLS_CLIENT),
    on("tls-dh-params-file", ANY, "").ignored(TLS),
    on("tls-ca-cert-file", ANY, ""),
    on("tls-ca-cert-dir", ANY, ""),
    on("tls-protocols", ANY, ""),
    on("tls-ciphers", ANY, "").ignored(TLS),
    on("tls-ciphersuites", ANY, "").ignored(TLS),
    on("tls-auth-clients", Kind::Choice(&["no", "yes", "optional"]), "yes"),
    on("tls-replication", BOOL, "no").default_only(TLS_CLIENT),
    on("tls-cluster", BOOL, "no").default_only(TLS_CLIENT),
    on("tls-prefer-server-ciphers", BOOL, "no").ignored(TLS),
    on("tls-session-caching", BOOL, "yes").ignored(TLS),
    on("tls-session-cache-size", SMALL, "20480").ignored(TLS),
    on("tls-session-cache-timeout", SMALL, "300").ignored(TLS),
    // Process.
    on("daemonize", BOOL, "no").fixed().ignored("Reef stays in the foreground; running in the background is left to the service manager"),
    on("supervised", Kind::Choice(&["upstart", "systemd", "auto", "no"]), "no").fixed().ignored(PROCESS),
    on("pidfile", ANY, "").fixed(),
    on("loglevel", Kind::Choice(&["debug", "verbose", "notice", "warning"]), "notice"),
    on("logfile", ANY, "").fixed(),
    on("syslog-enabled", BOOL, "no").fixed().ignored(PROCESS),
    on("syslog-ident", ANY, "redis").fixed().ignored(PROCESS),
    on("syslog-facility", Kind::Choice(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0").fixed().ignored(PROCESS),
    on("crash-log-enabled", BOOL, "yes").ignored(""),
    on("crash-memcheck-enabled", BOOL, "yes").ignored(""),
    on("databases", int(1, INT), "16").fixed(),
    on("always-show-logo", BOOL, "no").fixed().ignored(""),
    on("set-proc-title", BOOL, "yes").fixed().ignored(""),
    on("proc-title-template", Kind::Text(rule::process_title), "{title} {listen-addr} {server-mode}").ignored(""),
    on("locale-collate", ANY, "").ignored("sorting compares bytes"),
    on("hz", SMALL, "10").clamped(1, 500),
    on("dynamic-hz", BOOL, "yes").ignored(""),
    on("activerehashing", BOOL, "yes").ignored("tables grow in small steps by themselves"),
    on("disable-thp", BOOL, "yes").fixed().ignored(PROCESS),
    on("oom-score-adj", Kind::Choice(&["no", "yes", "relative", "absolute"]), "no").ignored(PROCESS),
    on("oom-score-adj-values", Kind::OomScores, "0 200 800").ignored(PROCESS),
    on("jemalloc-bg-thread", BOOL, "yes").ignored(""),
    on("ignore-warnings", ANY, "").ignored(""),
    on("server_cpulist", ANY, "").alias("server-cpulist").fixed().ignored(PROCESS),
    on("bio_cpulist", ANY, "").alias("bio-cpulist").fixed().ignored(PROCESS),
    on("aof_rewrite_cpulist", ANY, "").alias("aof-rewrite-cpulist").fixed().ignored(PROCESS),
    on("bgsave_cpulist", ANY, "").alias("bgsave-cpulist").fixed().ignored(PROCESS),
    on("shutdown-timeout", SMALL, "10"),
    on("shutdown-on-sigint", SHUTDOWN, "default"),
    on("shutdown-on-sigterm", SHUTDOWN, "default"),
    on("io-threads-do-reads", BOOL, "no").fixed().ignored("every io thread reads"),
    // Snapshots.
    on("save", Kind::Save, "3600 1 300 100 60 10000"),
    on("stop-writes-on-bgsave-error", BOOL, "yes"),
    on("rdbcompression", BOOL, "yes"),
    on("rdbchecksum", BOOL, "yes").fixed().ignored("snapshots always carry a checksum"),
    on("sanitize-dump-payload", Kind::Choice(&["no", "yes", "clients"]), "no").ignored("payloads are always checked"),
    on("dbfilename", Kind::Text(rule::snapshot_name), "dump.rdb").protected(),
    on("rdb-del-sync-files", BOOL, "no").ignored(""),
    on("dir", Kind::Folder, ".").protected(),
    on("rdb-save-incremental-fsync", BOOL, "yes").ignored(""),
    on("rdb-key-save-delay", int(i32::MIN as i64, INT), "0").hidden(),
    on("key-load-delay", int(i32::MIN as i64, INT), "0").hidden(),
    on("loading-process-events-interval-bytes", Kind::Integer { min: 1024, max: INT }, "2097152").hidden().ignored(""),
    // Log of writes.
    on("appendonly", BOOL, "no"),
    on("appendfilename", Kind::Text(rule::log_name), "appendonly.aof").fixed(),
    on("appenddirname", Kind::Text(rule::log_folder), "appendonlydir").fixed(),
    on("appendfsync", Kind::Choice(&["everysec", "always", "no"]), "everysec"),
    on("no-appendfsync-on-rewrite", BOOL, "no"),
    on("auto-aof-rewrite-percentage", SMALL, "100"),
    on("auto-aof-rewrite-min-size", BYTES, "64mb"),
    on("aof-load-truncated", BOOL, "yes"),
    on("aof-use-rdb-preamble", BOOL, "yes"),
    on("aof-timestamp-enabled", BOOL, "no"),
    on("aof-disable-auto-gc", BOOL, "no"),
    on("aof-rewrite-incremental-fsync", BOOL, "yes").ignored(""),
    // Replication.
    on("replicaof", Kind::Primary, "").twin("slaveof").fixed(),
    on("masterauth", ANY, "").twin("primaryauth").sensitive(),
    on("masteruser", ANY, "").twin("primaryuser").sensitive(),
    on("replica-serve-stale-data", BOOL, "yes").twin("slave-serve-stale-data"),
    on("replica-read-only", BOOL, "yes").twin("slave-read-only"),
    on("replica-priority", SMALL, "100").twin("slave-priority"),
    on("replica-announced", BOOL, "yes"),
    on("replica-announce-ip", ANY, "").twin("slave-announce-ip"),
    on("replica-announce-port", PORT, "0").twin("slave-announce-port"),
    on("replica-lazy-flush", BOOL, "no").twin("slave-lazy-flush").ignored(""),
    on("replica-ignore-maxmemory", BOOL, "yes").twin("slave-ignore-maxmemory"),
    on("replica-ignore-disk-write-errors", BOOL, "no"),
    on("repl-diskless-sync", BOOL, "yes"),
    on("repl-diskless-sync-delay", SMALL, "5"),
    on("repl-diskless-sync-max-replicas", SMALL, "0"),
    on("repl-diskless-load", Kind::Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled").ignored(""),
    on("repl-disable-tcp-nodelay", BOOL, "no").ignored(""),
    on("repl-ping-replica-period", int(1, INT), "10").twin("repl-ping-slave-period"),
    on("repl-timeout", int(1, INT), "60"),
    on("repl-backlog-size", bytes(1), "1mb").clamped(16 * 1024, LONG as u64),
    on("repl-backlog-ttl", COUNT, "3600"),
    on("min-replicas-to-write", SMALL, "0").twin("min-slaves-to-write"),
    on("min-replicas-max-lag", SMALL, "10").twin("min-slaves-max-lag"),
    on("propagation-error-behavior", Kind::Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore").ignored(""),
    // Who may do what.
    on("requirepass", ANY, "").sensitive(),
    on("aclfile", ANY, "").fixed(),
    on("acllog-max-len", COUNT, "128"),
    on("acl-pubsub-default", Kind::Choice(&["allchannels", "resetchannels"]), "resetchannels"),
    // Memory.
    on("maxmemory", bytes_unsigned(), "0"),
    on("maxmemory-policy", Kind::Choice(&["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"]), "noeviction"),
    on("maxmemory-samples", int(1, INT), "5"),
    on("maxmemory-eviction-tenacity", int(0, 100), "10"),
    on("active-expire-effort", int(1, 10), "1").ignored("keys expire within milliseconds in any case"),
    on("lfu-log-factor", SMALL, "10"),
    on("lfu-decay-time", SMALL, "1"),
    on("lazyfree-lazy-eviction", BOOL, "no"),
    on("lazyfree-lazy-expire", BOOL, "no"),
    on("lazyfree-lazy-server-del", BOOL, "no"),
    on("lazyfree-lazy-user-del", BOOL, "no"),
    on("lazyfree-lazy-user-flush", BOOL, "no"),
    on("activedefrag", BOOL, "no").ignored(DEFRAG),
    on("active-defrag-ignore-bytes", bytes(1), "100mb").ignored(DEFRAG),
    on("active-defrag-threshold-lower", int(0, 1000), "10").ignored(DEFRAG),
    on("active-defrag-threshold-upper", int(0, 1000), "100").ignored(DEFRAG),
    on("active-defrag-cycle-min", PER_CENT, "1").ignored(DEFRAG),
    on("active-defrag-cycle-max", PER_CENT, "25").ignored(DEFRAG),
    on("active-defrag-max-scan-fields", int(1, LONG), "1000").ignored(DEFRAG),
    // Sizes up to which a value stays packed.
    on("hash-max-listpack-entries", COUNT, "512").twin("hash-max-ziplist-entries"),
    on("hash-max-listpack-value", BYTES, "64").twin("hash-max-ziplist-value"),
    on("list-max-listpack-size", int(i32::MIN as i64, INT), "-2").twin("list-max-ziplist-size"),
    on("list-compress-depth", SMALL, "0"),
    on("set-max-intset-entries", COUNT, "512"),
    on("set-max-listpack-entries", COUNT, "128"),
    on("set-max-listpack-value", COUNT, "64"),
    on("zset-max-listpack-entries", COUNT, "128").twin("zset-max-ziplist-entries"),
    on("zset-max-listpack-value", BYTES, "64").twin("zset-max-ziplist-value"),
    on("hll-sparse-max-bytes", BYTES, "3000"),
    on("stream-node-max-bytes", BYTES, "4096"),
    on("stream-node-max-entries", COUNT, "100"),
    // Watching.
    on("notify-keyspace-events", Kind::Events, ""),
    on("slowlog-log-slower-than", int(-1, LONG), "10000").twin("commandlog-execution-slower-than"),
    on("slowlog-max-len", COUNT, "128").twin("commandlog-slow-execution-max-len"),
    on("commandlog-request-larger-than", int(-1, LONG), "1048576"),
    on("commandlog-large-request-max-len", COUNT, "128"),
    on("commandlog-reply-larger-than", int(-1, LONG), "1048576"),
    on("commandlog-large-reply-max-len", COUNT, "128"),
    on("latency-monitor-threshold", COUNT, "0"),
    on("latency-tracking", BOOL, "yes"),
    on("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9"),
    // Scripts.
    on("busy-reply-threshold", COUNT, "5000").twin("lua-time-limit"),
    on("lua-enable-deprecated-api", BOOL, "no").fixed().hidden().ignored(""),
    on("use-exit-on-panic", BOOL, "no").hidden().ignored(""),
    on("watchdog-period", SMALL, "0").hidden().ignored(""),
    // Cluster.
    on("cluster-enabled", BOOL, "no").fixed().default_only(CLUSTER),
    on("cluster-config-file", ANY, "nodes.conf").fixed().ignored(CLUSTER),
    on("cluster-node-timeout", COUNT, "15000").ignored(CLUSTER),
    on("cluster-ping-interval", int(1, INT), "1000").hidden().ignored(CLUSTER),
    on("cluster-port", PORT, "0").fixed().ignored(CLUSTER),
    on("cluster-announce-ip", ANY, "").ignored(CLUSTER),
    on("cluster-announce-hostname", Kind::Text(rule::host_name), "").ignored(CLUSTER),
    on("cluster-announce-human-nodename", ANY, "").ignored(CLUSTER),
    on("cluster-announce-port", PORT, "0").ignored(CLUSTER),
    on("cluster-announce-tls-port", PORT, "0").ignored(CLUSTER),
    on("cluster-announce-bus-port", PORT, "0").ignored(CLUSTER),
    on("cluster-preferred-endpoint-type", Kind::Choice(&["ip", "hostname", "unknown-endpoint"]), "ip").ignored(CLUSTER),
    on("cluster-replica-validity-factor", SMALL, "10").twin("cluster-slave-validity-factor").ignored(CLUSTER),
    on("cluster-replica-no-failover", BOOL, "no").twin("cluster-slave-no-failover").ignored(CLUSTER),
    on("cluster-migration-barrier", SMALL, "1").ignored(CLUSTER),
    on("cluster-allow-replica-migration", BOOL, "yes").ignored(CLUSTER),
    on("cluster-require-full-coverage", BOOL, "yes").ignored(CLUSTER),
    on("cluster-allow-reads-when-down", BOOL, "no").ignored(CLUSTER),
    on("cluster-allow-pubsubshard-when-down", BOOL, "yes").ignored(CLUSTER),
    on("cluster-link-sendbuf-limit", bytes_unsigned(), "0").ignored(CLUSTER),
    // Valkey's, which stand in the files that come with it.
    on("dual-channel-replication-enabled", BOOL, "no").ignored("a replica is sent its snapshot on the connection that it asks on"),
    on("enable-debug-assert", BOOL, "no").fixed().hidden().ignored(""),
    on("hide-user-data-from-log", BOOL, "yes").ignored("the log does not show what clients store"),
    on("prefetch-batch-max-size", int(0, 128), "16").ignored("keys of commands that arrive together are always fetched together"),
    on("rdb-version-check", Kind::Choice(&["strict", "relaxed"]), "strict"),
    // Lines with a structure of their own.
    on("user", Kind::Collected, "").fixed().sensitive(),
    on("rename-command", Kind::Collected, "").fixed(),
    on("include", Kind::Collected, "").fixed(),
    on("loadmodule", Kind::Collected, "").fixed().refused("modules are native code of another server; load a WebAssembly plugin with 'plugin NAME PATH'"),
    on("plugin", Kind::Collected, "").fixed(),
    on("tenant", Kind::Collected, "").fixed().sensitive(),
    on("write-behind", Kind::Collected, "").fixed(),
    // Reef's own.
    on("io-threads", int(1, 128), "1").fixed(),
    on("shards", Kind::PowerOfTwo { max: 64 }, "16").settled(),
    on("engine", Kind::Text(rule::engine_url), "").settled(),
    on("http-port", PORT, "0").settled(),
    on("http-origins", ANY, "").settled(),
    on("plugin-dir", ANY, "").settled(),
    on("plugin-cpu-ms", int(1, INT), "50"),
    on("plugin-memory", bytes(64 * 1024), "64mb"),
    on("plugin-host-calls", int(1, LONG), "10000"),
    on("plugin-bytes", bytes(1024), "64mb"),
];

static INDEX: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    let mut index = HashMap::with_capacity(TABLE.len() * 2);
    for (at, directive) in TABLE.iter().enumerate() {
        for name in names(directive) {
            index.insert(name, at);
        }
    }
    index
});

/// All names of a directive, its own first.
pub fn names(directive: &Directive) -> impl Iterator<Item = &'static str> {
    [Some(directive.name), directive.twin, directive.alias].into_iter().flatten()
}

/// The place in [`TABLE`] of the directive with this name, in any case of letters.
pub fn find(name: &[u8]) -> Option<usize> {
    /// No name is longer: a longer one cannot be known, and is not worth a copy.
    const NAME_BYTES_MAX: usize = 64;
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let lower = String::from_utf8(name.to_ascii_lowercase()).ok()?;
    INDEX.get(lower.as_str()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_in_lower_case_and_is_found() {
        let mut seen = std::collections::HashSet::new();
        for (at, directive) in TABLE.iter().enumerate() {
            for name in names(directive) {
                assert!(seen.insert(name), "{name} stands twice");
                assert_eq!(name, name.to_ascii_lowercase());
                assert_eq!(find(name.to_ascii_uppercase().as_bytes()), Some(at));
            }
        }
        assert_eq!(find(b"nonsense"), None);
        assert_eq!(find(&[b'a'; 1000]), None);
        assert_eq!(find(b"\xff"), None);
    }
}
