//! What Reef keeps on disk, in Redis's own formats: the append-only log with its manifest, and
//! snapshots as RDB files.
//!
//! - [`Disk`] is all that is asked of a file system; [`RealDisk`] is the operating system's, and
//!   [`simulated`] one that loses and tears what was not synced;
//! - [`Log`] takes the effects of steps in their order, and says when they are as durable as the
//!   policy wants;
//! - [`AppendFiles`] is the folder of a log: base, increments, manifest;
//! - [`load_log`] reads a log back; [`SnapshotFile`] is an RDB file under way.
//!
//! Invariants: what [`Log::settle`] has said to be settled under `always` survives a power cut; a
//! file that others may read is replaced as a whole or not at all. This crate knows neither sockets
//! nor clocks.

mod append_files;
mod disk;
mod encoder;
mod loading;
mod log;
mod manifest;
mod replay;
pub mod simulated;
mod snapshot_file;

pub use append_files::{AppendFiles, Part};
pub use disk::{Disk, DiskFile, RealDisk, SharedDisk};
pub use encoder::Encoder;
pub use loading::{Cut, LoadError, Loaded, Loader, load_log};
pub use log::{Fsync, Log, LogStatus, Rewrite};
pub use manifest::{Damage as ManifestDamage, Entry, Kind, Manifest};
pub use replay::{Damage, Ending, is_snapshot, read_commands};
pub use snapshot_file::SnapshotFile;
