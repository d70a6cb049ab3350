//! What INFO and the refusals know about saving.

use std::time::Duration;

use reef_engine::clock::Millis;

use crate::clock::now_ms;
use crate::info::line;
use crate::server::Shared;

/// What the saver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// A snapshot in its file.
    Snapshot,
    /// A new base of the log.
    Rewrite,
    /// A snapshot for replicas.
    Synchronisation,
}

/// One kind of saving: how often, how long, how it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// How often it succeeded.
    pub(crate) count: u64,
    /// Whether the last one did.
    pub(crate) is_ok: bool,
    /// How long the last one took.
    pub(crate) took: Option<Duration>,
}

impl Default for Record {
    fn default() -> Self {
        Self { count: 0, is_ok: true, took: None }
    }
}

impl Record {
    pub(crate) fn note(&mut self, is_ok: bool, took: Duration) {
        self.count += u64::from(is_ok);
        self.is_ok = is_ok;
        self.took = Some(took);
    }
}

/// How saving is doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    /// What is under way, since when.
    pub(crate) active: Option<(Task, Millis)>,
    pub(crate) snapshots: Record,
    pub(crate) rewrites: Record,
    /// When the last snapshot was complete.
    pub(crate) saved_at: Millis,
    /// When the last one was tried.
    pub(crate) tried_at: Millis,
    /// The count of changes that the last snapshot holds.
    pub(crate) saved_changes: u64,
    pub(crate) snapshot_is_scheduled: bool,
    pub(crate) rewrite_is_scheduled: bool,
    /// Keys that the start loaded, and passed over because they had expired.
    pub(crate) loaded: (u64, u64),
}

impl Shared {
    /// The section `persistence` of INFO. All shards are held: `changes` is what they count.
    pub(crate) fn info_persistence(&self, changes: u64, out: &mut String) {
        let status = self.saver.status.lock().clone();
        let since = |task: Task| match status.active {
            Some((active, at)) if active == task => now_ms().since(at) as i64 / 1000,
            _ => -1,
        };
        let runs = |task: Task| u8::from(status.active.is_some_and(|(active, _)| active == task));
        line(out, "loading", u8::from(self.loading.is_on()));
        line(out, "rdb_changes_since_last_save", changes.saturating_sub(status.saved_changes));
        line(out, "rdb_bgsave_in_progress", runs(Task::Snapshot) | runs(Task::Synchronisation));
        line(out, "rdb_last_save_time", status.saved_at.seconds());
        line(out, "rdb_last_bgsave_status", outcome(status.snapshots.is_ok));
        line(out, "rdb_last_bgsave_time_sec", seconds(status.snapshots.took));
        line(out, "rdb_current_bgsave_time_sec", since(Task::Snapshot));
        line(out, "rdb_saves", status.snapshots.count);
        line(out, "rdb_last_load_keys_loaded", status.loaded.0);
        line(out, "rdb_last_load_keys_expired", status.loaded.1);
        line(out, "aof_enabled", u8::from(self.options().persistence.append_only));
        line(out, "aof_rewrite_in_progress", runs(Task::Rewrite));
        line(out, "aof_rewrite_scheduled", u8::from(status.rewrite_is_scheduled));
        line(out, "aof_last_rewrite_time_sec", seconds(status.rewrites.took));
        line(out, "aof_current_rewrite_time_sec", since(Task::Rewrite));
        line(out, "aof_last_bgrewrite_status", outcome(status.rewrites.is_ok));
        line(out, "aof_rewrites", status.rewrites.count);
        self.info_log(out);
        if self.loading.is_on() {
            self.info_loading(out);
        }
    }

    fn info_log(&self, out: &mut String) {
        let log = self.store.log().status();
        line(out, "aof_last_write_status", outcome(log.error.is_none()));
        if self.store.log().is_on() {
            line(out, "aof_current_size", log.bytes);
            line(out, "aof_base_size", log.base_bytes);
            line(out, "aof_pending_rewrite", 0);
            line(out, "aof_buffer_length", log.unwritten);
            line(out, "aof_delayed_fsync", 0);
        }
    }

    fn info_loading(&self, out: &mut String) {
        let (started_at, bytes, total) = self.loading.position();
        let elapsed_s = now_ms().since(started_at) / 1000;
        let left_s = match bytes {
            0 => 1,
            bytes => elapsed_s * total.saturating_sub(bytes) / bytes,
        };
        line(out, "loading_start_time", started_at.seconds());
        line(out, "loading_total_bytes", total);
        line(out, "loading_loaded_bytes", bytes);
        line(
            out,
            "loading_loaded_perc",
            format_args!("{:.2}", bytes as f64 * 100.0 / total.max(1) as f64),
        );
        line(out, "loading_eta_seconds", left_s);
    }
}

fn outcome(is_ok: bool) -> &'static str {
    if is_ok { "ok" } else { "err" }
}

fn seconds(took: Option<Duration>) -> i64 {
    took.map_or(-1, |took| took.as_secs() as i64)
}
