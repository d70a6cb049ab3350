//! An RDB file that is being written: under a temporary name until it is complete and durable.
//!
//! What stands in it is the engine's business; this file counts its bytes and its checksum.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{DiskFile, SharedDisk};

/// An RDB file under way. Dropped before [`SnapshotFile::finish`], it is removed.
#[derive(Debug)]
pub struct SnapshotFile {
    disk: SharedDisk,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    is_done: bool,
}

impl SnapshotFile {
    /// Begins a file under a temporary name.
    pub fn create(disk: SharedDisk, path: PathBuf) -> io::Result<Self> {
        let file = disk.create(&path)?;
        Ok(Self { disk, path, file, is_done: false })
    }

    /// Writes on.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Makes what was written durable, where it is.
    pub fn finish(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.is_done = true;
        Ok(())
    }

    /// Makes it durable and gives it its name, in place of an older one.
    pub fn finish_as(&mut self, path: &Path) -> io::Result<()> {
        self.file.sync()?;
        self.disk.rename(&self.path, path)?;
        self.is_done = true;
        self.disk.sync_folder(path.parent().unwrap_or(Path::new(".")))
    }
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        if !self.is_done {
            // A leftover does no harm but take room.
            let _ = self.disk.remove(&self.path);
        }
    }
}
