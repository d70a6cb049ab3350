//! Reads the data back: the append-only log if there is one, the snapshot otherwise.
//!
//! While that goes on the server answers that it is loading, but for what may be asked then.

use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use reef_engine::clock::Millis;
use reef_engine::gates::Conditions;
use reef_engine::keyspace::{Shards, Slot, Wanted};
use reef_engine::rdb::{self, Event, FileReader};
use reef_engine::session::Session;
use reef_engine::settings::Rules;
use reef_resp::{Argv, OwnedArgv, Writer};
use reef_storage::{LoadError, Loader, load_log};

use super::expired::Expired;
use super::pace::Pace;
use crate::clock::now_ms;
use crate::indexes::{as_run, read_field, words_of};
use crate::notices::{message_of, of_tenant};
use crate::server::Shared;
use crate::store::Store;
use crate::surroundings::BatchHost;
use crate::tenants::{Route, selected};

/// Why the data cannot be loaded.
#[derive(Debug)]
pub enum LoadFailure {
    /// The snapshot.
    Snapshot {
        /// Its file.
        path: std::path::PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The log.
    Log(LoadError),
}

impl fmt::Display for LoadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Snapshot { path, reason } => {
                write!(f, "Fatal error loading the snapshot {}: {reason}", path.display())
            }
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadFailure {}

/// How far loading has come.
#[derive(Debug)]
pub(crate) struct Loading {
    is_on: AtomicBool,
    started_at: Millis,
    bytes: AtomicU64,
    total: AtomicU64,
}

impl Default for Loading {
    /// It has just begun.
    fn default() -> Self {
        let is_on = AtomicBool::new(true);
        Self { is_on, started_at: now_ms(), bytes: AtomicU64::new(0), total: AtomicU64::new(0) }
    }
}

impl Loading {
    /// Whether it goes on.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, total: u64) {
        self.note(0);
        self.total.store(total, Ordering::Relaxed);
        self.is_on.store(true, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.is_on.store(false, Ordering::Release);
    }

    /// So many bytes of so many are loaded.
    fn note_of(&self, bytes: u64, total: u64) {
        self.note(bytes);
        self.total.store(total, Ordering::Relaxed);
    }

    /// So many bytes are loaded.
    pub(crate) fn note(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// When it began, how many bytes are loaded, and how many there are.
    pub(crate) fn position(&self) -> (Millis, u64, u64) {
        let (bytes, total) = (&self.bytes, &self.total);
        (self.started_at, bytes.load(Ordering::Relaxed), total.load(Ordering::Relaxed))
    }
}

/// What a snapshot told of itself, and how many keys it had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) keys: u64,
    /// Keys that had expired.
    pub(crate) passed_over: u64,
    /// The fields of its header.
    pub(crate) aux: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Summary {
    /// A field of the header.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.aux.iter().find(|(field, _)| field == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }
}

/// Bytes that are decoded before others may have the shards.
const CHUNK_BYTES: usize = 1 << 20;

/// The same when keys are loaded slowly.
const SLOW_CHUNK_BYTES: usize = 1024;

/// How a snapshot is read.
pub(crate) struct Reading<'a> {
    pub(crate) rules: &'a Rules,
    /// Whether keys that have expired are passed over.
    pub(crate) drops_expired: bool,
    pub(crate) any_version: bool,
    pub(crate) pace: Pace,
    /// Whether it is to end early.
    pub(crate) is_cancelled: &'a AtomicBool,
}

/// How keys of a snapshot meet those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// There are none: a key that is there twice is an error.
    Refused,
    /// They take their place.
    Replacing,
}

/// Is told of a field of a snapshot's header, before any key comes.
pub(crate) type NoteField<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

/// Reads a snapshot to its end. `insert` takes what was read so far.
pub(crate) fn read_snapshot(
    reader: &mut dyn BufRead,
    how: &Reading<'_>,
    note_field: &mut NoteField<'_>,
    insert: &mut Insert<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<Summary, String> {
    let Reading { drops_expired, any_version, .. } = *how;
    let mut file = FileReader::new(rdb::Loading { now: now_ms(), drops_expired, any_version });
    let chunk_bytes = if how.pace.is_full() { CHUNK_BYTES } else { SLOW_CHUNK_BYTES };
    let mut summary = Summary::default();
    let mut batch = Vec::new();
    loop {
        let chunk = reader.fill_buf().map_err(|error| error.to_string())?;
        let count = chunk.len().min(chunk_bytes);
        if count == 0 {
            file.finish();
        }
        file.feed(&chunk[..count]);
        let mut has_ended = false;
        while let Some(event) = file.next(how.rules).map_err(|failure| failure.to_string())? {
            match event {
                Event::Key { database, slot } => batch.push((database, slot)),
                Event::Aux(name, value) => {
                    note_field(&name, &value);
                    summary.aux.push((name, value));
                }
                Event::Function(_) => {
                    tracing::warn!(
                        "a library of functions is passed over: plugins take their place"
                    );
                }
                Event::ModulePassedOver(name) => {
                    tracing::warn!("data of the module {name} is passed over");
                }
                Event::Sizes { .. } => {}
                Event::End => has_ended = true,
            }
        }
        let keys = batch.len();
        summary.keys += keys as u64;
        insert(&mut batch)?;
        how.pace.rest(keys, how.is_cancelled);
        if how.is_cancelled.load(Ordering::Relaxed) {
            return Err("it was called off".to_owned());
        }
        // What follows the snapshot is left to others.
        let used = if has_ended { count - file.rest().len() } else { count };
        reader.consume(used);
        progress(file.offset());
        if has_ended {
            summary.passed_over = file.expired_keys();
            return Ok(summary);
        }
        if count == 0 {
            return Err("it ends too early".to_owned());
        }
    }
}

impl Store {
    /// Puts keys of a snapshot in, shard by shard.
    pub(crate) fn insert_loaded(
        &self,
        batch: &mut Vec<(u32, Slot)>,
        meeting: Meeting,
    ) -> Result<(), String> {
        let rules = self.rules();
        self.freeze(|mut shards| insert_into(&mut shards, &rules, batch, meeting))?;
        // Whoever wakes next removes what is due.
        self.note_expiry(now_ms());
        Ok(())
    }
}

/// Puts keys of a snapshot into shards that are all held.
pub(crate) fn insert_into(
    shards: &mut Shards<'_>,
    rules: &Rules,
    batch: &mut Vec<(u32, Slot)>,
    meeting: Meeting,
) -> Result<(), String> {
    let mut ahead = 0;
    let mut rest = std::mem::take(batch).into_iter();
    while let Some((database, slot)) = rest.next() {
        if ahead == 0 {
            ahead = Wanted::KEYS_MAX;
            warm(shards, rules, (database, &slot), rest.as_slice());
        }
        ahead -= 1;
        let Some(shard) = shards.get_mut(rules.shard_of(slot.key())) else { continue };
        match meeting {
            Meeting::Replacing => drop(shard.load_over(database, slot, &rules.hasher)),
            Meeting::Refused => {
                if let Err(slot) = shard.load(database, slot, &rules.hasher) {
                    let key = String::from_utf8_lossy(slot.key());
                    return Err(format!("the key '{key}' is there twice"));
                }
            }
        }
    }
    Ok(())
}

/// Fetches the places of the next keys from memory all at once: looking whether a key is there is mostly
/// waiting for memory. With several shards it would not pay to ask each.
fn warm(shards: &Shards<'_>, rules: &Rules, first: (u32, &Slot), next: &[(u32, Slot)]) {
    let shard = shards.iter().next().filter(|_| rules.shards == 1);
    let Some((_, shard)) = shard else { return };
    let mut wanted = Wanted::default();
    wanted.add(first.1.key(), &rules.hasher);
    for (_, slot) in &next[..next.len().min(Wanted::KEYS_MAX - 1)] {
        wanted.add(slot.key(), &rules.hasher);
    }
    shard.warm(first.0, &wanted);
}

impl Shared {
    /// Loads what the server kept, and goes on keeping it. Expired keys are passed over unless the
    /// server is a replica.
    pub(crate) fn load(&self) -> Result<(), LoadFailure> {
        let options = self.options().persistence.clone();
        let started = Instant::now();
        self.configure_log(&options);
        self.remove_leftovers(&options.dir);
        let keys = if options.append_only { self.load_log()? } else { self.load_snapshot()? };
        if let Some((keys, passed_over)) = keys {
            let took = started.elapsed().as_secs_f64();
            let source = if options.append_only { "append only file" } else { "disk" };
            tracing::info!(
                "DB loaded from {source}: {took:.3} seconds, {keys} keys, {passed_over} had expired"
            );
            self.saver.status.lock().loaded = (keys, passed_over);
        }
        let changes = self.changes();
        self.saver.status.lock().saved_changes = changes;
        Ok(())
    }

    fn load_snapshot(&self) -> Result<Option<(u64, u64)>, LoadFailure> {
        let path = self.options().persistence.snapshot_path();
        let failure = |reason: String| LoadFailure::Snapshot { path: path.clone(), reason };
        let reader = match self.saver.disk.read(&path) {
            Ok(reader) => reader,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failure(error.to_string())),
        };
        let total = self.saver.disk.len(&path).unwrap_or(0);
        let mut reader = BufReader::with_capacity(CHUNK_BYTES, reader);
        let mut progress = Progress::new(self, total);
        let rules = self.store.rules();
        let backlog_bytes = self.options().replication.backlog_bytes;
        let mut expired =
            (!self.replication.is_replica()).then(|| Expired::new(now_ms(), backlog_bytes));
        let mut insert = |batch: &mut Vec<_>| {
            if let Some(expired) = &mut expired {
                expired.sift(batch);
            }
            self.insert_loaded(batch, Meeting::Refused)
        };
        let summary = read_snapshot(
            &mut reader,
            &self.reading(&rules, &self.stopping),
            &mut |name, value| self.note_field(name, value),
            &mut insert,
            &mut |bytes| progress.at(bytes),
        )
        .map_err(failure)?;
        self.note_origin(&summary, expired.as_ref());
        self.restore_notices(&summary);
        self.settle_notices();
        let passed_over = expired.map_or(0, |expired| expired.count);
        Ok(Some((summary.keys - passed_over, passed_over)))
    }

    /// How the server reads a snapshot. Keys that have expired are loaded too.
    pub(crate) fn reading<'a>(
        &self,
        rules: &'a Rules,
        is_cancelled: &'a AtomicBool,
    ) -> Reading<'a> {
        let options = self.options();
        let (pace, any_version) =
            (options.persistence.load_pace, options.persistence.reads_any_version);
        Reading { rules, drops_expired: false, any_version, pace, is_cancelled }
    }

    fn load_log(&self) -> Result<Option<(u64, u64)>, LoadFailure> {
        let options = self.options().persistence.clone();
        let (log, disk) = (self.store.log(), &self.saver.disk);
        let opened = options.open_log(disk);
        let files = opened.map_err(|error| LoadFailure::Log(LoadError::Files(error)))?;
        let mut keys = None;
        if !files.is_new() {
            let mut insert = |batch: &mut Vec<_>| self.insert_loaded(batch, Meeting::Refused);
            let mut route = Route::default();
            let mut moment = self.store.moment(now_ms(), Conditions::default);
            let mut run = |session: &mut Session, argv: Argv<'_>, reply: &mut Writer| {
                let instead = route.follow(self, argv)?;
                let store = route.store(self);
                if selected(argv).is_some() {
                    // Whoever obeys does not look at the time, so one moment does for all commands.
                    moment = store.moment(now_ms(), Conditions::default);
                }
                let argv = instead.as_ref().map_or(argv, OwnedArgv::as_argv);
                store.execute(&moment, session, argv, reply, &mut BatchHost::default());
                Ok(())
            };
            let mut replay = Replay::new(self, &mut insert, &mut run);
            let loaded = load_log(disk, &files, options.cuts_torn_log, &mut replay);
            let loaded = loaded.map_err(LoadFailure::Log)?;
            if let Some(cut) = loaded.cut {
                tracing::warn!(
                    "the append only file {} ended within a command: {} bytes behind byte {} are \
                     cut off",
                    cut.name,
                    cut.lost,
                    cut.good
                );
            }
            keys = Some((self.key_count() as u64, 0));
        }
        // What is heeded now is in the log already.
        self.settle_notices();
        let resumed = log.resume(files).map_err(|e| LoadFailure::Log(LoadError::Files(e)))?;
        self.forget_log_history();
        if resumed {
            self.follow_copies();
        } else {
            // There is no file to write to yet.
            self.rewrite_log();
        }
        Ok(keys)
    }
}

/// Runs a command of a log.
pub(crate) type Run<'a> = dyn FnMut(&mut Session, Argv<'_>, &mut Writer) -> Result<(), String> + 'a;
/// Puts keys of a snapshot in.
pub(crate) type Insert<'a> = dyn FnMut(&mut Vec<(u32, Slot)>) -> Result<(), String> + 'a;

/// Takes a log in.
pub(crate) struct Replay<'a> {
    shared: &'a Shared,
    session: Session,
    reply: Writer,
    progress: Progress<'a>,
    insert: &'a mut Insert<'a>,
    run: &'a mut Run<'a>,
    /// Who is told what is said of tenants and plugins, if they stay as they are.
    note: Option<&'a mut Note<'a>>,
}

/// Is told of a notice.
pub(crate) type Note<'a> = dyn FnMut(&[u8]) + 'a;

impl<'a> Replay<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        insert: &'a mut Insert<'a>,
        run: &'a mut Run<'a>,
    ) -> Self {
        let progress = Progress::new(shared, 0);
        let session = Session::obeying();
        Self { shared, session, reply: Writer::default(), progress, insert, run, note: None }
    }

    /// Leaves tenants and plugins as they are, and tells `note` what is said of them.
    pub(crate) fn of_data_alone(self, note: &'a mut Note<'a>) -> Self {
        Self { note: Some(note), ..self }
    }
}

impl Loader for Replay<'_> {
    fn snapshot(&mut self, reader: &mut dyn BufRead) -> Result<(), String> {
        // Commands that follow may be about keys that have expired since, so none is passed over.
        let rules = self.shared.store.rules();
        let how = self.shared.reading(&rules, &self.shared.stopping);
        let Self { shared, session, reply, insert, run, note, .. } = self;
        let mut note_field = |name: &[u8], value: &[u8]| match (read_field(name, value), &mut *note)
        {
            (Some((number, command)), _) => make_index(run, session, reply, (number, command)),
            (None, None) => shared.note_field(name, value),
            (None, Some(note)) => {
                if let Some(notice) = of_tenant(name, value) {
                    note(notice);
                }
            }
        };
        let summary = read_snapshot(reader, &how, &mut note_field, *insert, &mut |_| {})?;
        if self.note.is_none() {
            self.shared.restore_notices(&summary);
        }
        Ok(())
    }

    fn command(&mut self, argv: Argv<'_>) -> Result<(), String> {
        let search = as_run(argv);
        let argv = search.as_ref().map_or(argv, OwnedArgv::as_argv);
        match (&mut self.note, message_of(argv)) {
            (Some(note), Some(notice)) => {
                note(notice);
                return Ok(());
            }
            (Some(_), None) => {}
            (None, _) if self.shared.heed(argv) => return Ok(()),
            (None, _) => {}
        }
        self.reply.clear();
        let mark = self.reply.mark();
        (self.run)(&mut self.session, argv, &mut self.reply)?;
        if self.reply.is_error_since(mark) {
            let text = String::from_utf8_lossy(self.reply.data_since(mark));
            // What failed when it was run first fails again; what cannot be run at all is damage.
            let reason = text.trim_end().trim_start_matches("-ERR ");
            if reason.starts_with("unknown command") {
                let name = String::from_utf8_lossy(argv.get(0));
                let told = "reading the append only file";
                return Err(format!("Unknown command '{name}' {told} ({reason})"));
            }
            let unfit = ["unknown subcommand", "wrong number of arguments"];
            if unfit.iter().any(|start| reason.starts_with(start)) {
                return Err(reason.to_owned());
            }
        }
        Ok(())
    }

    fn forget_transaction(&mut self) {
        self.session = Session::obeying();
    }

    fn progress(&mut self, bytes: u64, total: u64) {
        self.progress.total = total;
        self.progress.at(bytes);
    }
}

/// Makes an index that a log's snapshot has, in the engine that has this database, before keys come.
fn make_index(
    run: &mut Run<'_>,
    session: &mut Session,
    reply: &mut Writer,
    (number, command): (u32, &[u8]),
) {
    let select =
        |number: u32| -> OwnedArgv { ["SELECT", &number.to_string()].into_iter().collect() };
    let Some(words) = words_of(command) else { return };
    for argv in [&select(number), &words, &select(0)] {
        reply.clear();
        let mark = reply.mark();
        let ran = run(session, argv.as_argv(), reply);
        if ran.is_err() || reply.is_error_since(mark) {
            tracing::warn!("an index of database {number} is passed over");
        }
    }
}

/// Tells how far loading has come, in INFO and now and then in the log.
struct Progress<'a> {
    shared: &'a Shared,
    total: u64,
    started: Instant,
    told_s: u64,
}

impl<'a> Progress<'a> {
    fn new(shared: &'a Shared, total: u64) -> Self {
        Self { shared, total, started: Instant::now(), told_s: 0 }
    }

    fn at(&mut self, bytes: u64) {
        self.shared.loading.note_of(bytes, self.total);
        let seconds = self.started.elapsed().as_secs();
        if seconds > self.told_s {
            self.told_s = seconds;
            let per_cent = bytes.saturating_mul(100) / self.total.max(1);
            tracing::info!("loading: {per_cent} % of {} MB", self.total / 1_000_000);
        }
    }
}
