//! The section `replication` of INFO.

use std::sync::atomic::Ordering;

use super::stream::{Copier, Phase};
use crate::clock::now_ms;
use crate::info::line;
use crate::server::Shared;

const NO_ID: &str = "0000000000000000000000000000000000000000";

impl Shared {
    /// Appends what is known of primary and replicas.
    pub(crate) fn info_replication(&self, out: &mut String) {
        let is_replica = self.info_primary(out);
        if !is_replica {
            line(out, "role", "master");
        }
        let options = self.options().replication.clone();
        let handover = self.replication.handover.lock().word();
        let history = self.replication.stream.history();
        let shown = history.copiers.values().filter(|copier| copier.is_replica());
        let shown: Vec<&Copier> = shown.collect();
        line(out, "connected_slaves", shown.len());
        if options.replicas_min > 0 {
            line(out, "min_slaves_good_slaves", self.replication.stream.good_replicas());
        }
        for (index, copier) in shown.into_iter().enumerate() {
            let state = match copier.phase {
                Phase::Introduced | Phase::Waiting => "wait_bgsave",
                Phase::Receiving | Phase::Loading => "send_bulk",
                Phase::Online => "online",
            };
            let lag_s = now_ms().since(copier.heard_at) / 1000;
            let (address, port) = (copier.shown_address(), copier.port);
            let offset = copier.acknowledged;
            line(
                out,
                &format!("slave{index}"),
                format_args!("ip={address},port={port},state={state},offset={offset},lag={lag_s}"),
            );
        }
        line(out, "master_failover_state", handover);
        line(out, "master_replid", &history.id);
        let second = history.second.as_ref();
        line(out, "master_replid2", second.map_or(NO_ID, |(id, _)| id));
        line(out, "master_repl_offset", history.end);
        line(out, "second_repl_offset", second.map_or(-1, |(_, until)| *until as i64 + 1));
        let backlog = history.backlog.as_ref();
        line(out, "repl_backlog_active", u8::from(backlog.is_some()));
        line(out, "repl_backlog_size", options.backlog_bytes);
        line(out, "repl_backlog_first_byte_offset", backlog.map_or(0, |log| log.start() + 1));
        line(out, "repl_backlog_histlen", backlog.map_or(0, |log| log.len()));
    }

    /// Appends what is known of the primary, if there is one.
    fn info_primary(&self, out: &mut String) -> bool {
        let primary = self.replication.primary.lock();
        let Some(primary) = &*primary else { return false };
        let options = self.options().replication.clone();
        let is_up = self.replication.is_linked.load(Ordering::Relaxed);
        let is_synchronising = primary.link == super::LinkState::Synchronising;
        let now = now_ms();
        line(out, "role", "slave");
        line(out, "master_host", &primary.host);
        line(out, "master_port", primary.port);
        line(out, "master_link_status", if is_up { "up" } else { "down" });
        let silent_s = now.since(primary.heard_at) as i64 / 1000;
        line(out, "master_last_io_seconds_ago", if is_up { silent_s } else { -1 });
        line(out, "master_sync_in_progress", u8::from(is_synchronising));
        line(out, "slave_read_repl_offset", self.replication.stream.end());
        line(out, "slave_repl_offset", self.replication.stream.end());
        if is_synchronising {
            let (read, total) = primary.snapshot_bytes;
            line(out, "master_sync_total_bytes", total.unwrap_or(0));
            line(out, "master_sync_read_bytes", read);
            line(out, "master_sync_left_bytes", total.map_or(-1, |total| (total - read) as i64));
            let share = total.map_or(0.0, |total| read as f64 * 100.0 / total.max(1) as f64);
            line(out, "master_sync_perc", format_args!("{share:.2}"));
            line(out, "master_sync_last_io_seconds_ago", 0);
        }
        if !is_up {
            line(out, "master_link_down_since_seconds", now.since(primary.down_since) / 1000);
        }
        line(out, "slave_priority", options.priority);
        line(out, "slave_read_only", u8::from(options.is_readonly));
        line(out, "replica_announced", u8::from(options.is_announced));
        true
    }
}
