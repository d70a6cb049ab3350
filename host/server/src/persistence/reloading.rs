//! DEBUG RELOAD and DEBUG LOADAOF: the data goes to disk and comes back while all shards are held.

use std::io::{self, BufReader};
use std::sync::atomic::AtomicBool;

use reef_engine::error::Error;
use reef_engine::gates::Conditions;
use reef_engine::host::{Host, Reload};
use reef_engine::keyspace::{Keyspace, restore_index};
use reef_engine::session::Session;
use reef_engine::step::{self, Admission, Answer, Cx};
use reef_resp::{Argv, Writer};
use reef_storage::{SnapshotFile, load_log};

use super::loading::{Meeting, Reading, Replay, insert_into, read_snapshot};
use super::pace::Pace;
use super::snapshots::begin_snapshot;
use crate::clock::now_ms;
use crate::indexes::read_field;
use crate::server::Shared;
use crate::surroundings::BatchHost;

impl Shared {
    /// Loads the data again. What is being saved ends early, because it needs the shards too.
    pub(crate) fn reload(&self, keys: &mut Keyspace<'_>, from: Reload) -> Result<(), Error> {
        if !self.tenants.all().is_empty() {
            // Their shards are not held.
            return Err(Error::RELOAD_WITH_TENANTS);
        }
        self.saver.call_off();
        match from {
            Reload::Snapshot { saves, flushes, merges } => {
                if saves {
                    self.save_held(keys).map_err(|error| told(&error, Error::SAVE_FAILED))?;
                }
                if flushes {
                    self.empty_held(keys);
                }
                let meeting = if merges { Meeting::Replacing } else { Meeting::Refused };
                let loaded = self.read_snapshot_into(keys, meeting);
                loaded.map_err(|error| told(&error, Error::RELOAD_FAILED))?;
            }
            Reload::Log => {
                let settled = self.store.log().try_settle();
                settled.map_err(|error| told(&error, Error::LOG_RELOAD_FAILED))?;
                self.empty_held(keys);
                let loaded = self.read_log_into(keys);
                loaded.map_err(|error| told(&error, Error::LOG_RELOAD_FAILED))?;
            }
        }
        self.store.note_expiry(now_ms());
        Ok(())
    }

    fn save_held(&self, keys: &mut Keyspace<'_>) -> io::Result<()> {
        let options = self.options().persistence.clone();
        let temporary = options.dir.join(format!("temp-{}.rdb", std::process::id()));
        let mut file = SnapshotFile::create(self.saver.disk.clone(), temporary)?;
        let shards = keys.shards_mut();
        let mut held = [(&self.store, shards.reborrow())];
        let begun = begin_snapshot(&mut held, &options, &self.notices());
        begun.write_held(shards, &mut |bytes| file.write(bytes))?;
        file.finish_as(&options.snapshot_path())?;
        self.saver.note_saved(begun.changes);
        Ok(())
    }

    fn empty_held(&self, keys: &mut Keyspace<'_>) {
        for number in 0..keys.rules.settings.databases {
            let parts = keys.flush(number);
            self.store.reaper().take_databases(parts, false);
        }
    }

    fn read_snapshot_into(&self, keys: &mut Keyspace<'_>, meeting: Meeting) -> io::Result<()> {
        let path = self.options().persistence.snapshot_path();
        let mut reader = BufReader::with_capacity(1 << 20, self.saver.disk.read(&path)?);
        let rules = keys.rules;
        let keys = std::cell::RefCell::new(keys);
        let mut insert =
            |batch: &mut Vec<_>| insert_into(keys.borrow_mut().shards_mut(), rules, batch, meeting);
        let mut note_field = |name: &[u8], value: &[u8]| {
            // Others' indexes stay as they are, with their data.
            if let Some((number, command)) = read_field(name, value)
                && number == rules.first_database
                && let Err(error) =
                    restore_index(keys.borrow_mut().shards_mut().reborrow(), rules, command)
                && meeting == Meeting::Refused
            {
                tracing::warn!("an index is passed over: {error}");
            }
        };
        let never = AtomicBool::new(false);
        let how = Reading {
            rules,
            drops_expired: true,
            any_version: self.options().persistence.reads_any_version,
            pace: Pace::default(),
            is_cancelled: &never,
        };
        read_snapshot(&mut reader, &how, &mut note_field, &mut insert, &mut |_| {})
            .map(drop)
            .map_err(io::Error::other)
    }

    fn read_log_into(&self, keys: &mut Keyspace<'_>) -> io::Result<()> {
        let options = self.options().persistence.clone();
        let files = options.open_log(&self.saver.disk)?;
        let keys = std::cell::RefCell::new(keys);
        let mut insert = |batch: &mut Vec<_>| {
            let mut keys = keys.borrow_mut();
            let rules = keys.rules;
            insert_into(keys.shards_mut(), rules, batch, Meeting::Refused)
        };
        let mut run = |session: &mut Session, argv: Argv<'_>, reply: &mut Writer| {
            self.run_held(&mut keys.borrow_mut(), session, argv, reply);
            Ok(())
        };
        let mut replay = Replay::new(self, &mut insert, &mut run);
        load_log(&self.saver.disk, &files, false, &mut replay).map(drop).map_err(io::Error::other)
    }

    /// Runs a command of a log while all shards are held.
    fn run_held(
        &self,
        keys: &mut Keyspace<'_>,
        session: &mut Session,
        argv: Argv<'_>,
        reply: &mut Writer,
    ) {
        let registry = self.store.registry();
        let conditions = Conditions::default();
        let admission = step::admit(argv, session, &registry, keys.rules, &conditions, reply);
        let Admission::Run(command, _) = admission else { return };
        let mut host = BatchHost::default();
        let host: &mut dyn Host = &mut host;
        let mut step = Cx {
            keys: keys.within(session.database),
            reply,
            session,
            registry: &registry,
            host,
            answer: Answer::Now,
            rerun: false,
        };
        step.run(&command, argv);
    }
}

/// Tells the operator why, and the client what.
fn told(error: &io::Error, to_client: Error) -> Error {
    tracing::error!("the data is not loaded again: {error}");
    to_client
}
