//! Triggers: plugins that hear of what happens to keys.
//!
//! Events are those of keyspace notifications (see [`notifications`](crate::notifications)): noted
//! where a change is recorded, told after the command, never if it was rolled back. A trigger has an
//! [`Inbox`], which its plugin empties elsewhere, with no shard held.
//!
//! A durable trigger's events are appended to a stream, [`Trigger::stream`], in the same step as the
//! write, so they are as durable as the write and reach replicas with it; every step takes the
//! shard of that stream for as long as there is such a trigger.
//!
//! Invariants:
//! - what a plugin's trigger changes does not trigger that plugin, and a chain from plugin to plugin
//!   ends after [`DEPTH_MAX`] of them;
//! - a server that obeys a primary triggers nothing: the effects come from there;
//! - an inbox refuses nothing. One that is full makes the server refuse writes, so nothing is lost.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::keyspace::{Event, Keyspace, ShardSet};
use crate::notifications::{Followed, Happening};
use crate::settings::Rules;
use crate::types::glob;
use crate::types::stream::Stream;
use crate::types::stream_id::{NewId, TEXT_BYTES_MAX};

/// How many plugins may trigger each other in a row.
pub const DEPTH_MAX: u32 = 8;
/// How the keys of durable triggers' streams begin; what happens to such keys triggers nothing.
pub const STREAM_PREFIX: &[u8] = b"trigger:";

/// Something that happened, as a trigger is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerEvent {
    /// What: as in keyspace notifications.
    pub name: Box<str>,
    /// In which database.
    pub database: u32,
    /// To which key.
    pub key: Box<[u8]>,
    /// How many triggers led to it, this one included.
    pub depth: u32,
}

/// Where a plugin's events go. Called while shards are held: it may call nobody.
pub trait Inbox: Send + Sync + Debug {
    /// Takes an event.
    fn put(&self, event: TriggerEvent);
    /// The stream has another event, and so many in all; `None`: it could not be appended.
    fn stored(&self, backlog: Option<u64>);
    /// Whether the plugin is so far behind that nothing more should happen.
    fn is_full(&self) -> bool;
}

/// A plugin's wish to hear of events.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The plugin.
    pub plugin: Arc<str>,
    /// Which keys: a glob.
    pub pattern: Box<[u8]>,
    /// Which events; none stands for all that change something.
    pub events: Vec<Box<str>>,
    /// Whether its events go through a stream.
    pub durable: bool,
    /// Where they go.
    pub inbox: Arc<dyn Inbox>,
}

/// Who causes a step, if a trigger does.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The plugin.
    pub plugin: Arc<str>,
    /// How many triggers led to it.
    pub depth: u32,
}

impl Trigger {
    /// The key of the stream of a plugin's durable triggers, in each event's own database.
    pub fn stream(plugin: &str) -> Vec<u8> {
        [STREAM_PREFIX, plugin.as_bytes()].concat()
    }

    /// Its events.
    fn followed(&self) -> Followed {
        if self.events.is_empty() {
            return Followed::ALL;
        }
        self.events
            .iter()
            .map(|event| Followed::only(event))
            .fold(Followed::default(), Followed::union)
    }

    fn wants(&self, event: &str, key: &[u8]) -> bool {
        let is_named = self.events.iter().any(|wanted| **wanted == *event);
        let is_meant = is_named || self.events.is_empty() && crate::notifications::is_change(event);
        is_meant && glob::matches(&self.pattern, key)
    }
}

/// All triggers.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    all: Arc<[Trigger]>,
    /// The events of all of them.
    followed: Followed,
}

impl Triggers {
    /// These.
    pub fn new(triggers: Vec<Trigger>) -> Self {
        let events = triggers.iter().map(Trigger::followed);
        Self { followed: events.fold(Followed::default(), Followed::union), all: triggers.into() }
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a plugin is so far behind that writes are to be refused.
    #[inline]
    pub fn are_full(&self) -> bool {
        self.all.iter().any(|trigger| trigger.inbox.is_full())
    }

    /// The shards of the streams.
    pub fn shards(&self, rules: &Rules) -> ShardSet {
        let mut shards = ShardSet::NONE;
        for trigger in self.all.iter().filter(|trigger| trigger.durable) {
            shards.insert(rules.shard_of(&Trigger::stream(&trigger.plugin)));
        }
        shards
    }

    /// The events of all of them.
    #[inline]
    pub(crate) fn followed(&self) -> Followed {
        self.followed
    }

    /// Whether somebody wants to hear of an event.
    pub(crate) fn want(&self, event: &str, key: &[u8]) -> bool {
        !key.starts_with(STREAM_PREFIX) && self.all.iter().any(|one| one.wants(event, key))
    }

    /// The triggers of an event that is caused by `origin`; each plugin once.
    fn of<'t>(
        &'t self,
        event: &'t str,
        key: &'t [u8],
        origin: Option<&'t Origin>,
        durable: bool,
    ) -> impl Iterator<Item = &'t Trigger> {
        let depth = origin.map_or(0, |origin| origin.depth);
        let is_open = depth < DEPTH_MAX && !key.starts_with(STREAM_PREFIX);
        let all = if is_open { &*self.all } else { &[] };
        let mut last: Option<&Arc<str>> = None;
        all.iter().filter(move |trigger| {
            let is_own = origin.is_some_and(|origin| origin.plugin == trigger.plugin);
            if is_own || trigger.durable != durable || last == Some(&trigger.plugin) {
                return false;
            }
            let wants = trigger.wants(event, key);
            if wants {
                last = Some(&trigger.plugin);
            }
            wants
        })
    }
}

impl Keyspace<'_> {
    /// Appends what happened and was not looked at yet to the streams of durable triggers.
    #[cold]
    pub(crate) fn append_events(&mut self) {
        let triggers = self.rules.triggers().clone();
        let origin = self.origin();
        let depth = origin.as_ref().map_or(0, |origin| origin.depth) + 1;
        for happening in self.take_unappended() {
            let Happening::Event(event, database, key) = happening else { continue };
            for trigger in triggers.of(event, &key, origin.as_ref(), true) {
                let backlog = self.append_event(&trigger.plugin, event, (database, &key), depth);
                trigger.inbox.stored(backlog);
            }
        }
    }

    /// Appends an event to a stream. How many there are, if it could be.
    fn append_event(
        &mut self,
        plugin: &str,
        event: Event,
        (database, key): (u32, &[u8]),
        depth: u32,
    ) -> Option<u64> {
        let (stream, now_ms) = (Trigger::stream(plugin), self.now.get());
        let depth = depth.to_string();
        let pairs: [&[u8]; 6] =
            [b"event", event.as_bytes(), b"key", key, b"depth", depth.as_bytes()];
        self.in_database(database, |keys| {
            let appended = keys.edit_or_create::<Stream, _>(&stream, "xadd", |entries| {
                let id = entries.new_id(NewId::Auto, now_ms);
                let id = id.ok_or(crate::error::Error::STREAM_ID_NOT_ABOVE)?;
                entries.append(id, pairs.iter().copied());
                Ok(id)
            });
            let id = appended.ok()?;
            if keys.propagates() {
                let mut digits = [0; TEXT_BYTES_MAX];
                let words: [&dyn crate::effects::Word; 3] =
                    [&"XADD", &stream.as_slice(), &id.format(&mut digits)];
                keys.say_effect(&words, pairs.iter().copied());
            }
            let entries = keys.peek_collection::<Stream>(&stream).ok().flatten();
            entries.map(Stream::len)
        })
    }

    /// Tells triggers that are not durable of an event.
    pub(crate) fn trigger(&self, event: Event, database: u32, key: &[u8]) {
        let origin = self.origin();
        let depth = origin.as_ref().map_or(0, |origin| origin.depth) + 1;
        for trigger in self.rules.triggers().of(event, key, origin.as_ref(), false) {
            trigger.inbox.put(TriggerEvent {
                name: event.into(),
                database,
                key: key.into(),
                depth,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Nowhere;

    impl Inbox for Nowhere {
        fn put(&self, _: TriggerEvent) {}
        fn stored(&self, _: Option<u64>) {}
        fn is_full(&self) -> bool {
            false
        }
    }

    fn trigger(plugin: &str, pattern: &str, events: &[&str], durable: bool) -> Trigger {
        Trigger {
            plugin: plugin.into(),
            pattern: pattern.as_bytes().into(),
            events: events.iter().map(|event| (*event).into()).collect(),
            durable,
            inbox: Arc::new(Nowhere),
        }
    }

    fn told<'t>(
        triggers: &'t Triggers,
        event: &'t str,
        origin: Option<&'t Origin>,
    ) -> Vec<&'t str> {
        let all = triggers.of(event, b"k:1", origin, false);
        all.map(|trigger| &*trigger.plugin).collect()
    }

    #[test]
    fn a_plugin_is_told_once_of_what_it_wants() {
        let triggers = Triggers::new(alloc::vec![
            trigger("a", "k:*", &[], false),
            trigger("a", "*", &[], false),
            trigger("b", "k:*", &["del", "keymiss"], false),
            trigger("c", "other:*", &[], false),
            trigger("d", "k:*", &[], true),
        ]);
        assert_eq!(told(&triggers, "set", None), ["a"]);
        assert_eq!(told(&triggers, "del", None), ["a", "b"]);
        // No change: only who names it hears of it.
        assert_eq!(told(&triggers, "keymiss", None), ["b"]);
        let durable: Vec<_> = triggers.of("set", b"k:1", None, true).collect();
        assert_eq!(durable.len(), 1);
        assert!(triggers.want("set", b"k:1") && triggers.want("set", b"x"));
        assert!(!triggers.want("xadd", b"trigger:a"), "streams of events are none");
    }

    #[test]
    fn a_plugin_does_not_trigger_itself_and_chains_end() {
        let triggers = Triggers::new(alloc::vec![
            trigger("a", "*", &[], false),
            trigger("b", "*", &[], false),
        ]);
        let by = |plugin: &str, depth| Origin { plugin: plugin.into(), depth };
        assert_eq!(told(&triggers, "set", Some(&by("a", 1))), ["b"]);
        assert_eq!(told(&triggers, "set", Some(&by("b", DEPTH_MAX - 1))), ["a"]);
        assert!(told(&triggers, "set", Some(&by("b", DEPTH_MAX))).is_empty());
    }
}
