//! The keyspace driver: shards behind locks, and the rules and command table of the moment.
//!
//! Invariants:
//! - locks are taken in ascending order of shards and held for the length of one step, so that no
//!   two steps can wait for each other;
//! - nothing here calls guest code, so no lock is ever held while guest code runs;
//! - every expiry that is set is known to `next_expiry` before the lock is released;
//! - a step holds all shards that serving the waiters of its shards may take, and serves them
//!   before it releases any.

pub(crate) mod batches;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use reef_engine::acl::Directory;
use reef_engine::clock::Millis;
use reef_engine::command::Flags;
use reef_engine::gates::{Conditions, Pause};
use reef_engine::host::Host;
use reef_engine::keyspace::{self, Journal, Keyspace, Shard, ShardSet, Shards, Wanted};
use reef_engine::permission::note_denial;
use reef_engine::registry::{CommandRef, Registry};
use reef_engine::session::Session;
use reef_engine::settings::{Rules, Settings};
use reef_engine::step::{self, Admission, Answer, Cx};
use reef_engine::tenancy::{Quota, UsedUp};
use reef_engine::waiters::Waiter;
use reef_resp::{Argv, Writer};

use crate::clock::now_ms;
use crate::copying::Copies;
use crate::huge_pages::HugePages;
use crate::memory::{Claim, Ledger, Room};
use crate::pause::PauseClock;
use crate::post::Post;
use crate::reaper::Reaper;
use crate::surroundings::BatchHost;
use crate::tenants::Tenancy;
use crate::timing::Slow;

/// How often it is looked whether a lock is free by now: some microseconds.
const LOOKS_MAX: usize = 400;

/// A shard's lock, alone on its cache lines so that neighbours do not slow each other down, and how
/// many bytes the ledger knows of.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Locked(Mutex<Shard>, AtomicUsize);

impl Locked {
    /// Takes the lock. Most steps take less time than going to sleep and being woken, so others look
    /// for a while whether it is free before they do.
    #[inline]
    fn enter(&self) -> MutexGuard<'_, Shard> {
        self.0.try_lock().unwrap_or_else(|| self.enter_contended())
    }

    #[cold]
    fn enter_contended(&self) -> MutexGuard<'_, Shard> {
        for _ in 0..LOOKS_MAX {
            std::hint::spin_loop();
            if !self.0.is_locked()
                && let Some(guard) = self.0.try_lock()
            {
                return guard;
            }
        }
        self.0.lock()
    }
}

/// All data of one engine: the operator's, or a tenant's.
pub struct Store {
    shards: Box<[Locked]>,
    rules: ArcSwap<Rules>,
    registry: ArcSwap<Registry>,
    /// When the next key expires, at the latest: milliseconds since 1970.
    next_expiry: AtomicU64,
    /// Whether keys are removed when they are due, and not only when somebody meets them.
    active_expiry: AtomicBool,
    /// Who may do what. Taken last: whoever holds it takes no other lock.
    pub(crate) users: Mutex<Directory>,
    /// Reaches other clients, once there is a server.
    post: OnceLock<Arc<Post>>,
    ledger: Ledger,
    reaper: Reaper,
    huge_pages: HugePages,
    /// What a tenant lets its own commands wait for.
    pause: PauseClock,
    slow: Slow,
    /// Those who copy the data of all engines.
    pub(crate) copies: Arc<Copies>,
    /// What makes it a tenant's.
    tenancy: Option<Tenancy>,
    /// Whether some search index has not seen all keys.
    pub(crate) indexing: AtomicBool,
}

/// What the steps of one turn have in common.
#[derive(Clone, Debug)]
pub struct Moment {
    pub(crate) rules: Arc<Rules>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) conditions: Conditions,
    pub(crate) now: Millis,
    /// A command of an earlier era has to pass the gates again.
    pub(crate) era: u64,
}

/// What became of a command.
#[derive(Clone, Debug, Default)]
pub struct Execution {
    /// Its index in the table, unless it was refused for another reason than the user's rights.
    pub command: Option<u16>,
    /// Whether it ran: not if it was refused or queued.
    pub ran: bool,
    /// Whether it has to be executed again when a pause is over; nothing has happened.
    pub postponed: bool,
    /// Whether it was refused because a quota is used up that comes back with time.
    pub over_quota: bool,
    /// Whether it may have changed data.
    pub may_write: bool,
    /// When its reply comes.
    pub answer: Answer,
}

impl Execution {
    /// A command that ran.
    fn of(command: &CommandRef, answer: Answer) -> Self {
        let may_write = command.may_write() || command.is_exec();
        Self { command: Some(command.id()), ran: true, may_write, answer, ..Self::default() }
    }
}

impl Store {
    /// An empty store. `seed` must be unpredictable to clients.
    pub fn new(seed: u64, shards: usize, settings: Settings) -> Arc<Self> {
        let registry = Registry::native();
        let users = Directory::new(&settings.password, settings.users, &registry);
        let rules = Rules::new(seed, shards, settings);
        Self::build(rules, Arc::new(registry), users, Arc::default(), None)
    }

    /// The empty store of a tenant: with the native commands of `self`, and copied by those who copy
    /// it.
    pub(crate) fn of_tenant(&self, rules: Rules, users: Directory, tenancy: Tenancy) -> Arc<Self> {
        let registry = self.copies.natives().clone();
        rules.propagation().set_on(self.rules().propagation().is_on());
        Self::build(rules, registry, users, self.copies.clone(), Some(tenancy))
    }

    fn build(
        rules: Rules,
        registry: Arc<Registry>,
        users: Directory,
        copies: Arc<Copies>,
        tenancy: Option<Tenancy>,
    ) -> Arc<Self> {
        let slow = Slow::new(&rules);
        let store = Arc::new(Self {
            shards: (0..rules.shards).map(|_| Locked::default()).collect(),
            rules: ArcSwap::from_pointee(rules),
            registry: ArcSwap::new(registry),
            next_expiry: AtomicU64::new(u64::MAX),
            active_expiry: AtomicBool::new(true),
            users: Mutex::new(users),
            post: OnceLock::new(),
            ledger: Ledger::of(&copies, tenancy.is_some()),
            reaper: Reaper::default(),
            huge_pages: HugePages::default(),
            pause: PauseClock::default(),
            slow,
            copies,
            tenancy,
            indexing: AtomicBool::new(false),
        });
        store.keep_ledger(&store.rules());
        store
    }

    /// Empties all databases.
    pub(crate) fn empty(&self) {
        let rules = self.rules();
        let parts = self.freeze(|shards| {
            let mut journal = Journal::new();
            let mut keys = Keyspace::new(shards, &rules, now_ms(), 0, &mut journal);
            (0..rules.settings.databases).flat_map(|number| keys.flush(number)).collect()
        });
        self.reaper.take_databases(parts, false);
    }

    /// Nobody around a step, but those whom it reaches.
    pub(crate) fn batch_host(&self) -> BatchHost<'_> {
        BatchHost {
            post: self.post.get().map(|post| &**post),
            users: Some(&self.users),
            store: Some(self),
            relayed: None,
            claim: Claim::default(),
        }
    }

    /// Keys in all databases.
    pub(crate) fn len(&self) -> usize {
        self.freeze(|shards| {
            let databases = shards.iter().flat_map(|(_, shard)| shard.databases());
            databases.map(|(_, database)| database.len()).sum()
        })
    }

    /// Bytes of data.
    pub(crate) fn data_bytes(&self) -> usize {
        self.shards.iter().map(|locked| locked.0.lock().heap_bytes()).sum()
    }

    /// How much memory is used.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What ends large values.
    pub(crate) fn reaper(&self) -> &Reaper {
        &self.reaper
    }

    /// Allows huge pages if there is enough data. Looks at every shard, now and then, as long as there
    /// is not.
    pub(crate) fn allow_huge_pages(&self, now: Millis) {
        let bytes = || self.shards.iter().map(|locked| locked.0.lock().heap_bytes()).sum();
        self.huge_pages.allow_for(now, bytes);
    }

    /// What its own clients let commands wait for: the operator's let those of all tenants.
    pub(crate) fn pause(&self) -> &PauseClock {
        if self.tenancy.is_some() { &self.pause } else { &self.copies.pause }
    }

    /// Which commands wait.
    #[inline]
    pub(crate) fn pause_at(&self, now: Millis) -> Pause {
        let of_all = self.copies.pause.at(now);
        if self.tenancy.is_some() { of_all.max(self.pause.at(now)) } else { of_all }
    }

    /// What makes it a tenant's.
    #[inline]
    pub(crate) fn tenancy(&self) -> Option<&Tenancy> {
        self.tenancy.as_ref()
    }

    /// What took long.
    pub(crate) fn slow(&self) -> &Slow {
        &self.slow
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }

    /// Brings the ledger up to date with all shards.
    #[cold]
    pub(crate) fn recount(&self) {
        self.ledger.is_outdated.store(false, Ordering::Release);
        for index in 0..self.shards.len() {
            self.note_growth(index, &self.shards[index].0.lock());
        }
    }

    #[inline]
    pub(crate) fn note_growth(&self, index: usize, shard: &Shard) {
        self.ledger.note(&self.shards[index].1, shard.heap_bytes(), self.shards.len() == 1);
    }

    /// Says how clients are reached. Only the first server is heard.
    pub(crate) fn set_post(&self, post: Arc<Post>) {
        let _ = self.post.set(post);
    }

    /// The rules of the moment.
    pub fn rules(&self) -> arc_swap::Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// Changes the settings for steps to come.
    pub fn set_settings(&self, settings: Settings) {
        let mut users = self.users.lock();
        users.set_policy(settings.users);
        if self.rules.load().settings.password != settings.password {
            users.set_default_password(&settings.password);
        }
        self.rules.rcu(|rules| rules.with_settings(settings.clone()));
        self.slow.follow(&self.rules());
        self.keep_ledger(&self.rules());
    }

    /// Changes the rules for steps to come.
    pub(crate) fn change_rules(&self, change: impl Fn(&Rules) -> Rules) {
        self.rules.rcu(|rules| change(rules));
    }

    /// The command table of the moment.
    pub fn registry(&self) -> arc_swap::Guard<Arc<Registry>> {
        self.registry.load()
    }

    /// What steps at `now` have in common. One moment may serve many steps.
    pub fn moment(&self, now: Millis, conditions: impl FnOnce() -> Conditions) -> Moment {
        // Before the conditions: what changes while they are looked at is noticed then.
        let era = self.era();
        let (rules, registry) = (self.rules.load_full(), self.registry.load_full());
        let mut conditions = conditions();
        conditions.triggers_behind |= rules.triggers().are_full();
        Moment { rules, registry, conditions, now, era }
    }

    /// Makes room for a command of this moment, if need be.
    #[inline]
    pub(crate) fn room(&self, moment: &Moment) -> Room {
        self.make_room(&moment.rules, moment.now)
    }

    /// Whether fetching what commands look for ahead of them pays: with one shard it takes one lock.
    #[inline]
    pub(crate) fn is_warmable(&self) -> bool {
        self.shards.len() == 1
    }

    /// Fetches what commands to come are likely to look for.
    pub(crate) fn warm(&self, database: u32, wanted: &Wanted) {
        if let [Locked(shard, _)] = &*self.shards {
            shard.lock().warm(database, wanted);
        }
    }

    /// Runs one command, after making room for it.
    pub fn execute(
        &self,
        moment: &Moment,
        session: &mut Session,
        argv: Argv<'_>,
        reply: &mut Writer,
        host: &mut dyn Host,
    ) -> Execution {
        let room = self.room(moment);
        self.execute_within(moment, room, session, argv, reply, host)
    }

    /// Runs one command: refuses or queues it, or takes the shards it needs and executes it. The
    /// reply is written unless it comes later.
    #[inline]
    pub(crate) fn execute_within(
        &self,
        moment: &Moment,
        room: Room,
        session: &mut Session,
        argv: Argv<'_>,
        reply: &mut Writer,
        host: &mut dyn Host,
    ) -> Execution {
        let Moment { rules, registry, conditions, now, era } = moment;
        if session.is_outdated() && !self.users.lock().renew(session) {
            return Execution::default();
        }
        let conditions = self.conditions_of(session, *conditions, room, *now);
        let admission = step::admit(argv, session, registry, rules, &conditions, reply);
        let (command, shards) = match admission {
            Admission::Postponed => return Execution { postponed: true, ..Default::default() },
            Admission::Answered => {
                let is_passing = |used_up: UsedUp| used_up.quota == Quota::OperationsPerSecond;
                let over_quota = conditions.used_up.is_some_and(is_passing);
                return Execution { over_quota, ..Default::default() };
            }
            Admission::Denied(command, denial) => {
                note_denial(&command, denial, argv, session, reply, host);
                return Execution { command: Some(command.id()), ..Default::default() };
            }
            Admission::Queued(id) => return Execution { command: Some(id), ..Default::default() },
            Admission::Run(command, shards) => (command, shards),
        };
        let mut journal = Journal::new();
        let answer = self.with_shards(shards, |shards| {
            // Since it passed the gates this server may have become, or lost, what they asked for.
            if self.era() != *era && !session.obeys_primary {
                return None;
            }
            let database = session.database;
            let mut cx = Cx {
                keys: Keyspace::new(shards, rules, *now, database, &mut journal),
                reply,
                session,
                registry,
                host,
                answer: Answer::Now,
                rerun: false,
            };
            cx.keys.keep_expired = conditions.pause != Pause::Nothing || self.is_replica();
            self.run_admitted(&mut cx, &command, argv);
            Some(std::mem::take(&mut cx.answer))
        });
        if self.tenancy.is_some() {
            host.end_growth();
        }
        let Some(answer) = answer else {
            return Execution { postponed: true, ..Default::default() };
        };
        self.sweep(&mut journal);
        Execution::of(&command, answer)
    }

    /// Runs a command with its shards held, and settles it.
    #[inline]
    fn run_admitted(&self, cx: &mut Cx<'_>, command: &CommandRef, argv: Argv<'_>) {
        match self.tenancy {
            None => cx.run_alone(command, argv),
            Some(_) => cx.run_within(cx.bound(), command, argv),
        }
        cx.settle();
        if command.is_exec() || command.flags.has(Flags::WRITE.with(Flags::ALL_SHARDS)) {
            self.note_indexing(&cx.keys);
        }
        if let Some(at) = cx.keys.earliest_expiry() {
            self.note_expiry(at);
        }
    }

    /// What stands in the way of a session's next command.
    #[inline]
    fn conditions_of(
        &self,
        session: &Session,
        mut conditions: Conditions,
        room: Room,
        now: Millis,
    ) -> Conditions {
        if !session.obeys_primary {
            conditions.pause = self.pause_at(now);
        }
        match &self.tenancy {
            None => conditions.out_of_memory |= !room.is_there,
            Some(tenancy) => {
                conditions.is_tenant = true;
                conditions.used_up = tenancy.used_up(room.is_there, now);
            }
        }
        conditions
    }

    /// Hands over what a step leaves to be ended elsewhere. What is left ends with the journal, with
    /// no shard held.
    #[inline]
    fn sweep(&self, journal: &mut Journal) {
        debug_assert!(!journal.has_effects(), "who runs a step settles it");
        for (values, asked) in
            [(journal.waste.take_lazily(), true), (journal.waste.take_apart(), false)]
        {
            if !values.is_empty() {
                self.reaper.take_values(values, asked);
            }
        }
        let indexes = journal.waste.take_indexes();
        if !indexes.is_empty() {
            self.reaper.take_indexes(indexes);
        }
    }

    /// Takes the shards of `set`, and those that serving the waiters there may take, for the length
    /// of `step`.
    #[inline]
    pub(crate) fn with_shards<R>(&self, set: ShardSet, step: impl FnOnce(Shards<'_>) -> R) -> R {
        match (set.len(), set.first()) {
            (0, _) | (_, None) => step(Shards::None),
            (1, Some(index)) => {
                let mut shard = self.shards[index].enter();
                let reach = shard.reach();
                if set.covers(reach) {
                    let result = step(Shards::One(&mut shard));
                    if self.ledger.is_kept() {
                        self.note_growth(index, &shard);
                    }
                    return result;
                }
                drop(shard);
                self.with_several(set.union(reach), step)
            }
            _ => self.with_several(set, step),
        }
    }

    /// The clock of a shard's changes.
    pub(crate) fn clock_of(&self, index: usize) -> u64 {
        self.shards[index].0.lock().clock()
    }

    /// Takes all shards, until what is given is dropped.
    pub(crate) fn hold(&self) -> Vec<MutexGuard<'_, Shard>> {
        self.shards.iter().map(|locked| locked.0.lock()).collect()
    }

    /// Takes one shard for the length of `act`, which serves nobody; then whoever waits for it has
    /// it next, however soon it is asked for again.
    pub(crate) fn with_shard_fairly<R>(
        &self,
        index: usize,
        act: impl FnOnce(&mut Shard) -> R,
    ) -> R {
        let mut shard = self.shards[index].0.lock();
        let result = act(&mut shard);
        MutexGuard::unlock_fair(shard);
        result
    }

    /// Waiters may come while the locks are taken again in order: then it begins anew.
    fn with_several<R>(&self, mut set: ShardSet, step: impl FnOnce(Shards<'_>) -> R) -> R {
        loop {
            let mut guards: Vec<Option<MutexGuard<'_, Shard>>> = Vec::new();
            for index in set.iter() {
                guards.resize_with(index, || None);
                guards.push(Some(self.shards[index].enter()));
            }
            let shards = Shards::Many(guards.iter_mut().map(Option::as_deref_mut).collect());
            let reach = shards.reach();
            if set.covers(reach) {
                let result = step(shards);
                if self.ledger.is_kept() {
                    let held = guards.iter().enumerate();
                    held.filter_map(|(index, guard)| Some((index, guard.as_deref()?)))
                        .for_each(|(index, shard)| self.note_growth(index, shard));
                }
                return result;
            }
            set = set.union(reach);
        }
    }

    /// Takes a waiter out of all queues. Whether it still waited: if not, its reply is on its way.
    pub(crate) fn end_wait(&self, waiter: &Waiter) -> bool {
        if waiter.park().is_some() {
            return self.end_parked(waiter);
        }
        let rules = self.rules.load();
        self.with_shards(waiter.shards, |shards| {
            let mut journal = Journal::new();
            Keyspace::new(shards, &rules, now_ms(), 0, &mut journal).end_wait(waiter)
        })
    }

    /// Remembers that a key expires at `at`.
    pub(crate) fn note_expiry(&self, at: Millis) {
        self.next_expiry.fetch_min(at.get(), Ordering::AcqRel);
        if self.tenancy.is_some() {
            self.copies.next_expiry_of_tenants.fetch_min(at.get(), Ordering::AcqRel);
        }
    }

    /// When the next key expires.
    pub(crate) fn next_expiry(&self) -> Option<Millis> {
        let at = self.next_expiry.load(Ordering::Acquire);
        let active = self.active_expiry.load(Ordering::Relaxed) && !self.is_replica();
        (active && at != u64::MAX).then(|| Millis::new(at))
    }

    /// Turns the removal of keys that nobody meets off or on.
    pub(crate) fn set_active_expiry(&self, on: bool) {
        self.active_expiry.store(on, Ordering::Relaxed);
    }

    /// Removes keys that are due, some per shard. Cheap when none is.
    pub(crate) fn expire_due(&self, now: Millis) {
        const BUDGET_PER_SHARD: usize = 500;
        let is_due = self.next_expiry().is_some_and(|at| at <= now);
        if !is_due || self.pause_at(now) != Pause::Nothing || self.is_replica() {
            return;
        }
        let started = Instant::now();
        // From here on others may lower it again; what is found below is put back afterwards.
        self.next_expiry.store(u64::MAX, Ordering::Release);
        for (index, locked) in self.shards.iter().enumerate() {
            let next = keyspace::next_expiry(&locked.0.lock());
            if next.is_some_and(|at| at <= now) {
                let mut shard = ShardSet::NONE;
                shard.insert(index);
                self.run_unasked(0, shard, |cx| cx.keys.expire_due(BUDGET_PER_SHARD));
            }
            if let Some(at) = keyspace::next_expiry(&locked.0.lock()) {
                self.note_expiry(at);
            }
        }
        self.slow.note_event("expire-cycle", started.elapsed(), &self.rules(), now);
    }

    /// Ends the watches of a session whose connection is gone.
    pub(crate) fn end_session(&self, session: &mut Session) {
        if session.watches().is_empty() {
            return;
        }
        let rules = self.rules.load();
        let set = session.shards(&rules);
        self.with_shards(set, |shards| {
            let mut journal = Journal::new();
            let mut keys = Keyspace::new(shards, &rules, now_ms(), 0, &mut journal);
            for watch in session.take_watches() {
                keys.unwatch(watch.database, &watch.key);
            }
        });
    }
}
