//! The append-only log: effects in their one order, and when they are durable enough to be answered.
//!
//! A step appends its effects while it holds its shards, so the log's order agrees with every key's;
//! that copies bytes in memory and nothing else. Before a reply goes out its worker calls
//! [`Log::settle`], which writes what everybody has appended and, under `always`, syncs it: whoever
//! comes while another syncs finds its own done (group commit).
//!
//! Invariants:
//! - bytes reach the file in the order in which they were appended, whole units only;
//! - `settled` never passes what is written and, under `always`, synced;
//! - after a failed sync nothing in that file is trusted: only a new base ends the failure.
//!
//! Locks: `files` before any shard before `tail`. Who holds shards may ask how the log is doing, since
//! that is told without `files`; to settle it he may only try.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::append_files::AppendFiles;
use crate::encoder::Encoder;

/// When the log is synced (`appendfsync`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before every reply.
    Always,
    /// Once a second.
    #[default]
    EverySecond,
    /// When the operating system likes.
    No,
}

/// How the log is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogStatus {
    /// Why commands could not be written or synced, until they could.
    pub error: Option<String>,
    /// Bytes appended and not written yet.
    pub unwritten: u64,
    /// Bytes of the base at the last rewrite, or at the start.
    pub base_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// The log of one engine.
#[derive(Debug, Default)]
pub struct Log {
    is_on: AtomicBool,
    fsync: AtomicU8,
    /// Commands under way to the file.
    tail: Mutex<Tail>,
    /// Bytes ever appended.
    appended: AtomicU64,
    /// Bytes of them that are as durable as the policy wants.
    settled: AtomicU64,
    is_failing: AtomicBool,
    keeps_history: AtomicBool,
    shown: Shown,
    files: Mutex<Files>,
}

/// Commands under way to the file.
#[derive(Debug, Default)]
struct Tail {
    encoder: Encoder,
    /// Gives the second it is, if the log is to tell when its commands were run.
    clock: Option<fn() -> u64>,
    /// The second that was told last.
    told_s: u64,
}

/// What is told of the files without holding them.
#[derive(Debug, Default)]
struct Shown {
    /// Bytes ever written.
    written: AtomicU64,
    /// Bytes known to be synced.
    synced: AtomicU64,
    /// Bytes of the base, and of all files.
    base_bytes: AtomicU64,
    bytes: AtomicU64,
    /// A leaf: whoever holds it takes no other lock.
    error: Mutex<Option<(io::ErrorKind, String)>>,
}

#[derive(Debug, Default)]
struct Files {
    files: Option<AppendFiles>,
    /// Bytes ever written.
    written: u64,
    /// Bytes known to be synced.
    synced: u64,
    /// Whether a sync failed, so that written bytes may be lost although a later sync succeeds.
    is_suspect: bool,
    /// Kept from write to write for its memory.
    spare: Vec<u8>,
}

/// A rewrite under way: a new base is being made.
#[derive(Debug)]
pub struct Rewrite {
    /// The first increment that the new base does not cover.
    first_increment: u64,
    /// Where the new base goes. To be synced by the caller.
    pub path: PathBuf,
}

/// How long who holds shards waits for the files.
const PATIENCE: Duration = Duration::from_secs(1);
/// Whole buffers larger than this are given back after a burst.
const SPARE_BYTES_MAX: usize = 1024 * 1024;

impl Log {
    /// Whether effects are to be appended.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Sets the policy.
    pub fn set_fsync(&self, fsync: Fsync) {
        self.fsync.store(fsync as u8, Ordering::Release);
    }

    /// The policy.
    pub fn fsync(&self) -> Fsync {
        match self.fsync.load(Ordering::Acquire) {
            0 => Fsync::Always,
            1 => Fsync::EverySecond,
            _ => Fsync::No,
        }
    }

    /// Lets the log tell the second in which commands were run, or not (`aof-timestamp-enabled`).
    pub fn set_clock(&self, clock: Option<fn() -> u64>) {
        self.tail.lock().clock = clock;
    }

    /// Whether files that a rewrite has replaced stay (`aof-disable-auto-gc`).
    pub fn set_keeps_history(&self, keeps: bool) {
        self.keeps_history.store(keeps, Ordering::Release);
    }

    /// Removes files that stayed, unless they are to stay.
    pub fn forget_history(&self) -> io::Result<()> {
        let mut files = self.files.lock();
        match &mut files.files {
            Some(parts) if !self.keeps_history.load(Ordering::Acquire) => parts.forget_history(),
            _ => Ok(()),
        }
    }

    /// Whether the last attempt to write or sync failed: writes are to be refused.
    #[inline]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Why the last attempt to write or sync failed, if it did, in the system's words.
    pub fn failure(&self) -> Option<&'static str> {
        let kind = self.is_failing().then(|| self.shown.error.lock().as_ref().map(|e| e.0))??;
        Some(match kind {
            io::ErrorKind::StorageFull => "No space left on device",
            io::ErrorKind::PermissionDenied => "Permission denied",
            io::ErrorKind::ReadOnlyFilesystem => "Read-only file system",
            io::ErrorKind::QuotaExceeded => "Disk quota exceeded",
            io::ErrorKind::FileTooLarge => "File too large",
            _ => "Input/output error",
        })
    }

    /// Goes on with the files of a log that was loaded. Gives whether there were any; if not the caller
    /// begins with a rewrite.
    pub fn resume(&self, mut opened: AppendFiles) -> io::Result<bool> {
        let mut files = self.files.lock();
        let has_increment = opened.resume()?;
        self.shown.measure(&opened, true);
        files.files = Some(opened);
        self.is_on.store(has_increment, Ordering::Release);
        Ok(has_increment)
    }

    /// Appends what must take effect as a whole: commands, each with its database. To be called with
    /// the shards held that the commands changed.
    pub fn append<B: AsRef<[u8]>>(&self, unit: impl IntoIterator<Item = (u32, B)>) {
        self.append_by(|encoder| encoder.append(unit));
    }

    /// The same for a single command.
    #[inline]
    pub fn append_one(&self, database: u32, command: &[u8]) {
        self.append_by(|encoder| encoder.append_one(database, command));
    }

    #[inline]
    fn append_by(&self, append: impl FnOnce(&mut Encoder) -> usize) {
        let mut tail = self.tail.lock();
        let added = (tail.tell_time() + append(&mut tail.encoder)) as u64;
        // Only who holds the tail adds.
        let appended = self.appended.load(Ordering::Relaxed) + added;
        self.appended.store(appended, Ordering::Release);
    }

    /// Bytes ever appended.
    pub fn appended(&self) -> u64 {
        self.appended.load(Ordering::Acquire)
    }

    /// Bytes of them that are known to be synced.
    pub fn synced(&self) -> u64 {
        self.shown.synced.load(Ordering::Acquire)
    }

    /// Whether everything appended so far is as durable as the policy wants.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire) == self.appended.load(Ordering::Acquire)
    }

    /// Makes everything appended so far as durable as the policy wants. After an error what is
    /// missing stays with the log, to be tried again.
    pub fn settle(&self) -> io::Result<()> {
        let target = self.appended.load(Ordering::Acquire);
        if self.settled.load(Ordering::Acquire) >= target {
            return Ok(());
        }
        let mut files = self.files.lock();
        if self.settled.load(Ordering::Acquire) >= target {
            return Ok(());
        }
        let result = self.settle_locked(&mut files);
        self.note(&mut files, result)
    }

    /// The same for who holds shards. An error, too, if somebody else has the files for long: who
    /// begins a rewrite waits for shards.
    pub fn try_settle(&self) -> io::Result<()> {
        let Some(mut files) = self.files.try_lock_for(PATIENCE) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let result = self.settle_locked(&mut files);
        self.note(&mut files, result)
    }

    fn settle_locked(&self, files: &mut Files) -> io::Result<()> {
        files.check()?;
        self.write_tail(files)?;
        if self.fsync() == Fsync::Always {
            files.sync()?;
        }
        self.settled.store(files.written, Ordering::Release);
        Ok(())
    }

    /// Hands everything appended so far to the file.
    fn write_tail(&self, files: &mut Files) -> io::Result<()> {
        if files.spare.is_empty() {
            self.tail.lock().encoder.swap(&mut files.spare);
        }
        while !files.spare.is_empty() {
            self.shown.bytes.fetch_add(files.write_spare()?, Ordering::Relaxed);
            self.tail.lock().encoder.swap(&mut files.spare);
        }
        Ok(())
    }

    fn note(&self, files: &mut Files, result: io::Result<()>) -> io::Result<()> {
        self.shown.written.store(files.written, Ordering::Release);
        self.shown.synced.store(files.synced, Ordering::Release);
        let was_failing = self.is_failing();
        match &result {
            Ok(()) if files.is_suspect || !was_failing => {}
            Ok(()) => {
                tracing::info!("AOF write error looks solved, can write again.");
                *self.shown.error.lock() = None;
                self.is_failing.store(false, Ordering::Release);
            }
            Err(error) => {
                if !was_failing {
                    tracing::error!("Error writing to the AOF file: {error}");
                }
                *self.shown.error.lock() = Some((error.kind(), error.to_string()));
                self.is_failing.store(true, Ordering::Release);
            }
        }
        result
    }

    /// To be called once a second by a thread of its own: syncs what is written, and tries again what
    /// failed. Gives whether only a rewrite can help.
    pub fn tend(&self) -> bool {
        let mut files = self.files.lock();
        if files.files.as_ref().is_none_or(|files| !files.is_open()) {
            return false;
        }
        if self.is_failing() {
            let result = self.settle_locked(&mut files);
            // The result is in the status.
            let _ = self.note(&mut files, result);
            return files.is_suspect;
        }
        if self.fsync() != Fsync::EverySecond || files.synced == files.written {
            return false;
        }
        let written = files.written;
        let file = files.files.as_ref().and_then(AppendFiles::current);
        // Others may write meanwhile.
        drop(files);
        let result = file.map_or(Ok(()), |file| file.sync());
        let mut files = self.files.lock();
        match &result {
            Ok(()) => files.synced = files.synced.max(written),
            Err(_) => files.is_suspect = true,
        }
        let _ = self.note(&mut files, result);
        files.is_suspect
    }

    /// Writes and syncs everything, whatever the policy: before the end.
    pub fn finish(&self) -> io::Result<()> {
        let mut files = self.files.lock();
        if !self.is_on() {
            return Ok(());
        }
        let result = self.write_tail(&mut files).and_then(|()| files.sync());
        if result.is_ok() {
            self.settled.store(files.written, Ordering::Release);
        }
        self.note(&mut files, result)
    }

    /// Stops logging. To be called with all shards held, after [`Log::finish`].
    pub fn turn_off(&self) {
        self.is_on.store(false, Ordering::Release);
        let mut tail = self.tail.lock();
        self.appended.store(self.settled.load(Ordering::Acquire), Ordering::Release);
        tail.encoder = Encoder::default();
    }

    /// How it is doing.
    pub fn status(&self) -> LogStatus {
        let shown = &self.shown;
        let written = shown.written.load(Ordering::Acquire);
        LogStatus {
            error: shown.error.lock().as_ref().map(|(_, text)| text.clone()),
            unwritten: self.appended().saturating_sub(written),
            base_bytes: shown.base_bytes.load(Ordering::Relaxed),
            bytes: shown.bytes.load(Ordering::Relaxed),
        }
    }

    /// Begins to replace the log by the data at one instant. `freeze` holds all shards, calls what it
    /// is given, and begins a snapshot: everything appended before the call is in the old files,
    /// everything after it in a new one. Logging is on from then on.
    pub fn begin_rewrite<R>(
        &self,
        opened: Option<AppendFiles>,
        freeze: impl FnOnce(&mut dyn FnMut() -> io::Result<()>) -> io::Result<R>,
    ) -> io::Result<(Rewrite, R)> {
        let mut guard = self.files.lock();
        let files = &mut *guard;
        if opened.is_some() {
            files.files = opened;
        }
        let Some(parts) = &mut files.files else { return Err(io::ErrorKind::NotFound.into()) };
        let mut next = Some(parts.prepare_increment(self.is_on())?);
        let rewrite = Rewrite {
            first_increment: next.as_ref().map_or(0, |next| next.number),
            path: parts.temporary_base(),
        };
        let mut old = None;
        // What cannot be written where it belongs will be in the new base. Most of the rest is
        // written while nobody is held up.
        let mut is_lost = files.is_suspect || self.is_on() && self.write_tail(files).is_err();
        let frozen = freeze(&mut || {
            is_lost |= self.is_on() && !is_lost && self.write_tail(files).is_err();
            if is_lost {
                files.is_suspect = true;
                self.leave_to_base(files);
            }
            let (Some(parts), Some(next)) = (&mut files.files, next.take()) else { return Ok(()) };
            old = parts.switch(next);
            // The next command in the new file says which database it is for.
            self.tail.lock().encoder.forget_database();
            self.is_on.store(true, Ordering::Release);
            Ok(())
        })?;
        if let Some(old) = old.filter(|_| !is_lost) {
            // Before anything in the new file counts as settled.
            let result = old.sync();
            files.is_suspect |= result.is_err();
            self.note(files, result)?;
        }
        files.synced = files.written;
        if let Some(parts) = &files.files {
            self.shown.measure(parts, false);
        }
        self.shown.written.store(files.written, Ordering::Release);
        self.shown.synced.store(files.synced, Ordering::Release);
        Ok((rewrite, frozen))
    }

    /// What was appended and cannot be written any more will be in the new base.
    fn leave_to_base(&self, files: &mut Files) {
        let mut tail = self.tail.lock();
        files.written += (files.spare.len() + tail.encoder.take().len()) as u64;
        files.spare.clear();
    }

    /// Ends a rewrite: the new base, a snapshot or commands, is complete and durable.
    pub fn finish_rewrite(&self, rewrite: &Rewrite, is_snapshot: bool) -> io::Result<()> {
        let mut files = self.files.lock();
        let Some(parts) = &mut files.files else { return Err(io::ErrorKind::NotFound.into()) };
        parts.replace_base(rewrite.first_increment, is_snapshot)?;
        if !self.keeps_history.load(Ordering::Acquire) {
            parts.forget_history()?;
        }
        self.shown.measure(parts, true);
        if files.is_suspect {
            // What may be lost is in the new base; what came after it is tried now.
            files.is_suspect = false;
            let result = self.settle_locked(&mut files);
            return self.note(&mut files, result);
        }
        Ok(())
    }
}

impl Tail {
    /// Tells the second if it is another one. Gives how many bytes that are.
    #[inline]
    fn tell_time(&mut self) -> usize {
        let Some(clock) = self.clock else { return 0 };
        let now_s = clock();
        if now_s <= self.told_s {
            return 0;
        }
        self.told_s = now_s;
        self.encoder.annotate(&format!("TS:{now_s}"))
    }
}

impl Shown {
    /// Asks the disk how large the files are; together they are the base of what comes if `is_base`.
    fn measure(&self, files: &AppendFiles, is_base: bool) {
        let (_, bytes) = files.sizes();
        self.bytes.store(bytes, Ordering::Relaxed);
        if is_base {
            self.base_bytes.store(bytes, Ordering::Relaxed);
        }
    }
}

impl Files {
    /// Gives how many bytes that are.
    fn write_spare(&mut self) -> io::Result<u64> {
        let Some(files) = &mut self.files else { return Err(io::ErrorKind::NotConnected.into()) };
        files.write(&self.spare)?;
        let count = self.spare.len() as u64;
        self.written += count;
        self.spare.clear();
        if self.spare.capacity() > SPARE_BYTES_MAX {
            self.spare = Vec::new();
        }
        Ok(count)
    }

    /// Whether the file may be written to.
    fn check(&self) -> io::Result<()> {
        if self.is_suspect { Err(io::Error::other("an earlier sync failed")) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.check()?;
        if self.synced == self.written {
            return Ok(());
        }
        let Some(file) = self.files.as_ref().and_then(AppendFiles::current) else { return Ok(()) };
        let result = file.sync();
        match &result {
            Ok(()) => self.synced = self.written,
            Err(_) => self.is_suspect = true,
        }
        result
    }
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::No => "no",
        })
    }
}
