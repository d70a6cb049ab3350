//! INFO as a tenant sees it: of itself, and nothing that tells of others.

use std::sync::atomic::Ordering;

use reef_engine::host::DataFigures;
use reef_engine::tenancy::Quota;

use super::Tenant;
use crate::clients::Card;
use crate::clock::{now_ms, now_us};
use crate::info::line;
use crate::server::Shared;

impl Tenant {
    /// Appends the lines of a section.
    pub(crate) fn info(&self, section: &str, data: DataFigures, shared: &Shared, out: &mut String) {
        match section {
            "server" => {
                line(out, "reef_version", env!("CARGO_PKG_VERSION"));
                line(out, "arch_bits", usize::BITS);
                line(out, "server_time_usec", now_us());
                line(out, "uptime_in_seconds", now_ms().since(shared.started_at) / 1000);
                line(out, "tenant", self.name());
            }
            "clients" => {
                let all = shared.post.clients.all();
                let own = |card: &&std::sync::Arc<Card>| {
                    card.tenant().is_some_and(|tenant| std::ptr::eq(&**tenant, self))
                };
                let waits = |card: &std::sync::Arc<Card>| card.waiting.load(Ordering::Relaxed);
                let waiting = all.iter().filter(own).filter(|card| waits(card)).count();
                line(out, "connected_clients", self.connections());
                if let Some(limit) = self.limit(Quota::Connections) {
                    line(out, "maxclients", limit);
                }
                line(out, "blocked_clients", waiting);
                line(out, "tracking_clients", self.post.tracking.lock().totals().clients);
            }
            "memory" => {
                line(out, "used_memory", data.bytes);
                line(out, "maxmemory", self.limit(Quota::Memory).unwrap_or(0));
                line(out, "maxmemory_policy", &shared.options().memory_policy);
            }
            "persistence" => line(out, "loading", u8::from(shared.loading.is_on())),
            "stats" => {
                let (commands, refused) = self.counts();
                line(out, "total_commands_processed", commands);
                let subscribed = self.post.subscriptions.lock().statistics();
                let tracked = self.post.tracking.lock().statistics();
                for (name, count) in subscribed.into_iter().chain(tracked) {
                    line(out, name, count);
                }
                line(out, "commands_over_quota", refused);
            }
            "replication" => {
                let role = if shared.replication.is_replica() { "slave" } else { "master" };
                line(out, "role", role);
            }
            "plugins" => {
                if let Some(extension) = self.extension.get() {
                    extension.info(out);
                }
            }
            _ => {}
        }
    }
}
