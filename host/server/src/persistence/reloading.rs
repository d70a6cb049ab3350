//! DEBUG RELOAD and DEBUG LOADAOF: the data goes to disk and comes back while all shards are held, the
//! operator's by the step and those of all tenants beside.
//!
//! Data alone is loaded again: tenants, users and plugins stay as they are. A file may be older than they
//! are, so what it has of a tenant comes to the one that has its name and its databases, or to nobody.
//!
//! Tenants' shards are taken after the operator's, in order, as everywhere else; that nobody comes or goes
//! is made sure of without waiting, because whoever sees to that takes shards afterwards.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use reef_engine::error::Error;
use reef_engine::gates::Conditions;
use reef_engine::host::{Host, Reload};
use reef_engine::keyspace::{Journal, Keyspace, Shards, Slot, restore_index};
use reef_engine::session::Session;
use reef_engine::settings::Rules;
use reef_engine::step::{self, Admission, Answer, Cx};
use reef_engine::tenancy::TENANT_DATABASES;
use reef_resp::{Argv, OwnedArgv, Writer};
use reef_storage::{SnapshotFile, load_log};

use super::loading::{Meeting, Reading, Replay, insert_into, read_snapshot};
use super::pace::Pace;
use super::snapshots::begin_snapshot;
use crate::clock::now_ms;
use crate::indexes::read_field;
use crate::notices::of_tenant;
use crate::server::Shared;
use crate::store::Store;
use crate::surroundings::BatchHost;
use crate::tenants::{Tenant, is_tenants, ownership, selected};

/// An engine all of whose shards are held.
struct Engine<'e> {
    store: &'e Arc<Store>,
    /// Whose it is, unless the operator's.
    tenant: Option<&'e Tenant>,
    rules: Arc<Rules>,
    shards: Shards<'e>,
}

/// All of them, the operator's first, and what was said of whose databases are whose.
struct Engines<'e> {
    all: Vec<Engine<'e>>,
    owners: BTreeMap<u32, String>,
    /// Databases that nobody has, of which the operator was told.
    strange: Vec<u32>,
}

impl Shared {
    /// Loads the data again. What is being saved ends early, because it needs the shards too.
    pub(crate) fn reload(&self, keys: &mut Keyspace<'_>, from: Reload) -> Result<(), Error> {
        let Some(_stay) = self.tenants.try_stay() else { return Err(Error::RELOAD_BUSY) };
        self.saver.call_off();
        let tenants = self.tenants.all();
        let mut guards: Vec<_> = tenants.iter().map(|tenant| tenant.store.hold()).collect();
        let own = Engine {
            store: &self.store,
            tenant: None,
            rules: self.store.rules().clone(),
            shards: keys.shards_mut().reborrow(),
        };
        let others = tenants.iter().zip(&mut guards).map(|(tenant, guards)| Engine {
            store: &tenant.store,
            tenant: Some(tenant),
            rules: tenant.store.rules().clone(),
            shards: Shards::Many(guards.iter_mut().map(|guard| Some(&mut **guard)).collect()),
        });
        let all = std::iter::once(own).chain(others).collect();
        let mut engines = Engines { all, owners: BTreeMap::new(), strange: Vec::new() };
        let result = self.reload_held(&mut engines, from);
        engines.settle();
        result
    }

    fn reload_held(&self, engines: &mut Engines<'_>, from: Reload) -> Result<(), Error> {
        match from {
            Reload::Snapshot { saves, flushes, merges } => {
                let saved = match saves {
                    true => self.save_held(engines),
                    false => self.saver.disk.read(&self.options().persistence.snapshot_path()),
                };
                let reading_failed = if saves { Error::SAVE_FAILED } else { Error::RELOAD_FAILED };
                let file = saved.map_err(|error| told(&error, reading_failed))?;
                if flushes {
                    self.empty_held(engines);
                }
                let meeting = if merges { Meeting::Replacing } else { Meeting::Refused };
                let loaded = self.read_snapshot_into(engines, file, meeting);
                loaded.map_err(|error| told(&error, Error::RELOAD_FAILED))
            }
            Reload::Log => {
                let settled = self.store.log().try_settle();
                settled.map_err(|error| told(&error, Error::LOG_RELOAD_FAILED))?;
                self.empty_held(engines);
                let loaded = self.read_log_into(engines);
                loaded.map_err(|error| told(&error, Error::LOG_RELOAD_FAILED))
            }
        }
    }

    /// Saves, and opens what was saved: under its name there may soon be what the saver began before.
    fn save_held(&self, engines: &mut Engines<'_>) -> io::Result<Box<dyn Read + Send>> {
        let options = self.options().persistence.clone();
        let temporary = options.dir.join(format!("temp-{}-reload.rdb", std::process::id()));
        let mut file = SnapshotFile::create(self.saver.disk.clone(), temporary.clone())?;
        let all = engines.all.iter_mut();
        let mut held: Vec<_> = all.map(|one| (one.store, one.shards.reborrow())).collect();
        let begun = begin_snapshot(&mut held, &options, &self.notices());
        begun.write_held(&mut held, &mut |bytes| file.write(bytes))?;
        let saved = self.saver.disk.read(&temporary)?;
        file.finish_as(&options.snapshot_path())?;
        self.saver.note_saved(begun.changes);
        Ok(saved)
    }

    fn empty_held(&self, engines: &mut Engines<'_>) {
        for engine in &mut engines.all {
            engine.empty();
            let post = engine.tenant.map_or(&self.post, |tenant| &tenant.post);
            post.with_tracking(|all, send| all.flushed(send));
        }
    }

    fn read_snapshot_into(
        &self,
        engines: &mut Engines<'_>,
        file: Box<dyn Read + Send>,
        meeting: Meeting,
    ) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let rules = self.store.rules().clone();
        let engines = RefCell::new(engines);
        let mut insert = |batch: &mut Vec<_>| engines.borrow_mut().insert(batch, meeting);
        let mut note_field = |name: &[u8], value: &[u8]| {
            let mut engines = engines.borrow_mut();
            if let Some((number, command)) = read_field(name, value) {
                engines.restore_index(number, command, meeting);
            } else if let Some(notice) = of_tenant(name, value) {
                engines.note(notice);
            }
        };
        let never = AtomicBool::new(false);
        let how = Reading {
            rules: &rules,
            drops_expired: true,
            any_version: self.options().persistence.reads_any_version,
            pace: Pace::default(),
            is_cancelled: &never,
        };
        read_snapshot(&mut reader, &how, &mut note_field, &mut insert, &mut |_| {})
            .map(drop)
            .map_err(io::Error::other)
    }

    fn read_log_into(&self, engines: &mut Engines<'_>) -> io::Result<()> {
        let options = self.options().persistence.clone();
        let files = options.open_log(&self.saver.disk)?;
        let engines = RefCell::new(engines);
        let mut insert = |batch: &mut Vec<_>| engines.borrow_mut().insert(batch, Meeting::Refused);
        // Which engine the database that was selected last is of.
        let mut current = Some(0);
        let mut run = |session: &mut Session, argv: Argv<'_>, reply: &mut Writer| {
            let mut engines = engines.borrow_mut();
            let mut instead: Option<OwnedArgv> = None;
            if let Some(number) = selected(argv) {
                let found = engines.of_database(number);
                current = found.map(|(engine, _)| engine);
                instead =
                    found.map(|(_, number)| ["SELECT", &number.to_string()].into_iter().collect());
            }
            let argv = instead.as_ref().map_or(argv, OwnedArgv::as_argv);
            match current.and_then(|at| engines.all.get_mut(at)) {
                Some(engine) => engine.run(session, argv, reply),
                // Of a tenant that is gone.
                None if argv.get(0).eq_ignore_ascii_case(b"EXEC") => drop(session.end()),
                None => {}
            }
            Ok(())
        };
        let mut note = |notice: &[u8]| engines.borrow_mut().note(notice);
        let mut replay = Replay::new(self, &mut insert, &mut run).of_data_alone(&mut note);
        load_log(&self.saver.disk, &files, false, &mut replay).map(drop).map_err(io::Error::other)
    }
}

impl Engines<'_> {
    /// What a file says of whose databases are whose from there on.
    fn note(&mut self, notice: &[u8]) {
        match ownership(notice) {
            Some((name, Some(first))) => drop(self.owners.insert(first, name)),
            Some((name, None)) => {
                let first = self.owners.iter().find(|(_, owner)| **owner == name);
                let Some(first) = first.map(|(first, _)| *first) else { return };
                // If there is one of this name now, it began anew.
                if let Some((engine, _)) = self.of_database(first)
                    && let Some(engine) = self.all.get_mut(engine)
                {
                    engine.empty();
                }
                self.owners.remove(&first);
            }
            None => {}
        }
    }

    /// The engine that a database of a file is of, and its number there.
    fn of_database(&mut self, number: u32) -> Option<(usize, u32)> {
        if !is_tenants(number) {
            return Some((0, number));
        }
        let first = number - number % TENANT_DATABASES;
        let owner = self.owners.get(&first);
        let found = self.all.iter().position(|engine| {
            engine.tenant.is_some_and(|tenant| {
                tenant.first_database() == first && owner.is_some_and(|name| name == tenant.name())
            })
        });
        if found.is_none() && !self.strange.contains(&first) {
            tracing::warn!("data of a tenant that is gone is passed over: database {first}");
            self.strange.push(first);
        }
        Some((found?, number - first))
    }

    /// Puts keys of a snapshot in, each where its database belongs.
    fn insert(&mut self, batch: &mut Vec<(u32, Slot)>, meeting: Meeting) -> Result<(), String> {
        let mut of_each: BTreeMap<usize, Vec<(u32, Slot)>> = BTreeMap::new();
        for (number, slot) in batch.drain(..) {
            if let Some((engine, number)) = self.of_database(number) {
                of_each.entry(engine).or_default().push((number, slot));
            }
        }
        for (engine, mut keys) in of_each {
            let Some(Engine { shards, rules, .. }) = self.all.get_mut(engine) else { continue };
            insert_into(shards, rules, &mut keys, meeting)?;
        }
        Ok(())
    }

    fn restore_index(&mut self, number: u32, command: &[u8], meeting: Meeting) {
        let Some((engine, _)) = self.of_database(number) else { return };
        let Some(Engine { shards, rules, .. }) = self.all.get_mut(engine) else { return };
        if let Err(error) = restore_index(shards.reborrow(), rules, command)
            && meeting == Meeting::Refused
        {
            tracing::warn!("an index is passed over: {error}");
        }
    }

    /// Tells whoever counts what there is now. The step does that for the operator's shards.
    fn settle(&self) {
        for engine in &self.all {
            engine.store.note_expiry(now_ms());
            if engine.tenant.is_some() {
                let shards = engine.shards.iter();
                shards.for_each(|(index, shard)| engine.store.note_growth(index, shard));
            }
        }
    }
}

impl Engine<'_> {
    fn empty(&mut self) {
        let mut journal = Journal::new();
        let mut keys =
            Keyspace::new(self.shards.reborrow(), &self.rules, now_ms(), 0, &mut journal);
        for number in 0..self.rules.settings.databases {
            self.store.reaper().take_databases(keys.flush(number), false);
        }
    }

    /// Runs a command of a log. Copies of the data have it already.
    fn run(&mut self, session: &mut Session, argv: Argv<'_>, reply: &mut Writer) {
        let registry = self.store.registry();
        let conditions = Conditions::default();
        let admission = step::admit(argv, session, &registry, &self.rules, &conditions, reply);
        let Admission::Run(command, _) = admission else { return };
        let (mut journal, database) = (Journal::new(), session.database);
        let mut host = BatchHost::default();
        let host: &mut dyn Host = &mut host;
        let shards = self.shards.reborrow();
        let mut step = Cx {
            keys: Keyspace::new(shards, &self.rules, now_ms(), database, &mut journal),
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
