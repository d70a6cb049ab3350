//! The folder of an append-only log: one base, increments, and the manifest that names them.
//!
//! Invariants: the manifest on disk names every file that has commands which are not in the base,
//! before the first of them is written; it is replaced as a whole; a file is removed only after a
//! manifest without it is durable. A write that failed half-way is cut off before the next one.
//!
//! What stands in the files is the caller's business, and so is when to sync them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{DiskFile, SharedDisk};
use crate::manifest::{Entry, Kind, Manifest};

/// What names of increments end with.
const INCREMENT_ENDING: &str = ".incr.aof";

/// A log's folder, opened.
#[derive(Debug)]
pub struct AppendFiles {
    disk: SharedDisk,
    folder: PathBuf,
    /// What the names of all files begin with (`appendfilename`).
    name: String,
    manifest: Manifest,
    current: Option<Current>,
}

/// The increment that is written to.
#[derive(Debug)]
struct Current {
    file: Arc<dyn DiskFile>,
    /// Its complete commands.
    len: u64,
    /// Whether bytes of a failed write may stand behind them.
    is_ragged: bool,
}

/// One file of a log, to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub len: u64,
}

/// An increment that is named by the manifest and not written to yet.
#[derive(Debug)]
pub(crate) struct NextIncrement {
    file: Arc<dyn DiskFile>,
    pub(crate) number: u64,
}

impl AppendFiles {
    /// A log's folder in `dir`, made if need be. A log that older servers kept as one file `name`
    /// beside the folder becomes its base.
    pub fn open(disk: SharedDisk, dir: &Path, folder: &str, name: &str) -> io::Result<Self> {
        let single = dir.join(name);
        let folder = dir.join(folder);
        disk.make_folder(&folder)?;
        let mut files = Self {
            disk,
            folder,
            name: name.to_owned(),
            manifest: Manifest::default(),
            current: None,
        };
        match files.read_manifest()? {
            Some(manifest) => {
                files.manifest = manifest;
                files.end_adoption(&single)?;
            }
            None if files.disk.len(&single).is_ok_and(|len| len > 0) => files.adopt(&single)?,
            None => {}
        }
        Ok(files)
    }

    fn manifest_path(&self) -> PathBuf {
        self.folder.join(format!("{}.manifest", self.name))
    }

    fn read_manifest(&self) -> io::Result<Option<Manifest>> {
        let path = self.manifest_path();
        let mut reader = match self.disk.read(&path) {
            Ok(reader) => reader,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        Manifest::parse(&text).map(Some).map_err(|damage| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}, {damage}", path.display()))
        })
    }

    /// Takes over a log of one file: named first where it is, then moved, as Redis does.
    fn adopt(&mut self, single: &Path) -> io::Result<()> {
        let base = Entry { name: self.name.clone(), number: 1, kind: Kind::Base };
        self.manifest.base = Some(base);
        self.write_manifest(&self.manifest.clone())?;
        self.end_adoption(single)
    }

    /// Moves a log of one file that the manifest names already, unless that has been done.
    fn end_adoption(&self, single: &Path) -> io::Result<()> {
        let place = self.folder.join(&self.name);
        let is_named = self.manifest.base.as_ref().is_some_and(|base| base.name == self.name);
        if !is_named || self.disk.len(&place).is_ok() || self.disk.len(single).is_err() {
            return Ok(());
        }
        self.disk.rename(single, &place)?;
        self.disk.sync_folder(&self.folder)
    }

    /// Whether there is anything to load.
    pub fn is_new(&self) -> bool {
        self.manifest.base.is_none() && self.manifest.increments.is_empty()
    }

    /// The files to load, in order.
    pub fn parts(&self) -> io::Result<Vec<Part>> {
        let entries = self.manifest.base.iter().chain(&self.manifest.increments);
        let part = |entry: &Entry| {
            let path = self.folder.join(&entry.name);
            let len = self.disk.len(&path).map_err(|error| {
                io::Error::new(error.kind(), format!("{} cannot be read: {error}", path.display()))
            })?;
            Ok(Part { name: entry.name.clone(), path, kind: entry.kind, len })
        };
        entries.map(part).collect()
    }

    /// Bytes of the base and of everything.
    pub fn sizes(&self) -> (u64, u64) {
        let len = |entry: &Entry| self.disk.len(&self.folder.join(&entry.name)).unwrap_or(0);
        let base = self.manifest.base.as_ref().map_or(0, len);
        (base, base + self.manifest.increments.iter().map(len).sum::<u64>())
    }

    /// Cuts a file of the log off at `len` bytes, durably.
    pub fn truncate(&self, part: &Part, len: u64) -> io::Result<()> {
        let file = self.disk.append(&part.path)?;
        file.truncate(len)?;
        file.sync()
    }

    /// Goes on with the last increment, or with a new one behind a base. Gives whether there was
    /// either.
    pub fn resume(&mut self) -> io::Result<bool> {
        if self.is_new() {
            return Ok(false);
        }
        let Some(last) = self.manifest.increments.last() else {
            let next = self.prepare_increment(true)?;
            self.switch(next);
            return Ok(true);
        };
        let path = self.folder.join(&last.name);
        let len = self.disk.len(&path)?;
        let file = self.disk.append(&path)?;
        self.current = Some(Current { file, len, is_ragged: false });
        Ok(true)
    }

    /// Whether commands can be written.
    pub fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Writes commands behind all others. After an error nothing of them counts.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(current) = &mut self.current else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        if current.is_ragged {
            current.file.truncate(current.len)?;
            current.is_ragged = false;
        }
        let result = current.file.write_all(bytes);
        match &result {
            Ok(()) => current.len += bytes.len() as u64,
            Err(_) => current.is_ragged = current.file.truncate(current.len).is_err(),
        }
        result
    }

    /// What commands are written to now.
    pub fn current(&self) -> Option<Arc<dyn DiskFile>> {
        Some(self.current.as_ref()?.file.clone())
    }

    /// Makes the next increment. If the log goes on, the manifest names it; if it begins anew,
    /// only the manifest that has the new base will, and what is there now will be history.
    pub(crate) fn prepare_increment(&mut self, goes_on: bool) -> io::Result<NextIncrement> {
        let number = self.next_number(&self.manifest.increments, true);
        let name = format!("{}.{number}{INCREMENT_ENDING}", self.name);
        let file = self.disk.create(&self.folder.join(&name))?;
        let entry = Entry { name, number, kind: Kind::Increment };
        if goes_on {
            let mut manifest = self.manifest.clone();
            manifest.increments.push(entry);
            self.write_manifest(&manifest)?;
            self.manifest = manifest;
        } else {
            let old = std::mem::take(&mut self.manifest);
            self.manifest.history = old.entries().cloned().collect();
            self.manifest.increments.push(entry);
        }
        Ok(NextIncrement { file, number })
    }

    /// A number that none of these files has, and none of history that was of their kind.
    fn next_number<'a>(
        &'a self,
        files: impl IntoIterator<Item = &'a Entry>,
        is_increment: bool,
    ) -> u64 {
        // Of history only the name tells what it was.
        let was_same = |entry: &&Entry| entry.name.ends_with(INCREMENT_ENDING) == is_increment;
        let history = self.manifest.history.iter().filter(was_same);
        files.into_iter().chain(history).map(|entry| entry.number).max().unwrap_or(0) + 1
    }

    /// Writes to `next` from now on; gives what was written to before.
    pub(crate) fn switch(&mut self, next: NextIncrement) -> Option<Arc<dyn DiskFile>> {
        let current = Current { file: next.file, len: 0, is_ragged: false };
        Some(self.current.replace(current)?.file)
    }

    /// Where a new base is written before it takes its place.
    pub(crate) fn temporary_base(&self) -> PathBuf {
        self.folder.join(format!("temp-{}.base", self.name))
    }

    /// Puts the temporary base, which is durable, in the place of the old one and of all increments
    /// before `first_increment`, which are history from then on.
    pub(crate) fn replace_base(&mut self, first_increment: u64, is_rdb: bool) -> io::Result<()> {
        let number = self.next_number(&self.manifest.base, false);
        let ending = if is_rdb { "rdb" } else { "aof" };
        let name = format!("{}.{number}.base.{ending}", self.name);
        self.disk.rename(&self.temporary_base(), &self.folder.join(&name))?;
        self.disk.sync_folder(&self.folder)?;
        let mut manifest = self.manifest.clone();
        let is_covered = |entry: &Entry| entry.number < first_increment;
        let (mut covered, rest): (Vec<Entry>, _) =
            manifest.increments.into_iter().partition(is_covered);
        manifest.increments = rest;
        covered.extend(manifest.base.replace(Entry { name, number, kind: Kind::Base }));
        // What was replaced last comes first.
        manifest.history.splice(..0, covered);
        manifest.history.iter_mut().for_each(|entry| entry.kind = Kind::History);
        self.write_manifest(&manifest)?;
        self.manifest = manifest;
        Ok(())
    }

    /// Removes files that are no longer part of the log.
    pub fn forget_history(&mut self) -> io::Result<()> {
        if self.manifest.history.is_empty() {
            return Ok(());
        }
        for entry in std::mem::take(&mut self.manifest.history) {
            // What is not there need not be removed.
            let _ = self.disk.remove(&self.folder.join(&entry.name));
        }
        self.write_manifest(&self.manifest.clone())
    }

    fn write_manifest(&self, manifest: &Manifest) -> io::Result<()> {
        let path = self.manifest_path();
        let temporary = self.folder.join(format!("temp-{}.manifest", self.name));
        let file = self.disk.create(&temporary)?;
        file.write_all(manifest.to_string().as_bytes())?;
        file.sync()?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_folder(&self.folder)
    }
}
