//! What the server keeps on disk: when it is saved, what is under way, how it went.
//!
//! - `snapshots.rs` writes the data of one instant while it changes;
//! - `saver.rs` is the thread that does so: snapshots, rewrites of the log, the last save before the
//!   end;
//! - `stopping.rs` is the end;
//! - `loading.rs` reads all of it back, `reloading.rs` for DEBUG.
//!
//! The files themselves are the business of `reef-storage`.

mod expired;
mod loading;
mod pace;
mod reloading;
mod saver;
mod snapshots;
mod status;
mod stopping;

use std::path::PathBuf;
use std::sync::Arc;

use reef_engine::gates::DiskFailure;
use reef_storage::{AppendFiles, Fsync, RealDisk, SharedDisk};

pub(crate) use expired::Expired;
pub use loading::LoadFailure;
pub(crate) use loading::{Loading, Meeting, Summary, read_snapshot};
pub use pace::Pace;
pub(crate) use saver::Saver;
pub(crate) use snapshots::{Begun, begin_snapshot};

use crate::clock::now_ms;
use crate::server::Shared;

/// What is kept where, and how well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistenceOptions {
    /// The folder of all files (`dir`).
    pub dir: PathBuf,
    /// The snapshot's name (`dbfilename`).
    pub snapshot_name: String,
    /// After how many seconds with how many changes a snapshot is made (`save`).
    pub save_points: Vec<(u64, u64)>,
    /// Whether snapshots are compressed (`rdbcompression`).
    pub is_compressed: bool,
    /// Whether writes are refused after a snapshot failed (`stop-writes-on-bgsave-error`).
    pub stops_writes_on_error: bool,
    /// Whether there is a log (`appendonly`).
    pub append_only: bool,
    /// When it is synced (`appendfsync`).
    pub fsync: Fsync,
    /// The log's folder within `dir` (`appenddirname`).
    pub append_folder: String,
    /// What the names of its files begin with (`appendfilename`).
    pub append_name: String,
    /// By how many per cent the log may grow before it is rewritten; 0: it is not
    /// (`auto-aof-rewrite-percentage`).
    pub rewrite_percentage: u64,
    /// Smaller logs are left alone (`auto-aof-rewrite-min-size`).
    pub rewrite_bytes_min: u64,
    /// Whether a torn end of the log is cut off at the start (`aof-load-truncated`).
    pub cuts_torn_log: bool,
    /// Whether the log's base is a snapshot and not commands (`aof-use-rdb-preamble`).
    pub base_is_snapshot: bool,
    /// Whether the log tells when its commands were run (`aof-timestamp-enabled`).
    pub tells_times: bool,
    /// Whether files stay that a rewrite of the log has replaced (`aof-disable-auto-gc`).
    pub keeps_history: bool,
    /// Whether snapshots of versions that are not known are read (`rdb-version-check`).
    pub reads_any_version: bool,
    /// How slowly keys are saved (`rdb-key-save-delay`).
    pub save_pace: Pace,
    /// How slowly keys are loaded (`key-load-delay`).
    pub load_pace: Pace,
}

impl Default for PersistenceOptions {
    /// Nothing is kept.
    fn default() -> Self {
        Self {
            dir: PathBuf::from("."),
            snapshot_name: "dump.rdb".to_owned(),
            save_points: Vec::new(),
            is_compressed: true,
            stops_writes_on_error: true,
            append_only: false,
            fsync: Fsync::EverySecond,
            append_folder: "appendonlydir".to_owned(),
            append_name: "appendonly.aof".to_owned(),
            rewrite_percentage: 100,
            rewrite_bytes_min: 64 * 1024 * 1024,
            cuts_torn_log: true,
            base_is_snapshot: true,
            tells_times: false,
            keeps_history: false,
            reads_any_version: false,
            save_pace: Pace::default(),
            load_pace: Pace::default(),
        }
    }
}

impl PersistenceOptions {
    /// Where the snapshot is.
    pub(crate) fn snapshot_path(&self) -> PathBuf {
        self.dir.join(&self.snapshot_name)
    }

    /// The files of the log.
    pub(crate) fn open_log(&self, disk: &SharedDisk) -> std::io::Result<AppendFiles> {
        AppendFiles::open(disk.clone(), &self.dir, &self.append_folder, &self.append_name)
    }
}

/// The disk that a server uses.
pub(crate) fn real_disk() -> SharedDisk {
    Arc::new(RealDisk)
}

impl Shared {
    /// What stands in the way of commands, as far as the disk is concerned.
    pub(crate) fn disk_failure(&self) -> Option<DiskFailure> {
        if self.store.log().is_failing() {
            return self.store.log().failure().map(DiskFailure::Log);
        }
        if !self.saver.is_failing() {
            return None;
        }
        let options = self.options();
        let matters = options.persistence.stops_writes_on_error
            && !options.persistence.save_points.is_empty();
        matters.then_some(DiskFailure::Snapshot)
    }

    /// Puts changed directives into effect; `was_logging` is what they said of the log before. The
    /// server has them already, because the saver looks there whether there is to be a log.
    pub(crate) fn follow_persistence(&self, was_logging: bool) {
        let options = self.options();
        self.configure_log(&options.persistence);
        if !options.persistence.keeps_history {
            self.saver.want_no_history();
        }
        match (was_logging, options.persistence.append_only) {
            (false, true) => self.saver.want_rewrite(),
            (true, false) => {
                self.saver.want_no_log();
                self.refuse_log_waits();
            }
            _ => {}
        }
    }

    /// Lets the log be written as these options say.
    pub(crate) fn configure_log(&self, options: &PersistenceOptions) {
        let log = self.store.log();
        log.set_fsync(options.fsync);
        log.set_clock(options.tells_times.then_some(|| now_ms().seconds()));
        log.set_keeps_history(options.keeps_history);
    }

    /// Removes what rewrites of the log have replaced, unless it is to stay.
    pub(crate) fn forget_log_history(&self) {
        if let Err(error) = self.store.log().forget_history() {
            tracing::warn!("files that are no part of the append-only file stay: {error}");
        }
    }

    /// Ends the log.
    pub(crate) fn end_log(&self) {
        let log = self.store.log();
        if let Err(error) = log.finish() {
            tracing::error!("the end of the append-only file is not written: {error}");
        }
        self.freeze(|_| log.turn_off());
        self.follow_copies();
    }
}
