//! INFO: what only the server knows, section by section. Names and order are Redis's.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::clock::{now_ms, now_us};
use crate::process;
use crate::server::Shared;

impl Shared {
    /// Appends the lines of a section.
    pub(crate) fn info(&self, section: &str, out: &mut String) {
        match section {
            "server" => self.info_server(out),
            "clients" => self.info_clients(out),
            "memory" => self.info_memory(out),
            "stats" => self.info_stats(out),
            "cpu" => info_cpu(out),
            _ => {}
        }
    }

    fn info_server(&self, out: &mut String) {
        let uptime_s = now_ms().since(self.started_at) / 1000;
        let options = self.options();
        line(out, "redis_version", "7.2.4");
        line(out, "reef_version", env!("CARGO_PKG_VERSION"));
        line(out, "redis_mode", "standalone");
        line(out, "os", process::operating_system());
        line(out, "arch_bits", usize::BITS);
        line(out, "process_id", std::process::id());
        line(out, "run_id", &self.run_id);
        line(out, "tcp_port", self.port.load(Ordering::Relaxed));
        line(out, "server_time_usec", now_us());
        line(out, "uptime_in_seconds", uptime_s);
        line(out, "uptime_in_days", uptime_s / 86_400);
        line(out, "hz", options.hz);
        line(out, "configured_hz", options.hz);
        line(out, "config_file", &options.config_file);
        line(out, "io_threads_active", self.mailboxes.len());
    }

    fn info_clients(&self, out: &mut String) {
        let cards = self.clients.all();
        let waiting = cards.iter().filter(|card| card.waiting.load(Ordering::Relaxed)).count();
        line(out, "connected_clients", self.clients.len());
        line(out, "maxclients", self.options().clients_max);
        line(out, "blocked_clients", waiting);
    }

    fn info_memory(&self, out: &mut String) {
        let used = self.store.heap_bytes();
        let usage = process::usage();
        line(out, "used_memory", used);
        line(out, "used_memory_rss", usage.rss_bytes);
        line(out, "total_system_memory", process::total_memory_bytes());
        line(out, "maxmemory", self.options().memory_bytes_max);
    }

    fn info_stats(&self, out: &mut String) {
        let sum = |of: fn(&crate::statistics::Statistics) -> u64| -> u64 {
            self.statistics.iter().map(|statistics| of(statistics)).sum()
        };
        line(out, "total_connections_received", self.clients.accepted.load(Ordering::Relaxed));
        line(out, "total_commands_processed", sum(|s| s.commands.get()));
        line(out, "total_net_input_bytes", sum(|s| s.bytes_in.get()));
        line(out, "total_net_output_bytes", sum(|s| s.bytes_out.get()));
        line(out, "rejected_connections", self.clients.refused.load(Ordering::Relaxed));
        line(out, "total_error_replies", sum(|s| s.errors.get()));
        line(out, "total_reads_processed", sum(|s| s.reads.get()));
        line(out, "total_writes_processed", sum(|s| s.writes.get()));
    }
}

fn info_cpu(out: &mut String) {
    let usage = process::usage();
    line(out, "used_cpu_sys", format_args!("{:.6}", usage.system_s));
    line(out, "used_cpu_user", format_args!("{:.6}", usage.user_s));
}

fn line(out: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{name}:{value}\r\n");
}
