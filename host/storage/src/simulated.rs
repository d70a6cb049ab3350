//! A disk in memory that can be full, fail, and lose power: for tests.
//!
//! Content and names are what the program sees until [`SimulatedDisk::cut_power`]; then what was
//! synced is there, and of everything else a part that a seed decides: of the names an early part of
//! their changes, of each file an early part of its writes, the last of them torn or followed by
//! zeros. Deterministic: the same calls and the same seed give the same disk.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, DiskFile};

/// A disk in memory. Clones are one disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    names: Names,
    durable_names: Names,
    /// Changes of names since their folder was synced.
    renamings: Vec<Renaming>,
    inodes: Vec<Inode>,
    /// Operations so far that change something.
    operations: u64,
    /// From this operation on nothing works: the power is gone.
    power_until: Option<u64>,
    /// Bytes that all files together may have.
    capacity: Option<u64>,
    /// Whether syncing a file fails, losing what was not synced.
    syncs_fail: bool,
}

type Names = BTreeMap<PathBuf, usize>;

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// How long the content was after each change since the last sync.
    lengths: Vec<usize>,
}

#[derive(Debug)]
enum Renaming {
    Put(PathBuf, usize),
    Remove(PathBuf),
}

impl Renaming {
    fn path(&self) -> &Path {
        match self {
            Self::Put(path, _) | Self::Remove(path) => path,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Put(path, inode) => drop(names.insert(path.clone(), *inode)),
            Self::Remove(path) => drop(names.remove(path)),
        }
    }
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations changed something so far.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// Lets `operations` more succeed; then the power is gone.
    pub fn cut_power_after(&self, operations: u64) {
        let mut state = self.0.lock();
        state.power_until = Some(state.operations + operations);
    }

    /// Lets all files together have at most so many bytes.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// Lets syncing files fail, or work again.
    pub fn fail_syncs(&self, fail: bool) {
        self.0.lock().syncs_fail = fail;
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        let state = self.0.lock();
        state.names.values().map(|inode| state.inodes[*inode].content.len() as u64).sum()
    }

    /// The content of a file.
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.lock();
        Some(state.inodes[*state.names.get(path)?].content.clone())
    }

    /// Puts content where a file is, as somebody else would.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        let mut state = self.0.lock();
        let inode = state.inodes.len();
        let durable = content.clone();
        state.inodes.push(Inode { content, durable, lengths: Vec::new() });
        state.names.insert(path.to_owned(), inode);
        state.durable_names.insert(path.to_owned(), inode);
    }

    /// The disk as it is after a power cut. `seed` decides what of the unsynced part is there.
    pub fn after_power_cut(&self, seed: u64) -> Self {
        let state = self.0.lock();
        let mut random = Seeded(seed | 1);
        let mut names = state.durable_names.clone();
        let kept = random.below(state.renamings.len() + 1);
        state.renamings[..kept].iter().for_each(|renaming| renaming.apply(&mut names));
        let inodes = state.inodes.iter().map(|inode| inode.after_power_cut(&mut random)).collect();
        let state =
            State { names: names.clone(), durable_names: names, inodes, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Inode {
    fn after_power_cut(&self, random: &mut Seeded) -> Self {
        let content = if self.lengths.is_empty() {
            self.durable.clone()
        } else {
            let kept = random.below(self.lengths.len() + 1);
            let whole = if kept == 0 { self.durable.len() } else { self.lengths[kept - 1] };
            let whole = whole.min(self.content.len());
            // The write after those that are there may be there in part, or as zeros.
            let next = self.lengths.get(kept).map_or(whole, |len| (*len).min(self.content.len()));
            let mut content = self.content[..whole].to_vec();
            if next > whole {
                let torn = whole + random.below(next - whole + 1);
                content.extend_from_slice(&self.content[whole..torn]);
                if random.below(4) == 0 {
                    content.resize(next, 0);
                }
            }
            content
        };
        Self { durable: content.clone(), content, lengths: Vec::new() }
    }
}

/// A small generator: tests must be repeatable.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

impl State {
    /// Counts an operation, which fails when the power is gone.
    fn operate(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.power_until.is_some_and(|until| self.operations > until) {
            return Err(io::Error::other("no power"));
        }
        Ok(())
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&mut self, renaming: Renaming) {
        renaming.apply(&mut self.names);
        self.renamings.push(renaming);
    }

    fn room(&self) -> u64 {
        let used: u64 = self.names.values().map(|i| self.inodes[*i].content.len() as u64).sum();
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used))
    }
}

impl Disk for SimulatedDisk {
    fn read(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let state = self.0.lock();
        let inode = state.inode(path)?;
        Ok(Box::new(Cursor::new(state.inodes[inode].content.clone())))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        let state = self.0.lock();
        Ok(state.inodes[state.inode(path)?].content.len() as u64)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.operate()?;
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.rename(Renaming::Put(path.to_owned(), inode));
        Ok(Arc::new(OpenFile { disk: self.clone(), inode }))
    }

    fn append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let found = self.0.lock().inode(path);
        match found {
            Ok(inode) => Ok(Arc::new(OpenFile { disk: self.clone(), inode })),
            Err(_) => self.create(path),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        let inode = state.inode(from)?;
        // One change: a power cut never leaves both or neither.
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        state.renamings.push(Renaming::Put(to.to_owned(), inode));
        state.renamings.push(Renaming::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        state.inode(path)?;
        state.rename(Renaming::Remove(path.to_owned()));
        Ok(())
    }

    fn make_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        let (synced, rest) = std::mem::take(&mut state.renamings)
            .into_iter()
            .partition(|renaming: &Renaming| renaming.path().parent() == Some(path));
        state.renamings = rest;
        let synced: Vec<Renaming> = synced;
        synced.iter().for_each(|renaming| renaming.apply(&mut state.durable_names));
        Ok(())
    }

    fn names(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let inside = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_string_lossy().into())).collect())
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl DiskFile for OpenFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        state.operate()?;
        let room = usize::try_from(state.room()).unwrap_or(usize::MAX);
        let count = bytes.len().min(room);
        if count == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut state.inodes[self.inode];
        inode.content.extend_from_slice(&bytes[..count]);
        inode.lengths.push(inode.content.len());
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.operate()?;
        let fails = state.syncs_fail;
        let inode = &mut state.inodes[self.inode];
        if fails {
            // As on Linux: the pages count as clean from now on, whatever became of them.
            inode.lengths.clear();
            return Err(io::Error::other("the disk is failing"));
        }
        inode.durable = inode.content.clone();
        inode.lengths.clear();
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.operate()?;
        let inode = &mut state.inodes[self.inode];
        inode.content.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        inode.lengths.push(inode.content.len());
        Ok(())
    }
}
