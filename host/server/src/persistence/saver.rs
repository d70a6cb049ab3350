//! The thread that saves: one thing at a time, in the order in which it was asked for.
//!
//! It also looks once a second whether a save point is reached or the log has grown too much. A
//! second thread tends the log meanwhile, so that a long snapshot never keeps it from being synced.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use reef_engine::backend::{CallStatus, Completion};
use reef_engine::error::Error;
use reef_engine::host::{Saving, Shutdown};
use reef_resp::Writer;
use reef_storage::{SharedDisk, SnapshotFile};

use super::snapshots::{begin_base, begin_snapshot};
use super::status::{Status, Task};
use super::{PersistenceOptions, real_disk};
use crate::clock::now_ms;
use crate::server::Shared;
use crate::tenants::begin_copying;

/// How often save points and the log are looked after.
const ROUND: Duration = Duration::from_secs(1);
/// After a failed snapshot no other is made for so long, unless somebody asks.
const RETRY_MS: u64 = 5000;

/// What the saver has to do.
enum Job {
    Save { mode: SaveMode, then: Option<Completion> },
    SaveFlushed,
    Rewrite,
    EndLog,
    ForgetHistory,
    Stop { how: Shutdown, then: Option<Completion> },
    Synchronise(Box<dyn FnOnce(&Shared) + Send>),
}

/// Who wants a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveMode {
    /// Nobody waits for it: how it went is what INFO tells and what writes may depend on.
    Background,
    /// Somebody waits and hears how it went.
    Foreground,
}

/// Saves the data of one server.
pub(crate) struct Saver {
    pub(crate) disk: SharedDisk,
    pub(crate) status: Mutex<Status>,
    jobs: Mutex<Vec<Job>>,
    wake: Condvar,
    /// Whether what is under way is to end early.
    is_cancelled: AtomicBool,
    is_ending: AtomicBool,
    is_failing: AtomicBool,
    /// Whether the server is to stop, and whether that is called off.
    pub(super) is_shutting_down: AtomicBool,
    pub(super) ends_shutdown: AtomicBool,
}

impl Saver {
    pub(crate) fn new() -> Self {
        Self {
            disk: real_disk(),
            status: Mutex::new(Status { saved_at: now_ms(), ..Status::default() }),
            jobs: Mutex::default(),
            wake: Condvar::new(),
            is_cancelled: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            is_shutting_down: AtomicBool::new(false),
            ends_shutdown: AtomicBool::new(false),
        }
    }

    /// Starts the threads.
    pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<Vec<JoinHandle<()>>> {
        let spawn = |name: &str, run: fn(&Shared)| {
            let shared = shared.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&shared))
        };
        Ok(vec![spawn("reef-save", Shared::save_all)?, spawn("reef-log", Shared::tend_log)?])
    }

    /// Lets the threads end.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Release);
        self.is_cancelled.store(true, Ordering::Release);
        let _jobs = self.jobs.lock();
        self.wake.notify_all();
    }

    fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Acquire)
    }

    fn ask(&self, job: Job) {
        self.jobs.lock().push(job);
        self.wake.notify_all();
    }

    /// Does something that needs the saver's turn: nothing else is saved meanwhile.
    pub(crate) fn synchronise(&self, job: Box<dyn FnOnce(&Shared) + Send>) {
        self.ask(Job::Synchronise(job));
    }

    /// Whether what is under way is to end early.
    pub(crate) fn cancelled(&self) -> &AtomicBool {
        &self.is_cancelled
    }

    /// The next job; none when a round is over.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        if jobs.is_empty() && !self.is_ending() {
            self.wake.wait_for(&mut jobs, ROUND);
        }
        if jobs.is_empty() { None } else { Some(jobs.remove(0)) }
    }

    /// Answers SAVE, BGSAVE and BGREWRITEAOF.
    pub(crate) fn save(
        &self,
        what: Saving,
        reply: &mut Writer,
        later: impl FnOnce() -> Completion,
    ) -> Result<CallStatus, Error> {
        let mut status = self.status.lock();
        let active = status.active.map(|(task, _)| task);
        match what {
            Saving::Now if active == Some(Task::Snapshot) => return Err(Error::SAVE_RUNS),
            Saving::Now => {
                self.ask(Job::Save { mode: SaveMode::Foreground, then: Some(later()) });
                return Ok(CallStatus::Later);
            }
            Saving::Background { .. } if active == Some(Task::Snapshot) => {
                return Err(Error::SAVE_RUNS);
            }
            Saving::Background { may_wait: false, .. } if active.is_some() => {
                return Err(Error::OTHER_SAVE_RUNS);
            }
            Saving::Background { waits, .. } => {
                let waits = waits || active.is_some();
                status.snapshot_is_scheduled = waits;
                if !waits {
                    status.active = Some((Task::Snapshot, now_ms()));
                }
                self.ask(Job::Save { mode: SaveMode::Background, then: None });
                reply.status(if waits {
                    "Background saving scheduled"
                } else {
                    "Background saving started"
                });
            }
            Saving::Log { .. } if active == Some(Task::Rewrite) => {
                return Err(Error::LOG_REWRITE_RUNS);
            }
            Saving::Log { waits } => {
                let waits = waits || active.is_some();
                status.rewrite_is_scheduled = waits;
                if !waits {
                    status.active = Some((Task::Rewrite, now_ms()));
                }
                self.ask(Job::Rewrite);
                reply.status(if waits {
                    "Background append only file rewriting scheduled"
                } else {
                    "Background append only file rewriting started"
                });
            }
        }
        Ok(CallStatus::Done)
    }

    /// Whether the last snapshot failed.
    #[inline]
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Asks for a rewrite of the log, unless one is under way or will be.
    pub(crate) fn want_rewrite(&self) {
        let mut status = self.status.lock();
        let is_coming = matches!(status.active, Some((Task::Rewrite, _)));
        if is_coming || status.rewrite_is_scheduled {
            return;
        }
        // Who looks at once shall see that it is under way.
        match status.active {
            Some(_) => {
                tracing::info!("AOF background was scheduled");
                status.rewrite_is_scheduled = true;
            }
            None => status.active = Some((Task::Rewrite, now_ms())),
        }
        self.ask(Job::Rewrite);
    }

    /// Ends the log. Later, because whoever asks may hold shards.
    pub(crate) fn want_no_log(&self) {
        let active = self.status.lock().active;
        if matches!(active, Some((Task::Rewrite, _))) {
            tracing::info!("Killing AOF child: the log is turned off");
            self.call_off();
        }
        self.ask(Job::EndLog);
    }

    /// Removes what rewrites of the log have replaced. Later, because whoever asks may hold shards.
    pub(crate) fn want_no_history(&self) {
        self.ask(Job::ForgetHistory);
    }

    /// Saves what is to be saved and stops the server. The client hears if that fails.
    pub(crate) fn shut_down(&self, how: Shutdown, then: Option<Completion>) {
        // Nobody needs what is under way any more, and what else was asked for can wait.
        self.call_off();
        self.ends_shutdown.store(false, Ordering::Release);
        self.is_shutting_down.store(true, Ordering::Release);
        let mut jobs = self.jobs.lock();
        // What was flushed before must not come back.
        let at = jobs.iter().take_while(|job| matches!(job, Job::SaveFlushed)).count();
        jobs.insert(at, Job::Stop { how, then });
        self.wake.notify_all();
    }

    /// All data has gone: a snapshot that is under way ends early. If there are to be snapshots, one
    /// that has nothing takes the place of the last one, so that a restart does not bring it back: soon,
    /// and in nobody's way.
    pub(crate) fn forget_snapshot(&self, saves: bool) {
        let active = self.status.lock().active;
        if matches!(active, Some((Task::Snapshot, _))) {
            self.call_off();
        }
        if saves {
            let mut jobs = self.jobs.lock();
            jobs.retain(|job| !matches!(job, Job::SaveFlushed));
            jobs.insert(0, Job::SaveFlushed);
            self.wake.notify_all();
        }
    }

    /// Lets what is under way end early, or what was begun by a command and is about to be.
    pub(crate) fn call_off(&self) {
        let status = self.status.lock();
        if status.active.is_some() {
            self.is_cancelled.store(true, Ordering::Release);
        }
    }

    /// Nothing is under way any more.
    fn rest(&self, status: &mut Status) {
        status.active = None;
        if !self.is_ending() {
            self.is_cancelled.store(false, Ordering::Release);
        }
    }

    /// Notes that a snapshot is complete, and which changes it holds.
    pub(crate) fn note_saved(&self, changes: u64) {
        let mut status = self.status.lock();
        status.saved_at = now_ms();
        status.saved_changes = changes;
    }

    fn begin(&self, task: Task) -> Instant {
        let mut status = self.status.lock();
        status.active = Some((task, now_ms()));
        match task {
            Task::Snapshot => {
                status.snapshot_is_scheduled = false;
                status.tried_at = now_ms();
            }
            Task::Rewrite => status.rewrite_is_scheduled = false,
            Task::Synchronisation => {}
        }
        Instant::now()
    }
}

impl Shared {
    fn save_all(&self) {
        loop {
            match self.saver.next() {
                None if self.saver.is_ending() => return,
                None => self.look_at_save_points(),
                Some(job) => self.run(job),
            }
        }
    }

    fn run(&self, job: Job) {
        match job {
            Job::Save { mode, then } => {
                let result = self.save_snapshot(mode);
                if let Some(then) = then {
                    then(reply_of(result.map_err(|_| Error::SAVE_FAILED)));
                }
            }
            Job::SaveFlushed => self.save_flushed(),
            Job::Rewrite => self.rewrite_log(),
            Job::EndLog => self.end_log(),
            Job::ForgetHistory => self.forget_log_history(),
            Job::Stop { how, then } => self.stop_saved(how, then),
            Job::Synchronise(run) => {
                self.saver.begin(Task::Synchronisation);
                run(self);
                self.saver.rest(&mut self.saver.status.lock());
            }
        }
    }

    fn tend_log(&self) {
        while !self.saver.is_ending() {
            let mut jobs = self.saver.jobs.lock();
            self.saver.wake.wait_for(&mut jobs, ROUND);
            drop(jobs);
            if self.store.log().tend() {
                self.saver.want_rewrite();
            }
            self.tend_replication();
        }
    }

    /// Makes a snapshot in its file.
    pub(super) fn save_snapshot(&self, mode: SaveMode) -> io::Result<()> {
        let started = self.saver.begin(Task::Snapshot);
        let options = self.options().persistence.clone();
        let result = self.write_snapshot_file(&options);
        let mut status = self.saver.status.lock();
        self.saver.rest(&mut status);
        if result.is_ok() || mode == SaveMode::Background {
            status.snapshots.note(result.is_ok(), started.elapsed());
            self.saver.is_failing.store(result.is_err(), Ordering::Relaxed);
        }
        match result {
            Ok(changes) => {
                tracing::info!("DB saved on disk");
                status.saved_at = now_ms();
                status.saved_changes = changes;
                Ok(())
            }
            Err(error) => {
                tracing::warn!("Error trying to save the DB: {error}");
                Err(error)
            }
        }
    }

    /// The same after everything was flushed. It takes no time, so that nobody sees it under way.
    fn save_flushed(&self) {
        let options = self.options().persistence.clone();
        match self.write_snapshot_file(&options) {
            Ok(changes) => self.saver.note_saved(changes),
            Err(error) => tracing::warn!("Error trying to save the DB: {error}"),
        }
    }

    fn write_snapshot_file(&self, options: &PersistenceOptions) -> io::Result<u64> {
        let temporary = options.dir.join(format!("temp-{}.rdb", std::process::id()));
        let mut file = SnapshotFile::create(self.saver.disk.clone(), temporary)?;
        let begun = self.freeze(|held| {
            let origin = self.replication.stream.origin();
            begin_snapshot(held, options, &[origin, self.notices()].concat())
        });
        let mut sink = |bytes: &[u8]| file.write(bytes);
        begun.write(self.saver.cancelled(), &mut sink)?;
        file.finish_as(&options.snapshot_path())?;
        Ok(begun.changes)
    }

    /// Replaces the log by a snapshot and what comes after it; begins one if there is none.
    pub(crate) fn rewrite_log(&self) {
        let started = self.saver.begin(Task::Rewrite);
        let options = self.options().persistence.clone();
        let result = self.write_base(&options);
        if let Err(error) = &result {
            tracing::warn!("Background append only file rewriting failed: {error}");
        }
        if !self.options().persistence.append_only {
            // Somebody asked for the files, but nothing is to go on in them.
            self.end_log();
        }
        let mut status = self.saver.status.lock();
        self.saver.rest(&mut status);
        status.rewrites.note(result.is_ok(), started.elapsed());
    }

    fn write_base(&self, options: &PersistenceOptions) -> io::Result<()> {
        let log = self.store.log();
        let opened = if log.is_on() { None } else { Some(options.open_log(&self.saver.disk)?) };
        let (rewrite, begun) = log.begin_rewrite(opened, |switch| {
            self.freeze(|held| {
                switch()?;
                begin_copying(held);
                Ok(begin_base(held, options, self.notices()))
            })
        })?;
        let mut file = SnapshotFile::create(self.saver.disk.clone(), rewrite.path.clone())?;
        let mut sink = |bytes: &[u8]| file.write(bytes);
        begun.write(self.saver.cancelled(), &mut sink)?;
        file.finish()?;
        log.finish_rewrite(&rewrite, options.base_is_snapshot)
    }

    /// Looks whether it is time for a snapshot or for a rewrite of the log.
    fn look_at_save_points(&self) {
        let options = self.options().persistence.clone();
        let now = now_ms();
        let status = self.saver.status.lock().clone();
        if status.active.is_some() || self.loading.is_on() {
            return;
        }
        let may_try = status.snapshots.is_ok || now.since(status.tried_at) > RETRY_MS;
        if may_try && !options.save_points.is_empty() {
            let changes = self.changes().saturating_sub(status.saved_changes);
            let seconds = now.since(status.saved_at) / 1000;
            let is_due = |(after, least): &&(u64, u64)| changes >= *least && seconds > *after;
            if let Some((seconds, _)) = options.save_points.iter().find(is_due) {
                tracing::info!("{changes} changes in {seconds} seconds. Saving...");
                // The result is in the status.
                let _ = self.save_snapshot(SaveMode::Background);
                return;
            }
        }
        if self.log_has_grown(&options) {
            self.rewrite_log();
        }
    }

    fn log_has_grown(&self, options: &PersistenceOptions) -> bool {
        let log = self.store.log();
        if !log.is_on() || options.rewrite_percentage == 0 {
            return false;
        }
        let status = log.status();
        let base = status.base_bytes.max(1);
        let growth = status.bytes.saturating_sub(base) * 100 / base;
        status.bytes > options.rewrite_bytes_min && growth >= options.rewrite_percentage
    }

    /// Removes what a snapshot that was broken off left behind.
    pub(crate) fn remove_leftovers(&self, dir: &Path) {
        let Ok(names) = self.saver.disk.names(dir) else { return };
        for name in names {
            let is_leftover = name.starts_with("temp-") && name.ends_with(".rdb");
            if is_leftover && let Err(error) = self.saver.disk.remove(&dir.join(&name)) {
                tracing::warn!("{name} cannot be removed: {error}");
            }
        }
    }
}

pub(super) fn reply_of(result: Result<(), Error>) -> Vec<u8> {
    let mut reply = Writer::default();
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(&error.to_string()),
    }
    reply.take_data()
}
