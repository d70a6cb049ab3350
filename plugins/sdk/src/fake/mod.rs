//! A server in memory, for native unit tests of a plugin's logic.
//!
//! It has expiry, versions, guards and rollback, and refuses what the plugin did not ask for in its
//! `wants`, so a forgotten want fails a unit test and not a load. Its clock stands still until
//! [`Server::advance`], its random numbers come from a seed, and [`Server::before_apply`] lets another
//! client win a race.
//!
//! | of | it knows |
//! |---|---|
//! | keys | `EXISTS` `TYPE` `KEYS` `SCAN` `DEL` `EXPIRE` `PEXPIRE` `PEXPIREAT` `PERSIST` `TTL` `PTTL` |
//! | strings | `GET` `MGET` `SET` `SETNX` `MSET` `GETDEL` `APPEND` `STRLEN` `INCR` `INCRBY` `DECR` `DECRBY` |
//! | sets | `SADD` `SREM` `SMOVE` `SCARD` `SMEMBERS` `SRANDMEMBER` `SISMEMBER` `SMISMEMBER` `SSCAN` |
//! | sorted sets | `ZADD` (no options) `ZINCRBY` `ZREM` `ZREMRANGEBYRANK` `ZREMRANGEBYSCORE` `ZCARD` `ZCOUNT` `ZSCORE` `ZRANK` `ZRANGE` (ranks) `ZRANGEBYSCORE` `ZREVRANGEBYSCORE` |
//! | hashes | `HSET` `HDEL` `HINCRBY` `HGET` `HMGET` `HGETALL` `HEXISTS` `HKEYS` `HVALS` `HLEN` |
//! | lists | `LPUSH` `RPUSH` `LPOP` `RPOP` `LINDEX` `LLEN` `LRANGE` |
//! | streams | `XADD` (`MAXLEN`) `XDEL` `XLEN` `XRANGE` `XREVRANGE` |
//!
//! For all others there are transcripts (`reef plugin test`) and the test kit, which run the component
//! against the real engine.
//!
//! A parked call is not called again by itself: a test writes the key, or calls [`Server::advance`], and
//! then [`Server::call_because`] with the cause it wants to see. A trigger hears of what a test tells it
//! with [`Server::event`]:
//!
//! ```
//! use reef_sdk::{Answer, Batch, Call, Cause, Command, Park, Query, Result, Trigger, fake};
//!
//! /// `LEVEL.WAIT amount milliseconds`: waits until the level is that high, at most so long.
//! fn wait(call: &mut Call<'_>) -> Result<Answer> {
//!     let (amount, patience): (i64, u64) = (call.arguments.parse()?, call.arguments.parse()?);
//!     call.arguments.end()?;
//!     let mut query = Query::new();
//!     query.get("level:now");
//!     let level = call.host.read(&query)?.cursor().value::<Option<i64>>()?.unwrap_or(0);
//!     if level >= amount {
//!         return Ok(Answer::of(level));
//!     }
//!     if call.cause == Cause::TimedOut {
//!         return Ok(Answer::nil());
//!     }
//!     // From when the client called, however often the key was written in vain meanwhile.
//!     Ok(Park::new().on("level:now").until(call.host.invoked_ms() + patience).into())
//! }
//!
//! # const COMMANDS: &[Command] = &[Command::new("LEVEL.WAIT", wait).arity(3).readonly().blocking()];
//! # reef_sdk::export_plugin! {
//! #     name: "level",
//! #     version: "0.1.0",
//! #     summary: "Waits.",
//! #     commands: COMMANDS,
//! #     wants: &["GET", "INCR", "~level:*"],
//! #     triggers: &[Trigger::on("level:now")],
//! #     on_event: |_, _| {
//! #         let mut batch = Batch::new();
//! #         batch.command("INCR").arg("level:changes");
//! #         Ok(batch)
//! #     },
//! # }
//! # fn main() -> Result<()> {
//! let mut server = fake::Server::new();
//! let wait = ["LEVEL.WAIT", "5", "1000"];
//! assert_eq!(server.run(&PLUGIN, &wait), "(parked)");
//!
//! // Written in vain: it parks again. Then its time is over.
//! server.redis(&["SET", "level:now", "3"]);
//! let again = server.call_because(&PLUGIN, Cause::Ready(b"level:now"), &wait)?;
//! assert!(matches!(again, Answer::Park(_)));
//! server.advance(1000);
//! let over = server.call_because(&PLUGIN, Cause::TimedOut, &wait)?;
//! assert!(matches!(over, Answer::Reply(_)));
//!
//! // Its trigger counts changes.
//! server.event(&PLUGIN, "set", "level:now")?;
//! assert_eq!(server.redis(&["GET", "level:changes"]), "\"1\"");
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately absent: limits, blocking commands, and any claim to be Redis in the corners.

mod commands;
mod keyspace;
mod others;
mod scan;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use self::commands::Entry;
use self::keyspace::Keyspace;
use crate::bindings::reef::plugin::context::{Budget, Client, Level};
use crate::bindings::reef::plugin::engine::{OnError, Outcome, View};
use crate::bindings::reef::plugin::types::{self, CommandError, ItemsParam};
use crate::{Answer, Arguments, Batch, Cause, EngineError, Error, Event, Host, Plugin, Query};
use crate::{Replies, Reply, Result};

/// Runs just before a batch: another client's chance.
type Interference = Box<dyn FnMut(&mut Server)>;

/// The server in memory.
#[derive(Default)]
pub struct Server {
    keyspace: Keyspace,
    seed: u64,
    wants: Option<&'static [&'static str]>,
    config: BTreeMap<String, String>,
    interference: Option<Interference>,
    left_alone: bool,
    one_slot: bool,
    /// When the call that is under way, or parked, was made.
    invoked_ms: u64,
    /// Who calls.
    client: u64,
    incarnation: u64,
    /// Of whose going the plugin wants to hear, under which keys.
    watched: BTreeSet<(u64, Vec<u8>)>,
    /// For which keys clients wait whose calls have parked.
    parked: BTreeMap<u64, Vec<Vec<u8>>>,
    /// How often the plugin read.
    pub reads: usize,
    /// How often the plugin applied a batch, the stale ones included.
    pub applies: usize,
    /// What the plugin logged.
    pub log: Vec<(Level, String)>,
    /// What the plugin counted.
    pub counters: BTreeMap<String, u64>,
}

impl Server {
    /// An empty server in the year 2025.
    #[must_use]
    pub fn new() -> Self {
        let mut server = Self::default();
        server.keyspace.now_ms = 1_750_000_000_000;
        (server.client, server.incarnation) = (1, 1);
        server
    }

    /// Behaves like a cluster from now on: a step whose keys do not have one hash tag is refused.
    /// Stricter than a cluster, where two tags may share a slot by chance.
    pub fn refuse_cross_slot(&mut self) {
        self.one_slot = true;
    }

    /// Calls come from this client from now on; at first it is 1.
    pub fn call_as(&mut self, client: u64) {
        self.client = client;
    }

    /// A client goes: the plugin is told under the keys for which it asked for that.
    pub fn disconnect(&mut self, plugin: &Plugin, client: u64) -> Result<()> {
        let (gone, others) =
            std::mem::take(&mut self.watched).into_iter().partition(|one| one.0 == client);
        self.watched = others;
        let gone: BTreeSet<(u64, Vec<u8>)> = gone;
        self.parked.remove(&client);
        gone.iter().try_for_each(|(_, key)| self.event_of(plugin, "disconnected", key))
    }

    /// The server ends and starts again with the same data: all clients are gone, and nobody tells.
    pub fn restart(&mut self) {
        self.watched.clear();
        self.parked.clear();
        self.incarnation += 1;
    }

    /// Moves the clock; keys whose time has come are gone.
    pub fn advance(&mut self, milliseconds: u64) {
        self.keyspace.advance(milliseconds);
    }

    /// Sets a value of the plugin's configuration.
    pub fn configure(&mut self, key: &str, value: &str) {
        self.config.insert(key.to_owned(), value.to_owned());
    }

    /// Calls this before each batch of the plugin, with nothing it does checked against `wants`.
    pub fn before_apply(&mut self, interference: impl FnMut(&mut Self) + 'static) {
        self.interference = Some(Box::new(interference));
    }

    /// Stops calling what [`Server::before_apply`] was given, also from inside of it.
    pub fn leave_alone(&mut self) {
        self.interference = None;
        self.left_alone = true;
    }

    /// Calls a command of the plugin, as a client would.
    pub fn call(&mut self, plugin: &Plugin, arguments: &[&str]) -> Result<Answer> {
        self.call_because(plugin, Cause::Invoked, arguments)
    }

    /// Calls a command of the plugin, for instance again after it has parked.
    pub fn call_because(
        &mut self,
        plugin: &Plugin,
        cause: Cause<'_>,
        arguments: &[&str],
    ) -> Result<Answer> {
        let name = arguments.first().copied().unwrap_or_default();
        let found = plugin.commands.iter().position(|one| one.name.eq_ignore_ascii_case(name));
        let Some(index) = found else {
            return Err(Error::new("ERR", format!("unknown command '{name}'")));
        };
        if !plugin.commands[index].accepts(arguments.len()) {
            return Err(Error::wrong_arity(name.as_bytes()));
        }
        if cause == Cause::Invoked {
            self.invoked_ms = self.keyspace.now_ms;
        }
        let lengths: Vec<u32> = arguments.iter().map(|one| one.len() as u32).collect();
        let data = arguments.concat();
        let list = Arguments::new(&lengths, data.as_bytes());
        let before = self.wants.replace(plugin.wants);
        let answer = plugin.call(self, index, cause, list);
        self.wants = before;
        self.note_parked(cause, &answer);
        answer
    }

    /// Notes whether the client waits now; calls that it makes while it does are those of a test.
    fn note_parked(&mut self, cause: Cause<'_>, answer: &Result<Answer>) {
        match answer {
            Ok(Answer::Park(park)) => {
                let keys = items(&park.keys.as_param()).into_iter().map(<[u8]>::to_vec);
                self.parked.insert(self.client, keys.collect());
            }
            _ if cause == Cause::Invoked => {}
            _ => {
                self.parked.remove(&self.client);
            }
        }
    }

    /// Tells the plugin of an event, as its trigger would, and applies what it makes of it. The error
    /// is the plugin's or the batch's.
    pub fn event(&mut self, plugin: &Plugin, name: &str, key: &str) -> Result<()> {
        self.event_of(plugin, name, key.as_bytes())
    }

    fn event_of(&mut self, plugin: &Plugin, name: &str, key: &[u8]) -> Result<()> {
        let event = Event { name, database: 0, key, depth: 1 };
        let before = self.wants.replace(plugin.wants);
        let reacted = plugin.react(self, &event);
        let applied = reacted.and_then(|batch| self.apply(&batch)?.applied());
        self.wants = before;
        applied.map(drop)
    }

    /// As [`Server::call`], and renders the reply on one line: `(integer) 1`, `["a", (nil)]`,
    /// `(error) ERR ...`.
    pub fn run(&mut self, plugin: &Plugin, arguments: &[&str]) -> String {
        match self.call(plugin, arguments) {
            Ok(Answer::Reply(reply)) => render(&reply),
            Ok(Answer::Park(_)) => "(parked)".to_owned(),
            Err(error) => format!("(error) {error}"),
        }
    }

    /// Runs a plain command, as a client would, and renders the reply on one line.
    pub fn redis(&mut self, arguments: &[&str]) -> String {
        let argv: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        let before = self.wants.take();
        let mut reply = Reply::new();
        let result = self.look_up(&argv, true).and_then(|entry| {
            (entry.run)(&mut self.keyspace, &argv[1..], &mut reply).map_err(invalid)
        });
        self.wants = before;
        match result {
            Ok(()) => render(&reply),
            Err(error) => format!("(error) {}", Error::from(error)),
        }
    }

    /// Finds a command that the plugin may run here, with these keys.
    fn look_up(&self, argv: &[&[u8]], writes: bool) -> Result<&'static Entry, EngineError> {
        let name = String::from_utf8_lossy(argv[0]).to_uppercase();
        let Some(entry) = entry(&name) else {
            let text =
                format!("the fake server has no '{name}': see the documentation of reef_sdk::fake");
            return Err(invalid(Error::new("ERR", text)));
        };
        let count = i32::try_from(argv.len()).unwrap_or(i32::MAX);
        if count < entry.arity.abs() || (entry.arity > 0 && count != entry.arity) {
            return Err(invalid(Error::wrong_arity(argv[0])));
        }
        if entry.write && !writes {
            return Err(invalid(Error::new("ERR", format!("'{name}' writes, inside read"))));
        }
        let Some(wants) = self.wants else { return Ok(entry) };
        if !wants.iter().any(|want| matches(want, &name)) {
            return Err(EngineError::AccessDenied(format!("'{name}' is not among the wants")));
        }
        for key in entry.keys(argv) {
            let key = String::from_utf8_lossy(key);
            let granted =
                |want: &&str| want.strip_prefix('~').is_some_and(|want| matches(want, &key));
            let configured =
                |value: &String| value.split_whitespace().any(|one| matches(one, &key));
            if !wants.iter().any(granted) && !self.config.values().any(configured) {
                return Err(EngineError::AccessDenied(format!("'{key}' is not among the wants")));
            }
        }
        Ok(entry)
    }

    /// On a cluster: refuses a step whose keys are not all of one slot.
    fn check_slots<'a>(
        &self,
        commands: &[Vec<&'a [u8]>],
        others: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), EngineError> {
        if !self.one_slot {
            return Ok(());
        }
        let name = |argv: &[&[u8]]| String::from_utf8_lossy(argv[0]).to_uppercase();
        let keys = commands
            .iter()
            .flat_map(|argv| entry(&name(argv)).map_or_else(Vec::new, |entry| entry.keys(argv)));
        let mut tags = keys.chain(others).map(tag);
        let first = tags.next();
        if tags.all(|other| Some(other) == first) { Ok(()) } else { Err(EngineError::CrossSlot) }
    }

    /// Indexes of the guards that do not hold.
    fn stale(&self, guards: &types::Guards<'_>) -> Vec<u32> {
        let keys = items(&guards.keys);
        assert_eq!(keys.len(), guards.versions.len(), "one version per guarded key");
        let versions = keys.iter().zip(guards.versions);
        let same = versions.map(|(key, version)| self.keyspace.version(key) == *version);
        let absent = items(&guards.absent);
        let holds = same.chain(absent.iter().map(|key| !self.keyspace.exists(key)));
        (0_u32..).zip(holds).filter(|(_, holds)| !holds).map(|(index, _)| index).collect()
    }
}

impl Host for Server {
    fn read(&mut self, query: &Query) -> Result<View, EngineError> {
        self.reads += 1;
        let (commands, watched) = query.as_params();
        let mut reply = Reply::new();
        self.check_slots(&split(&commands), items(&watched).into_iter())?;
        for (index, argv) in split(&commands).into_iter().enumerate() {
            let entry = self.look_up(&argv, false).map_err(|error| at(index, error))?;
            if let Err(error) = (entry.run)(&mut self.keyspace, &argv[1..], &mut reply) {
                reply.error(&error);
            }
        }
        let versions = items(&watched).into_iter().map(|key| self.keyspace.version(key)).collect();
        Ok(View { replies: reply.into_replies(), versions })
    }

    fn apply(&mut self, batch: &Batch) -> Result<Outcome, EngineError> {
        self.applies += 1;
        if let Some(mut interference) = self.interference.take() {
            let wants = self.wants.take();
            self.left_alone = false;
            interference(self);
            self.wants = wants;
            if !self.left_alone {
                self.interference = Some(interference);
            }
        }
        let batch = batch.as_param();
        let guarded = items(&batch.guards.keys).into_iter().chain(items(&batch.guards.absent));
        self.check_slots(&split(&batch.commands), guarded)?;
        let stale = self.stale(&batch.guards);
        if !stale.is_empty() {
            return Ok(Outcome::Stale(stale));
        }
        let commands = split(&batch.commands);
        let mut entries = Vec::new();
        for (index, argv) in commands.iter().enumerate() {
            entries.push(self.look_up(argv, true).map_err(|error| at(index, error))?);
        }
        let before = self.keyspace.clone();
        let mut reply = Reply::new();
        for ((index, argv), entry) in (0_u32..).zip(&commands).zip(entries) {
            if let Err(error) = (entry.run)(&mut self.keyspace, &argv[1..], &mut reply) {
                if matches!(batch.on_error, OnError::RollBack) {
                    self.keyspace = before;
                    return Err(EngineError::RolledBack((index, error.into())));
                }
                reply.error(&error);
            }
        }
        let replies = if batch.discard_replies { Reply::new() } else { reply };
        Ok(Outcome::Applied(replies.into_replies()))
    }

    fn waiting(&mut self, key: &[u8]) -> Result<u64, EngineError> {
        let waits = |keys: &&Vec<Vec<u8>>| keys.iter().any(|one| one == key);
        Ok(self.parked.values().filter(waits).count() as u64)
    }

    fn now_ms(&mut self) -> u64 {
        self.keyspace.now_ms
    }

    fn invoked_ms(&mut self) -> u64 {
        self.invoked_ms
    }

    fn random(&mut self) -> u64 {
        // SplitMix64: short, and good enough to tell ids apart.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn config(&mut self, key: &str) -> Option<String> {
        self.config.get(key).cloned()
    }

    fn tenant(&mut self) -> String {
        String::new()
    }

    fn caller(&mut self) -> Client {
        Client { id: self.client, user: "default".to_owned(), database: 0 }
    }

    fn incarnation(&mut self) -> u64 {
        self.incarnation
    }

    fn watch_caller(&mut self, key: &[u8]) -> Result<()> {
        self.watched.insert((self.client, key.to_vec()));
        Ok(())
    }

    fn remaining(&mut self) -> Budget {
        Budget { cpu_us: u64::MAX, host_calls: u32::MAX, bytes: u64::MAX }
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.push((level, message.to_owned()));
    }

    fn count(&mut self, counter: &str, delta: u64) {
        *self.counters.entry(counter.to_owned()).or_default() += delta;
    }
}

/// The command of this name, in upper case.
fn entry(name: &str) -> Option<&'static Entry> {
    let tables = [commands::TABLE, others::TABLE, streams::TABLE];
    tables.into_iter().flatten().find(|entry| entry.name == name)
}

/// What of a key decides its slot: what stands in its first braces, if anything does.
fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else { return key };
    let rest = &key[open + 1..];
    match rest.iter().position(|byte| *byte == b'}') {
        None | Some(0) => key,
        Some(close) => &rest[..close],
    }
}

/// An error before anything ran, with the index of the command it is about.
fn at(index: usize, error: EngineError) -> EngineError {
    match error {
        EngineError::InvalidCommand((_, error)) => {
            EngineError::InvalidCommand((index as u32, error))
        }
        other => other,
    }
}

/// A command that may not run here; [`at`] fills in its index.
fn invalid(error: Error) -> EngineError {
    EngineError::InvalidCommand((0, CommandError::from(error)))
}

/// Glob matching with `*`, `?` and escapes, without classes of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            tails.into_iter().any(|tail| matches(rest.as_str(), tail))
        }
        Some(wanted) => {
            let literal = if wanted == '\\' { rest.next() } else { Some(wanted) };
            let mut left = text.chars();
            left.next().is_some_and(|found| wanted == '?' || Some(found) == literal)
                && matches(rest.as_str(), left.as_str())
        }
    }
}

fn items<'a>(columns: &ItemsParam<'a>) -> Vec<&'a [u8]> {
    let total: usize = columns.lengths.iter().map(|length| *length as usize).sum();
    assert_eq!(total, columns.data.len(), "the lengths add up to the data");
    let mut rest = columns.data;
    let take = |length: &u32| {
        let (item, tail) = rest.split_at(*length as usize);
        rest = tail;
        item
    };
    columns.lengths.iter().map(take).collect()
}

fn split<'a>(commands: &types::Commands<'a>) -> Vec<Vec<&'a [u8]>> {
    let columns = ItemsParam { lengths: commands.lengths, data: commands.data };
    let mut arguments = items(&columns).into_iter();
    let take = |count: &u32| arguments.by_ref().take(*count as usize).collect::<Vec<_>>();
    let split: Vec<_> = commands.counts.iter().map(take).collect();
    assert!(split.iter().all(|argv| !argv.is_empty()), "a command has at least its name");
    assert!(arguments.next().is_none(), "the counts add up to the arguments");
    split
}

/// One reply on one line.
fn render(reply: &Reply) -> String {
    let replies: Replies = reply.clone().into_replies();
    let mut cursor = replies.cursor();
    let line = commands::render(&mut cursor).unwrap_or_else(|error| format!("broken: {error}"));
    assert!(cursor.step().is_err(), "a reply is exactly one tree: {line}");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_undoes_the_batch() {
        let mut server = Server::new();
        server.redis(&["SADD", "s", "a"]);
        let mut batch = Batch::new();
        batch.set("k", "v").command("INCR").arg("s");
        let Err(EngineError::RolledBack((1, error))) = server.apply(&batch) else {
            panic!("the second command must fail");
        };
        assert_eq!(error.code, "WRONGTYPE");
        assert_eq!(server.redis(&["EXISTS", "k"]), "(integer) 0");
        batch.keep_going();
        assert!(server.apply(&batch).is_ok());
        assert_eq!(server.redis(&["GET", "k"]), "\"v\"");
    }

    #[test]
    fn guards_are_counted_before_absent_keys() {
        let mut server = Server::new();
        server.redis(&["SET", "a", "1"]);
        let mut query = Query::new();
        query.watch("a").watch("b");
        let view = server.read(&query).unwrap();
        let mut batch = Batch::new();
        batch.guard("a", view.version(0)).guard("b", view.version(1)).absent("c").absent("a");
        assert!(matches!(server.apply(&batch), Ok(Outcome::Stale(stale)) if stale == [3]));
        server.redis(&["SET", "b", "1"]);
        assert!(matches!(server.apply(&batch), Ok(Outcome::Stale(stale)) if stale == [1, 3]));
    }

    #[test]
    fn a_cluster_refuses_keys_of_different_slots() {
        let mut server = Server::new();
        server.refuse_cross_slot();
        let mut batch = Batch::new();
        batch.absent("z{t}").set("a{t}", "1").set("{t}b", "2");
        assert!(server.apply(&batch).is_ok());
        batch.set("c", "3");
        assert!(matches!(server.apply(&batch), Err(EngineError::CrossSlot)));
        let mut query = Query::new();
        query.get("a{t}").watch("{}t");
        assert!(matches!(server.read(&query), Err(EngineError::CrossSlot)));
    }

    #[test]
    fn patterns_match_as_globs() {
        for (pattern, text) in [("*", ""), ("a*c", "abbc"), ("a?c", "abc"), ("a\\*", "a*")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a*c", "abb"), ("a?c", "ac"), ("a\\*", "ab")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn expiry_changes_the_version() {
        let mut server = Server::new();
        server.redis(&["SET", "k", "v", "PX", "5"]);
        let before = server.keyspace.version(b"k");
        server.advance(4);
        assert_eq!(server.redis(&["GET", "k"]), "\"v\"");
        server.advance(1);
        assert_eq!(server.redis(&["GET", "k"]), "(nil)");
        assert_ne!(server.keyspace.version(b"k"), before);
    }

    #[test]
    fn the_documentation_names_every_command() {
        let documentation = include_str!("mod.rs");
        for entry in [commands::TABLE, others::TABLE, streams::TABLE].into_iter().flatten() {
            assert!(documentation.contains(&format!("`{}`", entry.name)), "{}", entry.name);
        }
    }

    #[test]
    fn common_commands_answer_as_redis_does() {
        let mut server = Server::new();
        for (line, reply) in [
            ("DECRBY n 3", "(integer) -3"),
            ("DECR n", "(integer) -4"),
            ("SETNX n 1", "(integer) 0"),
            ("APPEND t abc", "(integer) 3"),
            ("STRLEN t", "(integer) 3"),
            ("EXPIRE t 5", "(integer) 1"),
            ("TTL t", "(integer) 5"),
            ("TTL n", "(integer) -1"),
            ("PEXPIRE none 5", "(integer) 0"),
            ("GETDEL t", "\"abc\""),
            ("GETDEL t", "(nil)"),
            ("HINCRBY h f 2", "(integer) 2"),
            ("HMGET h f g", "[\"2\", (nil)]"),
            ("HEXISTS h g", "(integer) 0"),
            ("HKEYS h", "[\"f\"]"),
            ("HVALS h", "[\"2\"]"),
            ("LPUSH l a b", "(integer) 2"),
            ("LINDEX l -1", "\"a\""),
            ("RPOP l", "\"a\""),
            ("ZINCRBY z 1.5 m", "\"1.5\""),
            ("ZINCRBY z 1 k", "\"1\""),
            ("ZRANK z m", "(integer) 1"),
            ("ZRANGE z 0 -1", "[\"k\", \"m\"]"),
            (
                "LPUSH z a",
                "(error) WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(server.redis(&words), reply, "{line}");
        }
    }

    #[test]
    fn a_stream_keeps_its_entries_in_order() {
        let mut server = Server::new();
        for (line, reply) in [
            ("XADD s * a 1", "\"1750000000000-0\""),
            ("XADD s * a 2", "\"1750000000000-1\""),
            (
                "XADD s 1-1 a 3",
                "(error) ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ),
            ("XLEN s", "(integer) 2"),
            ("XREVRANGE s + - COUNT 1", "[[\"1750000000000-1\", [\"a\", \"2\"]]]"),
            ("XRANGE s (1750000000000-0 +", "[[\"1750000000000-1\", [\"a\", \"2\"]]]"),
            ("XRANGE s + -", "[]"),
            ("XRANGE s (1750000000000-0 1750000000000-0", "[]"),
            ("XDEL s 1750000000000-1 5", "(integer) 1"),
            ("XADD s MAXLEN ~ 1 * a 4", "\"1750000000000-2\""),
            ("XRANGE s 1750000000000 1750000000000", "[[\"1750000000000-2\", [\"a\", \"4\"]]]"),
            ("TYPE s", "stream"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(server.redis(&words), reply, "{line}");
        }
    }

    #[test]
    fn reading_may_not_write_and_wants_are_enforced() {
        let mut server = Server::new();
        let mut query = Query::new();
        query.command("SET").arg("k").arg("v");
        assert!(matches!(server.read(&query), Err(EngineError::InvalidCommand((0, _)))));
        server.wants = Some(&["SET", "~mine:*"]);
        let mut batch = Batch::new();
        batch.set("yours:1", "v");
        assert!(matches!(server.apply(&batch), Err(EngineError::AccessDenied(_))));
        let mut batch = Batch::new();
        batch.del("mine:1");
        assert!(matches!(server.apply(&batch), Err(EngineError::AccessDenied(_))));
        let mut batch = Batch::new();
        batch.set("mine:1", "v");
        assert!(server.apply(&batch).is_ok());
    }
}
