//! Who is subscribed to what: channels, patterns, shard channels.
//!
//! A plain value that belongs to the whole process, not to a shard: whoever drives the engine keeps
//! it and hands it to commands through [`Host`](crate::host::Host). It makes the messages, and says
//! who receives them; how they travel is the driver's business.
//!
//! Invariants:
//! - a topic without subscribers is not kept;
//! - a topic lists exactly the clients that have it among their own subscriptions;
//! - the receivers of a topic are grouped by home, so that each home is told once per message.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::push::{Push, Receivers};
use crate::settings::Audience;
use crate::types::glob;
use crate::types::hasher::Hasher;
use crate::types::segmented::Segmented;

/// What one can subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// A channel, by its name.
    Channel,
    /// All channels whose names match.
    Pattern,
    /// A channel of a cluster's shard, apart from the others.
    ShardChannel,
}

impl TopicKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Channel, Self::Pattern, Self::ShardChannel];
}

/// How many subscriptions a client has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionCounts {
    /// Channels.
    pub channels: usize,
    /// Patterns.
    pub patterns: usize,
    /// Shard channels.
    pub shard_channels: usize,
}

impl SubscriptionCounts {
    /// Whether there is any.
    #[inline]
    pub fn any(self) -> bool {
        self.channels | self.patterns | self.shard_channels != 0
    }

    /// What a reply about a topic of this kind counts: shard channels apart from all others.
    pub fn told_with(self, kind: TopicKind) -> usize {
        match kind {
            TopicKind::ShardChannel => self.shard_channels,
            TopicKind::Channel | TopicKind::Pattern => self.channels + self.patterns,
        }
    }
}

type Name = Arc<[u8]>;

/// One topic and its subscribers.
#[derive(Debug)]
struct Topic {
    name: Name,
    /// Home and client.
    subscribers: BTreeSet<(u32, u64)>,
    /// The same grouped by home, as long as nobody comes or goes.
    groups: Option<Vec<(u32, Receivers)>>,
}

impl Topic {
    /// Tells every home of its receivers; gives how many there are.
    fn tell(&mut self, push: &Arc<Push>, send: &mut Send<'_>) -> usize {
        let subscribers = &self.subscribers;
        let groups = self.groups.get_or_insert_with(|| grouped(subscribers));
        groups.iter().for_each(|(home, clients)| send(*home, clients, push));
        subscribers.len()
    }
}

fn grouped(subscribers: &BTreeSet<(u32, u64)>) -> Vec<(u32, Receivers)> {
    let mut groups: Vec<(u32, Vec<u64>)> = Vec::new();
    for (home, client) in subscribers {
        match groups.last_mut() {
            Some((last, clients)) if last == home => clients.push(*client),
            _ => groups.push((*home, alloc::vec![*client])),
        }
    }
    groups.into_iter().map(|(home, clients)| (home, clients.into())).collect()
}

/// The topics of one kind, by name.
#[derive(Debug)]
struct Topics {
    table: Segmented<Topic>,
    hasher: Hasher,
}

impl Topics {
    fn new(hasher: Hasher) -> Self {
        Self { table: Segmented::new(), hasher }
    }

    fn find(&self, name: &[u8]) -> Option<&Topic> {
        self.table.find(self.hasher.hash(name), |topic| *topic.name == *name)
    }

    fn find_mut(&mut self, name: &[u8]) -> Option<&mut Topic> {
        self.table.find_mut(self.hasher.hash(name), |topic| *topic.name == *name)
    }

    /// Adds a subscriber; gives the name to be kept with it.
    fn add(&mut self, name: &[u8], subscriber: (u32, u64)) -> Name {
        let hasher = self.hasher.clone();
        if self.find(name).is_none() {
            let topic = Topic { name: name.into(), subscribers: BTreeSet::new(), groups: None };
            self.table.insert(hasher.hash(name), topic, |topic| hasher.hash(&topic.name));
        }
        let Some(topic) = self.find_mut(name) else { return name.into() };
        topic.subscribers.insert(subscriber);
        topic.groups = None;
        topic.name.clone()
    }

    fn remove(&mut self, name: &[u8], subscriber: (u32, u64)) {
        let Some(topic) = self.find_mut(name) else { return };
        topic.subscribers.remove(&subscriber);
        topic.groups = None;
        if topic.subscribers.is_empty() {
            let hasher = &self.hasher;
            let (hash, is_it) = (hasher.hash(name), |topic: &Topic| *topic.name == *name);
            self.table.remove(hash, is_it, |topic| hasher.hash(&topic.name));
        }
    }
}

/// A client's own subscriptions.
#[derive(Debug, Default)]
struct Subscriber {
    home: u32,
    channels: BTreeSet<Name>,
    patterns: BTreeSet<Name>,
    shard_channels: BTreeSet<Name>,
}

impl Subscriber {
    fn names(&self, kind: TopicKind) -> &BTreeSet<Name> {
        match kind {
            TopicKind::Channel => &self.channels,
            TopicKind::Pattern => &self.patterns,
            TopicKind::ShardChannel => &self.shard_channels,
        }
    }

    fn names_mut(&mut self, kind: TopicKind) -> &mut BTreeSet<Name> {
        match kind {
            TopicKind::Channel => &mut self.channels,
            TopicKind::Pattern => &mut self.patterns,
            TopicKind::ShardChannel => &mut self.shard_channels,
        }
    }

    fn counts(&self) -> SubscriptionCounts {
        SubscriptionCounts {
            channels: self.channels.len(),
            patterns: self.patterns.len(),
            shard_channels: self.shard_channels.len(),
        }
    }
}

/// Takes a message for some clients of a home.
pub type Send<'s> = dyn FnMut(u32, &Receivers, &Arc<Push>) + 's;

/// All subscriptions of the process.
#[derive(Debug)]
pub struct Subscriptions {
    channels: Topics,
    patterns: Topics,
    shard_channels: Topics,
    clients: BTreeMap<u64, Subscriber>,
    audience: Audience,
}

impl Subscriptions {
    /// No subscriptions; `audience` is told when there are some. Names are hashed with `seed`,
    /// which clients must not know.
    pub fn new(seed: u64, audience: Audience) -> Self {
        let topics = || Topics::new(Hasher::new(seed));
        Self {
            channels: topics(),
            patterns: topics(),
            shard_channels: topics(),
            clients: BTreeMap::new(),
            audience,
        }
    }

    fn topics(&self, kind: TopicKind) -> &Topics {
        match kind {
            TopicKind::Channel => &self.channels,
            TopicKind::Pattern => &self.patterns,
            TopicKind::ShardChannel => &self.shard_channels,
        }
    }

    fn topics_mut(&mut self, kind: TopicKind) -> &mut Topics {
        match kind {
            TopicKind::Channel => &mut self.channels,
            TopicKind::Pattern => &mut self.patterns,
            TopicKind::ShardChannel => &mut self.shard_channels,
        }
    }

    /// Subscribes a client, which is served at `home`; subscribing again changes nothing. Gives how
    /// many subscriptions it has.
    pub fn subscribe(
        &mut self,
        kind: TopicKind,
        name: &[u8],
        client: u64,
        home: u32,
    ) -> SubscriptionCounts {
        let subscriber = self.clients.entry(client).or_default();
        subscriber.home = home;
        if subscriber.names(kind).contains(name) {
            return subscriber.counts();
        }
        let name = self.topics_mut(kind).add(name, (home, client));
        let subscriber = self.clients.entry(client).or_default();
        subscriber.names_mut(kind).insert(name);
        self.audience.set_subscribed(true);
        subscriber.counts()
    }

    /// Ends a subscription, if there is one. Gives how many the client has left.
    pub fn unsubscribe(&mut self, kind: TopicKind, name: &[u8], client: u64) -> SubscriptionCounts {
        let Some(subscriber) = self.clients.get_mut(&client) else {
            return SubscriptionCounts::default();
        };
        let (home, was_there) = (subscriber.home, subscriber.names_mut(kind).remove(name));
        let counts = subscriber.counts();
        if !counts.any() {
            self.clients.remove(&client);
        }
        if was_there {
            self.topics_mut(kind).remove(name, (home, client));
        }
        self.audience.set_subscribed(!self.clients.is_empty());
        counts
    }

    /// Ends all subscriptions of a client.
    pub fn forget(&mut self, client: u64) {
        let Some(subscriber) = self.clients.remove(&client) else { return };
        for kind in TopicKind::ALL {
            for name in subscriber.names(kind) {
                self.topics_mut(kind).remove(name, (subscriber.home, client));
            }
        }
        self.audience.set_subscribed(!self.clients.is_empty());
    }

    /// What a client is subscribed to, in ascending order.
    pub fn names_of(&self, kind: TopicKind, client: u64) -> Vec<Arc<[u8]>> {
        let subscriber = self.clients.get(&client);
        subscriber.map(|one| one.names(kind).iter().cloned().collect()).unwrap_or_default()
    }

    /// How many subscriptions a client has.
    pub fn counts_of(&self, client: u64) -> SubscriptionCounts {
        self.clients.get(&client).map(Subscriber::counts).unwrap_or_default()
    }

    /// Hands a message to `send` for each home where somebody receives it, once per topic that
    /// brings it there. Gives how many times it is received.
    pub fn publish(&mut self, channel: &[u8], payload: &[u8], send: &mut Send<'_>) -> usize {
        let mut received = 0;
        if let Some(topic) = self.channels.find_mut(channel) {
            let push = Arc::new(Push::message(b"message", None, channel, payload));
            received += topic.tell(&push, send);
        }
        if self.patterns.table.is_empty() {
            return received;
        }
        let matching = |topic: &&mut Topic| glob::matches(&topic.name, channel);
        for topic in self.patterns.table.iter_mut().filter(matching) {
            let push = Push::message(b"pmessage", Some(&topic.name), channel, payload);
            received += topic.tell(&Arc::new(push), send);
        }
        received
    }

    /// The same for a shard channel, which patterns do not match.
    pub fn publish_in_shard(
        &mut self,
        channel: &[u8],
        payload: &[u8],
        send: &mut Send<'_>,
    ) -> usize {
        let Some(topic) = self.shard_channels.find_mut(channel) else { return 0 };
        topic.tell(&Arc::new(Push::message(b"smessage", None, channel, payload)), send)
    }

    /// How many topics of a kind have subscribers.
    pub fn len(&self, kind: TopicKind) -> usize {
        self.topics(kind).table.len()
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// What INFO tells, by its names.
    pub fn statistics(&self) -> [(&'static str, u64); 3] {
        [
            ("pubsub_channels", self.len(TopicKind::Channel) as u64),
            ("pubsub_patterns", self.len(TopicKind::Pattern) as u64),
            ("pubsubshard_channels", self.len(TopicKind::ShardChannel) as u64),
        ]
    }

    /// How many clients are subscribed to a topic.
    pub fn subscribers_of(&self, kind: TopicKind, name: &[u8]) -> usize {
        self.topics(kind).find(name).map_or(0, |topic| topic.subscribers.len())
    }

    /// The topics of a kind whose names match a pattern, in ascending order.
    pub fn matching(&self, kind: TopicKind, pattern: Option<&[u8]>) -> Vec<Arc<[u8]>> {
        let matches = |name: &Name| pattern.is_none_or(|pattern| glob::matches(pattern, name));
        let names = self.topics(kind).table.iter().map(|topic| &topic.name);
        let mut names: Vec<_> = names.filter(|name| matches(name)).cloned().collect();
        names.sort_unstable();
        names
    }

    /// Recounts what it claims about itself; panics on a contradiction.
    pub fn check(&self) {
        for kind in [TopicKind::Channel, TopicKind::Pattern, TopicKind::ShardChannel] {
            let mut listed = 0;
            for topic in self.topics(kind).table.iter() {
                assert!(!topic.subscribers.is_empty());
                listed += topic.subscribers.len();
                for (home, client) in &topic.subscribers {
                    let subscriber = &self.clients[client];
                    assert_eq!(subscriber.home, *home);
                    assert!(subscriber.names(kind).contains(&topic.name));
                }
                let fresh = topic.groups.as_ref().is_none_or(|g| *g == grouped(&topic.subscribers));
                assert!(fresh, "groups are those of the subscribers");
            }
            assert_eq!(
                listed,
                self.clients.values().map(|one| one.names(kind).len()).sum::<usize>()
            );
        }
        assert!(self.clients.values().all(|one| one.counts().any()));
        assert_eq!(self.audience.is_subscribed(), !self.clients.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::format;

    use super::*;
    use crate::types::random::{below, seeded};

    const KINDS: [TopicKind; 3] = [TopicKind::Channel, TopicKind::Pattern, TopicKind::ShardChannel];

    fn receivers(subscriptions: &mut Subscriptions, channel: &[u8]) -> (usize, Vec<(u32, u64)>) {
        let mut told = Vec::new();
        let count = subscriptions.publish(channel, b"x", &mut |home, clients, _| {
            told.extend(clients.iter().map(|client| (home, *client)));
        });
        told.sort_unstable();
        (count, told)
    }

    #[test]
    fn behaves_like_a_list_of_triples() {
        let mut random = seeded(3);
        let mut subscriptions = Subscriptions::new(1, Audience::default());
        let mut model: BTreeSet<(usize, Vec<u8>, u64)> = BTreeSet::new();
        for step in 0..20_000 {
            let (kind, client) = (below(&mut random, 3), below(&mut random, 20) as u64);
            let home = (client % 3) as u32;
            let letter = b"abc"[below(&mut random, 3)] as char;
            let name = match kind {
                1 => format!("{letter}*"),
                _ => format!("{letter}{}", below(&mut random, 5)),
            };
            let name = name.into_bytes();
            let counts = match below(&mut random, 40) {
                0 => {
                    subscriptions.forget(client);
                    model.retain(|(_, _, other)| *other != client);
                    subscriptions.counts_of(client)
                }
                1..20 => {
                    model.remove(&(kind, name.clone(), client));
                    subscriptions.unsubscribe(KINDS[kind], &name, client)
                }
                _ => {
                    model.insert((kind, name.clone(), client));
                    subscriptions.subscribe(KINDS[kind], &name, client, home)
                }
            };
            let count = |kind| model.iter().filter(|(k, _, c)| *k == kind && *c == client).count();
            let expected = (count(0), count(1), count(2));
            assert_eq!((counts.channels, counts.patterns, counts.shard_channels), expected);
            if step % 50 == 0 {
                subscriptions.check();
                let gets = |(kind, topic, _): &&(usize, Vec<u8>, u64)| match kind {
                    0 => topic == b"a1",
                    1 => topic[0] == b'a',
                    _ => false,
                };
                let gets = model.iter().filter(gets);
                let mut expected: Vec<_> = gets.map(|(_, _, c)| ((c % 3) as u32, *c)).collect();
                expected.sort_unstable();
                assert_eq!(receivers(&mut subscriptions, b"a1"), (expected.len(), expected));
            }
        }
    }

    #[test]
    fn each_home_is_told_once() {
        let mut subscriptions = Subscriptions::new(1, Audience::default());
        for client in 1..=1000 {
            subscriptions.subscribe(TopicKind::Channel, b"c", client, (client % 2) as u32);
        }
        let mut told = BTreeMap::new();
        let count = subscriptions.publish(b"c", b"x", &mut |home, clients, _| {
            assert!(clients.is_sorted());
            assert!(told.insert(home, clients.len()).is_none());
        });
        assert_eq!((count, told), (1000, BTreeMap::from([(0, 500), (1, 500)])));
        assert_eq!(subscriptions.publish_in_shard(b"c", b"x", &mut |_, _, _| ()), 0);
    }

    #[test]
    fn topics_are_listed_by_pattern() {
        let mut subscriptions = Subscriptions::new(1, Audience::default());
        for name in [b"b2", b"a1", b"a2"] {
            subscriptions.subscribe(TopicKind::Channel, name, 1, 0);
        }
        let names = |pattern: Option<&[u8]>| subscriptions.matching(TopicKind::Channel, pattern);
        assert_eq!(names(Some(b"a*")), [Arc::from(*b"a1"), Arc::from(*b"a2")]);
        assert_eq!(names(None).len(), 3);
        assert_eq!(subscriptions.matching(TopicKind::ShardChannel, None), []);
    }
}
