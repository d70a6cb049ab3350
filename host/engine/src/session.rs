//! What the engine keeps per connection: identity, selected database, transaction, watches.
//!
//! A plain value owned by whoever owns the connection. An idle session is small: what is rarely
//! used sits behind a box.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use reef_resp::OwnedArgv;

use crate::acl::Account;
use crate::error::Error;
use crate::keyspace::ShardSet;
use crate::pubsub::SubscriptionCounts;
use crate::registry::CommandRef;
use crate::settings::Rules;
use crate::tracking::Scope;

/// Whether replies are sent (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// All.
    #[default]
    On,
    /// None.
    Off,
    /// Not that of the next command.
    SkipNext,
    /// Not that of this command.
    Skip,
}

/// What a client caches of what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caching {
    /// Which keys it hears of.
    pub scope: Scope,
    /// Whether CLIENT CACHING came just before.
    pub asked: bool,
}

impl Caching {
    /// Whether the keys that the command at hand reads are remembered.
    pub fn is_on(self) -> bool {
        match self.scope {
            Scope::Read => true,
            Scope::OptIn => self.asked,
            Scope::OptOut => !self.asked,
            Scope::Broadcast => false,
        }
    }
}

/// A connection's state.
#[derive(Debug)]
pub struct Session {
    /// As in CLIENT ID.
    pub id: u64,
    /// The selected database.
    pub database: u32,
    /// Whether the client has proved who it is, or need not.
    pub authenticated: bool,
    /// Which replies are sent.
    pub reply_mode: ReplyMode,
    /// `CLIENT NO-TOUCH`.
    pub no_touch: bool,
    /// `CLIENT NO-EVICT`.
    pub no_evict: bool,
    /// Whether the connection closes when its replies are sent.
    pub closing: bool,
    /// Whether MONITOR runs here.
    pub monitoring: bool,
    /// How many subscriptions there are.
    pub subscribed: SubscriptionCounts,
    /// Whether the reply just written is sent whatever `reply_mode` says.
    pub reply_is_push: bool,
    /// What the client caches of what it reads, if it told (`CLIENT TRACKING`).
    pub caching: Option<Caching>,
    /// Whether EXEC runs its queue just now, where nothing may wait.
    pub executing: bool,
    /// Whether it runs what a primary, or a log, says: nothing has expired but what the primary
    /// removes, no state of the server is a reason to refuse anything, and nobody waits for
    /// replies.
    pub obeys_primary: bool,
    /// The user's name.
    pub user: Arc<str>,
    /// The user; without one everything is allowed.
    account: Option<Arc<Account>>,
    labels: Option<Box<Labels>>,
    transaction: Option<Box<Transaction>>,
    watches: Vec<Watch>,
}

/// What a client tells of itself.
#[derive(Debug, Default)]
pub struct Labels {
    /// `CLIENT SETNAME`.
    pub name: Box<[u8]>,
    /// `CLIENT SETINFO LIB-NAME`.
    pub library_name: Box<[u8]>,
    /// `CLIENT SETINFO LIB-VER`.
    pub library_version: Box<[u8]>,
}

/// The commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Transaction {
    /// What was queued.
    pub queue: Vec<(CommandRef, OwnedArgv)>,
    /// Whether a command was refused, so that EXEC must be.
    pub aborted: bool,
    /// Why EXEC must fail: it comes when a command of the queue would be refused.
    pub refusal: Option<Error>,
}

/// A watched key.
#[derive(Debug)]
pub struct Watch {
    /// Its database.
    pub database: u32,
    /// The key.
    pub key: Box<[u8]>,
    /// How often it had changed when the watch began.
    pub version: u64,
    /// Whether it had expired by then, and was kept.
    pub had_expired: bool,
}

impl Session {
    /// The session of a new connection.
    pub fn new(id: u64, user: Arc<str>, authenticated: bool) -> Self {
        Self {
            id,
            database: 0,
            authenticated,
            reply_mode: ReplyMode::On,
            no_touch: false,
            no_evict: false,
            closing: false,
            monitoring: false,
            subscribed: SubscriptionCounts::default(),
            reply_is_push: false,
            caching: None,
            executing: false,
            obeys_primary: false,
            user,
            account: None,
            labels: None,
            transaction: None,
            watches: Vec::new(),
        }
    }

    /// The session of a new connection that begins as this user.
    pub fn of(id: u64, account: Arc<Account>) -> Self {
        let authenticated = account.user().is_open();
        let mut session = Self::new(id, account.shown().clone(), authenticated);
        session.hold(account);
        session
    }

    /// The user.
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.as_ref()
    }

    /// Makes this the user from the next command on.
    pub fn hold(&mut self, account: Arc<Account>) {
        self.user = account.shown().clone();
        self.account = Some(account);
    }

    /// Whether the user was changed or deleted since the session took it.
    #[inline]
    pub fn is_outdated(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.is_outdated())
    }

    /// Whether commands are to be checked before they run.
    #[inline]
    pub fn is_limited(&self) -> bool {
        self.account.as_ref().is_some_and(|account| !account.is_unlimited())
    }

    /// Whether the client must prove who it is before it runs anything.
    #[inline]
    pub fn is_stranger(&self) -> bool {
        !self.authenticated && !self.account.as_ref().is_some_and(|held| held.user().is_open())
    }

    /// What the client told of itself.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_deref()
    }

    /// The same, for changing.
    pub fn labels_mut(&mut self) -> &mut Labels {
        self.labels.get_or_insert_default()
    }

    /// The name set by CLIENT SETNAME, or nothing.
    pub fn name(&self) -> &[u8] {
        self.labels().map_or(&[], |labels| &labels.name)
    }

    /// The open transaction.
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_deref()
    }

    /// Opens a transaction. `false` if one is open.
    pub fn begin(&mut self) -> bool {
        let open = self.transaction.is_some();
        self.transaction.get_or_insert_default();
        !open
    }

    /// Adds a command to the open transaction.
    pub fn enqueue(&mut self, command: CommandRef, argv: OwnedArgv) {
        if let Some(transaction) = &mut self.transaction {
            transaction.queue.push((command, argv));
        }
    }

    /// Makes EXEC fail, if a transaction is open.
    pub fn abort(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.aborted = true;
        }
    }

    /// Makes EXEC fail for this reason, if a transaction is open.
    pub fn refuse(&mut self, error: Error) {
        if let Some(transaction) = &mut self.transaction {
            transaction.refusal = Some(error);
        }
    }

    /// Closes the transaction.
    pub fn end(&mut self) -> Option<Box<Transaction>> {
        self.transaction.take()
    }

    /// What CLIENT CACHING said holds for one command, or for a whole transaction.
    #[inline]
    pub fn end_caching(&mut self) {
        let inside = self.executing || self.transaction.is_some();
        if let Some(caching) = self.caching.as_mut().filter(|_| !inside) {
            caching.asked = false;
        }
    }

    /// The watched keys.
    pub fn watches(&self) -> &[Watch] {
        &self.watches
    }

    /// Remembers a watch.
    pub fn add_watch(&mut self, watch: Watch) {
        self.watches.push(watch);
    }

    /// Forgets all watches; the caller ends them in the keyspace.
    pub fn take_watches(&mut self) -> Vec<Watch> {
        core::mem::take(&mut self.watches)
    }

    /// The shards of the watched keys and of the queued commands: what EXEC, DISCARD, UNWATCH and
    /// the end of the connection need.
    pub fn shards(&self, rules: &Rules) -> ShardSet {
        let mut set = ShardSet::NONE;
        for watch in &self.watches {
            set.insert(rules.shard_of(&watch.key));
        }
        for (command, argv) in self.transaction.iter().flat_map(|transaction| &transaction.queue) {
            set = set.union(command.shards(argv.as_argv(), rules));
        }
        set
    }

    /// Bytes on the heap behind the session.
    pub fn heap_bytes(&self) -> usize {
        let labels = self.labels().map_or(0, |labels| {
            size_of::<Labels>() + labels.name.len() + labels.library_name.len()
        });
        let queue = self.transaction().map_or(0, |transaction| {
            transaction.queue.iter().map(|(_, argv)| argv.heap_bytes() + 64).sum()
        });
        labels + queue + self.watches.iter().map(|watch| watch.key.len() + 40).sum::<usize>()
    }
}
