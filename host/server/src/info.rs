//! INFO: what only the server knows, section by section. Names and order are Redis's; the engine
//! adds what it counts itself and derives the human forms.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use reef_engine::acl::Reason;
use reef_engine::host::DataFigures;
use reef_engine::types::histogram::Histogram;

use crate::clock::{now_ms, now_us};
use crate::memory::STARTUP_BYTES;
use crate::process;
use crate::rates::Totals;
use crate::server::Shared;
use crate::statistics::{CommandCounters, Statistics};

impl Shared {
    /// Appends the lines of a section. The shards are held by the caller, who knows their size.
    pub(crate) fn info(&self, section: &str, data: DataFigures, out: &mut String) {
        match section {
            "server" => self.info_server(out),
            "clients" => self.info_clients(out),
            "memory" => self.info_memory(data.bytes, out),
            "persistence" => self.info_persistence(data.changes, out),
            "stats" => self.info_stats(out),
            "replication" => self.info_replication(out),
            "cpu" => info_cpu(out),
            "commandstats" => self.info_commands(out),
            "errorstats" => self.errors.lock().iter().for_each(|(code, count)| {
                line(out, &format!("errorstat_{code}"), format_args!("count={count}"));
            }),
            "latencystats" => self.info_latencies(out),
            "plugins" => {
                if let Some(extension) = self.extension.get() {
                    extension.info(out);
                }
            }
            _ => {}
        }
    }

    fn sum(&self, of: impl Fn(&Statistics) -> u64) -> u64 {
        self.statistics.iter().map(|statistics| of(statistics)).sum()
    }

    fn info_server(&self, out: &mut String) {
        let uptime_s = now_ms().since(self.started_at) / 1000;
        let options = self.options();
        let executable = std::env::current_exe().unwrap_or_default();
        line(out, "reef_version", env!("CARGO_PKG_VERSION"));
        line(out, "os", process::operating_system());
        line(out, "arch_bits", usize::BITS);
        line(out, "monotonic_clock", "POSIX clock_gettime");
        line(out, "multiplexing_api", "epoll");
        line(out, "process_id", std::process::id());
        line(out, "process_supervised", "no");
        line(out, "run_id", &self.run_id);
        line(out, "tcp_port", self.port.load(Ordering::Relaxed));
        line(out, "server_time_usec", now_us());
        line(out, "uptime_in_seconds", uptime_s);
        line(out, "uptime_in_days", uptime_s / 86_400);
        line(out, "hz", options.hz);
        line(out, "configured_hz", options.hz);
        line(out, "lru_clock", now_ms().seconds() & 0x00ff_ffff);
        line(out, "executable", executable.display());
        line(out, "config_file", &options.config_file);
        line(out, "io_threads_active", self.post.mailboxes.len());
    }

    fn info_clients(&self, out: &mut String) {
        let cards = self.post.clients.all();
        let waiting = cards.iter().filter(|card| card.waiting.load(Ordering::Relaxed)).count();
        let waiters: Vec<_> = cards.iter().filter_map(|card| card.waiter.lock().clone()).collect();
        let timed = waiters.iter().filter(|waiter| waiter.timeout_ms.is_some()).count();
        let keys: BTreeSet<(u32, &[u8])> = waiters
            .iter()
            .flat_map(|waiter| waiter.keys().map(|key| (waiter.database, key)))
            .collect();
        let on_nokey: BTreeSet<(u32, &[u8])> = waiters
            .iter()
            .filter(|waiter| waiter.hears_of_loss())
            .flat_map(|waiter| waiter.keys().map(|key| (waiter.database, key)))
            .collect();
        let peak = |of: fn(&Statistics) -> u64| self.statistics.iter().map(|s| of(s)).max();
        line(out, "connected_clients", self.post.clients.len());
        line(out, "maxclients", self.options().clients_max);
        let input = peak(|statistics| statistics.input_peak.get()).unwrap_or(0);
        let output = peak(|statistics| statistics.output_peak.get()).unwrap_or(0);
        line(out, "client_recent_max_input_buffer", input);
        line(out, "client_recent_max_output_buffer", output);
        line(out, "blocked_clients", waiting);
        line(out, "tracking_clients", self.post.tracking.lock().totals().clients);
        line(out, "clients_in_timeout_table", timed);
        line(out, "total_blocking_keys", keys.len());
        line(out, "total_blocking_keys_on_nokey", on_nokey.len());
    }

    fn info_memory(&self, data_bytes: u64, out: &mut String) {
        let clients = self.store.ledger().client_bytes.load(Ordering::Acquire) as u64;
        let used = data_bytes + clients + STARTUP_BYTES as u64;
        let peak = self.memory_peak.fetch_max(used, Ordering::AcqRel).max(used);
        let options = self.options();
        line(out, "used_memory", used);
        line(out, "used_memory_rss", process::usage().rss_bytes);
        line(out, "used_memory_peak", peak);
        line(out, "used_memory_startup", STARTUP_BYTES);
        line(out, "total_system_memory", process::total_memory_bytes());
        line(out, "maxmemory", options.memory_bytes_max);
        line(out, "maxmemory_policy", &options.memory_policy);
        line(out, "mem_replication_backlog", self.replication.backlog_bytes());
        line(out, "mem_clients_slaves", 0);
        line(out, "mem_clients_normal", clients);
        line(out, "mem_aof_buffer", self.store.log().status().unwritten);
        line(out, "mem_allocator", "mimalloc");
        line(out, "lazyfree_pending_objects", self.store.reaper().pending());
        line(out, "lazyfreed_objects", self.store.reaper().freed());
    }

    fn info_stats(&self, out: &mut String) {
        let stream = &self.replication.stream;
        line(out, "sync_full", stream.full.load(Ordering::Relaxed));
        line(out, "sync_partial_ok", stream.partial.load(Ordering::Relaxed));
        line(out, "sync_partial_err", stream.partial_refused.load(Ordering::Relaxed));
        line(out, "total_net_repl_output_bytes", stream.bytes_out.load(Ordering::Relaxed));
        line(out, "total_connections_received", self.post.clients.accepted.load(Ordering::Relaxed));
        line(out, "total_commands_processed", self.sum(|s| s.commands.get()));
        let now = now_ms();
        let [commands, input, output] = self.rates.lock().per_second(now, self.totals());
        let (exceeded_ms, exceeded_now_ms) = self.store.ledger().exceeded_ms(now);
        line(out, "instantaneous_ops_per_sec", commands.round());
        line(out, "instantaneous_input_kbps", format_args!("{:.2}", input / 1024.0));
        line(out, "instantaneous_output_kbps", format_args!("{:.2}", output / 1024.0));
        line(out, "evicted_clients", self.evicted_clients.load(Ordering::Relaxed));
        line(out, "total_eviction_exceeded_time", exceeded_ms);
        line(out, "current_eviction_exceeded_time", exceeded_now_ms);
        line(out, "total_net_input_bytes", self.sum(|s| s.bytes_in.get()));
        line(out, "total_net_output_bytes", self.sum(|s| s.bytes_out.get()));
        line(out, "rejected_connections", self.post.clients.refused.load(Ordering::Relaxed));
        line(out, "total_error_replies", self.sum(|s| s.errors.get()));
        line(out, "total_reads_processed", self.sum(|s| s.reads.get()));
        line(out, "total_writes_processed", self.sum(|s| s.writes.get()));
        let users = self.store.users.lock();
        for (name, reason) in Reason::COUNTERS {
            line(out, name, users.log().count(reason));
        }
        drop(users);
        let subscribed = self.post.subscriptions.lock().statistics();
        let tracked = self.post.tracking.lock().statistics();
        for (name, count) in subscribed.into_iter().chain(tracked) {
            line(out, name, count);
        }
        for name in ABSENT_STATS {
            line(out, name, 0);
        }
    }

    /// All workers' totals.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            commands: self.sum(|statistics| statistics.commands.get()),
            bytes_in: self.sum(|statistics| statistics.bytes_in.get()),
            bytes_out: self.sum(|statistics| statistics.bytes_out.get()),
        }
    }

    /// How long the calls of each command took, of those that were called.
    pub(crate) fn histograms(&self, show: &mut dyn FnMut(u16, &Histogram)) {
        let registry = self.store.registry();
        for id in (0..u16::MAX).take_while(|id| registry.by_id(*id).is_some()) {
            if self.sum(|statistics| statistics.of(id).calls.get()) == 0 {
                continue;
            }
            let mut histogram = Histogram::default();
            self.statistics.iter().for_each(|s| s.of(id).add_to(&mut histogram));
            if histogram.total() > 0 {
                show(id, &histogram);
            }
        }
    }

    fn info_latencies(&self, out: &mut String) {
        let (options, registry) = (self.options(), self.store.registry());
        self.histograms(&mut |id, histogram| {
            let Some(command) = registry.by_id(id) else { return };
            let name = format!("latency_percentiles_usec_{}", command.full_name());
            let values = options.latency_percentiles.iter().map(|percent| {
                format!("p{percent}={:.3}", histogram.percentile_ns(*percent) as f64 / 1000.0)
            });
            line(out, &name, values.collect::<Vec<_>>().join(","));
        });
    }

    fn info_commands(&self, out: &mut String) {
        let registry = self.store.registry();
        for id in 0..u16::MAX {
            let Some(command) = registry.by_id(id) else { break };
            let sum = |of: fn(&CommandCounters) -> u64| self.sum(|s| of(s.of(id)));
            let (calls, rejected) = (sum(|c| c.calls.get()), sum(|c| c.rejected.get()));
            if calls + rejected == 0 {
                continue;
            }
            let usec = sum(|c| c.spent_ns.get()) / 1000;
            let per_call = usec as f64 / calls.max(1) as f64;
            let failed = sum(|c| c.failed.get());
            line(
                out,
                &format!("cmdstat_{}", command.full_name()),
                format_args!(
                    "calls={calls},usec={usec},usec_per_call={per_call:.2},\
                     rejected_calls={rejected},failed_calls={failed}"
                ),
            );
        }
    }
}

/// Counters of what this server does not do, so they stay at zero. Clients look for them.
const ABSENT_STATS: [&str; 4] =
    ["total_net_repl_input_bytes", "latest_fork_usec", "total_forks", "unexpected_error_replies"];

fn info_cpu(out: &mut String) {
    let usage = process::usage();
    for (name, seconds) in [
        ("used_cpu_sys", usage.system_s),
        ("used_cpu_user", usage.user_s),
        ("used_cpu_sys_children", 0.0),
        ("used_cpu_user_children", 0.0),
    ] {
        line(out, name, format_args!("{seconds:.6}"));
    }
}

pub(crate) fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{name}:{value}\r\n");
}
