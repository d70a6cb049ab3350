//! Which clients cache which keys, and who tells them to forget.
//!
//! A plain value that belongs to the whole process, beside
//! [`Subscriptions`](crate::pubsub::Subscriptions). A client that tracks either is remembered with
//! every key it reads, or hears of all keys with its prefixes (broadcasting). Whoever changes a key
//! asks here who must forget it; how the messages travel is the driver's business.
//!
//! Invariants:
//! - a key is remembered with every client that may have it cached since it was last told to
//!   forget it (a client that is gone may be remembered, too);
//! - a client that was told of a key is not told again until it has read it again;
//! - without clients that track nothing is remembered.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::pubsub::Send;
use crate::push::Push;
use crate::settings::Audience;
use crate::types::hasher::Hasher;
use crate::types::random::seeded;
use crate::types::segmented::Segmented;

/// Which keys a client hears of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those that it reads.
    #[default]
    Read,
    /// Those that the command after CLIENT CACHING YES reads.
    OptIn,
    /// Those that it reads, but for the command after CLIENT CACHING NO.
    OptOut,
    /// All that begin with its prefixes.
    Broadcast,
}

/// A client and who serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// As in CLIENT ID.
    pub client: u64,
    /// The driver's own number.
    pub home: u32,
}

/// How a client wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackingOptions {
    /// Which keys it hears of.
    pub scope: Scope,
    /// Who hears of them in its place.
    pub redirect: Option<Seat>,
    /// Whether it does not hear of what it changes itself.
    pub no_loop: bool,
    /// What keys begin with, when broadcasting.
    pub prefixes: BTreeSet<Box<[u8]>>,
}

/// A client that tracks.
#[derive(Debug)]
struct Tracker {
    home: u32,
    options: TrackingOptions,
    /// Whether the client that should hear in its place has gone.
    is_deserted: bool,
    /// Whether that was noticed.
    is_broken: bool,
}

/// A key that clients may have cached.
#[derive(Debug)]
struct Cached {
    key: Box<[u8]>,
    /// In ascending order.
    clients: Vec<u64>,
}

/// What others may know of a client that tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackingState {
    /// How it wants to be told.
    pub options: TrackingOptions,
    /// Whether the client that should hear in its place was found to be gone.
    pub is_broken: bool,
}

/// What INFO counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackingTotals {
    /// Clients that track.
    pub clients: usize,
    /// Keys that are remembered.
    pub keys: usize,
    /// Clients that they are remembered with, together.
    pub items: usize,
    /// Prefixes that are broadcast.
    pub prefixes: usize,
}

/// All clients that track.
#[derive(Debug)]
pub struct Tracking {
    trackers: BTreeMap<u64, Tracker>,
    keys: Segmented<Cached>,
    items: usize,
    hasher: Hasher,
    /// Who hears of the keys with a prefix.
    prefixes: BTreeMap<Box<[u8]>, BTreeSet<u64>>,
    /// How many prefixes have this many bytes.
    prefix_lengths: BTreeMap<usize, usize>,
    /// Who redirects to a client.
    followers: BTreeMap<u64, BTreeSet<u64>>,
    audience: Audience,
}

impl Tracking {
    /// Nobody tracks; `audience` is told when somebody does. Keys are hashed with `seed`, which
    /// clients must not know.
    pub fn new(seed: u64, audience: Audience) -> Self {
        Self {
            trackers: BTreeMap::new(),
            keys: Segmented::new(),
            items: 0,
            hasher: Hasher::new(seed),
            prefixes: BTreeMap::new(),
            prefix_lengths: BTreeMap::new(),
            followers: BTreeMap::new(),
            audience,
        }
    }

    /// Lets a client track, or changes how; prefixes that it has stay.
    pub fn enable(&mut self, seat: Seat, mut options: TrackingOptions) {
        let before = self.trackers.remove(&seat.client);
        if let Some(before) = before {
            self.unfollow(seat.client, &before);
            options.prefixes.extend(before.options.prefixes);
        }
        for prefix in &options.prefixes {
            self.add_prefix(prefix, seat.client);
        }
        if let Some(target) = options.redirect {
            self.followers.entry(target.client).or_default().insert(seat.client);
        }
        let tracker = Tracker { home: seat.home, options, is_deserted: false, is_broken: false };
        self.trackers.insert(seat.client, tracker);
        self.audience.set_tracking(true);
    }

    /// Ends a client's tracking.
    pub fn disable(&mut self, client: u64) {
        let Some(tracker) = self.trackers.remove(&client) else { return };
        self.unfollow(client, &tracker);
        for prefix in &tracker.options.prefixes {
            self.remove_prefix(prefix, client);
        }
        if self.trackers.is_empty() {
            self.forget_keys();
            self.audience.set_tracking(false);
        }
    }

    /// A connection is closed.
    pub fn forget(&mut self, client: u64) {
        self.disable(client);
        for follower in self.followers.remove(&client).unwrap_or_default() {
            if let Some(tracker) = self.trackers.get_mut(&follower) {
                tracker.is_deserted = true;
            }
        }
    }

    fn unfollow(&mut self, client: u64, tracker: &Tracker) {
        let Some(target) = tracker.options.redirect else { return };
        if let Some(followers) = self.followers.get_mut(&target.client) {
            followers.remove(&client);
            if followers.is_empty() {
                self.followers.remove(&target.client);
            }
        }
    }

    fn add_prefix(&mut self, prefix: &[u8], client: u64) {
        if let Some(clients) = self.prefixes.get_mut(prefix) {
            clients.insert(client);
            return;
        }
        self.prefixes.insert(prefix.into(), BTreeSet::from([client]));
        *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
    }

    fn remove_prefix(&mut self, prefix: &[u8], client: u64) {
        let Some(clients) = self.prefixes.get_mut(prefix) else { return };
        clients.remove(&client);
        if !clients.is_empty() {
            return;
        }
        self.prefixes.remove(prefix);
        if let Some(count) = self.prefix_lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.prefix_lengths.remove(&prefix.len());
            }
        }
    }

    fn forget_keys(&mut self) {
        self.keys.clear();
        self.items = 0;
    }

    /// Remembers that a client may have cached a key.
    pub fn remember(&mut self, client: u64, key: &[u8]) {
        if !self.trackers.contains_key(&client) {
            return;
        }
        let hasher = &self.hasher;
        let hash = hasher.hash(key);
        if self.keys.find(hash, |cached| *cached.key == *key).is_none() {
            let cached = Cached { key: key.into(), clients: Vec::new() };
            self.keys.insert(hash, cached, |cached| hasher.hash(&cached.key));
        }
        let Some(cached) = self.keys.find_mut(hash, |cached| *cached.key == *key) else { return };
        if let Err(place) = cached.clients.binary_search(&client) {
            cached.clients.insert(place, client);
            self.items += 1;
        }
    }

    /// A key was changed by `writer`: tells everybody who is remembered with it.
    pub fn changed(&mut self, key: &[u8], writer: u64, send: &mut Send<'_>) {
        let hasher = &self.hasher;
        let is_it = |cached: &Cached| *cached.key == *key;
        let rehash = |cached: &Cached| hasher.hash(&cached.key);
        if let Some(cached) = self.keys.remove(hasher.hash(key), is_it, rehash) {
            self.invalidate(cached, Some(writer), send);
        }
    }

    fn invalidate(&mut self, cached: Cached, writer: Option<u64>, send: &mut Send<'_>) {
        self.items -= cached.clients.len();
        let mut clients = cached.clients;
        clients.retain(|client| {
            self.trackers.get(client).is_some_and(|tracker| {
                let own = writer == Some(*client) && tracker.options.no_loop;
                tracker.options.scope != Scope::Broadcast && !own
            })
        });
        self.tell(&clients, Some(&[&cached.key]), send);
    }

    /// Keys were changed in one step, each by somebody: tells everybody to whom such keys are
    /// broadcast, prefix by prefix.
    pub fn broadcast(&mut self, changed: &[(Box<[u8]>, u64)], send: &mut Send<'_>) {
        if self.prefixes.is_empty() {
            return;
        }
        // By prefix, the keys and who changed them last.
        let mut told: BTreeMap<&[u8], BTreeMap<&[u8], u64>> = BTreeMap::new();
        for (key, writer) in changed {
            for length in self.prefix_lengths.keys().take_while(|length| **length <= key.len()) {
                let prefix = &key[..*length];
                if self.prefixes.contains_key(prefix) {
                    told.entry(prefix).or_default().insert(key, *writer);
                }
            }
        }
        for (prefix, keys) in told {
            let clients = self.prefixes.get(prefix).cloned().unwrap_or_default();
            self.broadcast_prefix(clients, &keys, send);
        }
    }

    fn broadcast_prefix(
        &mut self,
        clients: BTreeSet<u64>,
        keys: &BTreeMap<&[u8], u64>,
        send: &mut Send<'_>,
    ) {
        let skips = |client: &u64| {
            self.trackers.get(client).is_some_and(|tracker| tracker.options.no_loop)
                && keys.values().any(|writer| writer == client)
        };
        let (own, others): (Vec<u64>, Vec<u64>) = clients.into_iter().partition(skips);
        let all: Vec<&[u8]> = keys.keys().copied().collect();
        self.tell(&others, Some(&all), send);
        for client in own {
            let foreign = keys.iter().filter(|(_, writer)| **writer != client);
            let foreign: Vec<&[u8]> = foreign.map(|(key, _)| *key).collect();
            if !foreign.is_empty() {
                self.tell(&[client], Some(&foreign), send);
            }
        }
    }

    /// Databases were emptied: everybody must forget everything.
    pub fn flushed(&mut self, send: &mut Send<'_>) {
        self.forget_keys();
        let everybody: Vec<u64> = self.trackers.keys().copied().collect();
        self.tell(&everybody, None, send);
    }

    /// Forgets some keys by chance, if more than `keys_max` are remembered (0: any number may be),
    /// telling those who may have them cached. Whether there are too many still. `seed` decides
    /// which.
    pub fn trim(&mut self, keys_max: usize, seed: u64, send: &mut Send<'_>) -> bool {
        const KEYS_AT_ONCE: usize = 100;
        if keys_max == 0 {
            return false;
        }
        let mut random = seeded(seed);
        for _ in 0..KEYS_AT_ONCE {
            if self.keys.len() <= keys_max {
                return false;
            }
            let hasher = self.hasher.clone();
            let rehash = |cached: &Cached| hasher.hash(&cached.key);
            let Some(cached) = self.keys.remove_random(&mut random, rehash) else { return false };
            self.invalidate(cached, None, send);
        }
        self.keys.len() > keys_max
    }

    /// Tells clients that track, or those to whom they redirect.
    fn tell(&mut self, clients: &[u64], keys: Option<&[&[u8]]>, send: &mut Send<'_>) {
        // Direct or redirected, home, receiver.
        let mut told: Vec<(bool, u32, u64)> = Vec::with_capacity(clients.len());
        for client in clients {
            let Some(tracker) = self.trackers.get_mut(client) else { continue };
            match tracker.options.redirect {
                None => told.push((false, tracker.home, *client)),
                Some(target) if tracker.is_deserted => {
                    tracker.is_broken = true;
                    let push = Arc::new(Push::redirection_broken(target.client));
                    send(tracker.home, &Arc::from([*client]), &push);
                }
                Some(target) => told.push((true, target.home, target.client)),
            }
        }
        told.sort_unstable();
        let groups = told.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1));
        let mut last: Option<(bool, Arc<Push>)> = None;
        for group in groups {
            let Some((redirected, home, _)) = group.first().copied() else { continue };
            let same = last.take().filter(|(kind, _)| *kind == redirected);
            let make = || Arc::new(Push::invalidation(keys, redirected));
            let push = same.map_or_else(make, |(_, push)| push);
            let receivers: Vec<u64> = group.iter().map(|(_, _, client)| *client).collect();
            send(home, &receivers.into(), &push);
            last = Some((redirected, push));
        }
    }

    /// How a client tracks, if it does.
    pub fn state_of(&self, client: u64) -> Option<TrackingState> {
        let tracker = self.trackers.get(&client)?;
        Some(TrackingState { options: tracker.options.clone(), is_broken: tracker.is_broken })
    }

    /// Whether nobody tracks.
    pub fn is_empty(&self) -> bool {
        self.trackers.is_empty()
    }

    /// What INFO counts.
    pub fn totals(&self) -> TrackingTotals {
        TrackingTotals {
            clients: self.trackers.len(),
            keys: self.keys.len(),
            items: self.items,
            prefixes: self.prefixes.len(),
        }
    }

    /// What INFO tells among its statistics, by its names.
    pub fn statistics(&self) -> [(&'static str, u64); 3] {
        [
            ("tracking_total_keys", self.keys.len() as u64),
            ("tracking_total_items", self.items as u64),
            ("tracking_total_prefixes", self.prefixes.len() as u64),
        ]
    }

    /// Recounts what it claims about itself; panics on a contradiction.
    pub fn check(&self) {
        self.keys.check(|cached| self.hasher.hash(&cached.key));
        let mut items = 0;
        for cached in self.keys.iter() {
            assert!(!cached.clients.is_empty() && cached.clients.is_sorted());
            items += cached.clients.len();
        }
        assert_eq!(items, self.items);
        assert!(items == 0 || !self.trackers.is_empty());
        let mut lengths = BTreeMap::new();
        for (prefix, clients) in &self.prefixes {
            assert!(!clients.is_empty());
            *lengths.entry(prefix.len()).or_insert(0) += 1;
            for client in clients {
                assert!(self.trackers[client].options.prefixes.contains(prefix));
            }
        }
        assert_eq!(lengths, self.prefix_lengths);
        assert_eq!(self.audience.is_tracking(), !self.trackers.is_empty());
        for (client, tracker) in &self.trackers {
            let prefixes = &tracker.options.prefixes;
            assert!(prefixes.iter().all(|prefix| self.prefixes[prefix].contains(client)));
            if let Some(target) = tracker.options.redirect.filter(|_| !tracker.is_deserted) {
                assert!(self.followers[&target.client].contains(client));
            }
        }
    }
}

/// The first two prefixes of which one begins with the other: a client would hear twice.
pub fn overlapping<'p>(
    prefixes: &'p [&[u8]],
    existing: &'p BTreeSet<Box<[u8]>>,
) -> Option<(&'p [u8], &'p [u8], bool)> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    for (index, prefix) in prefixes.iter().enumerate() {
        if let Some(other) = existing.iter().find(|other| overlap(prefix, other)) {
            return Some((prefix, other, true));
        }
        if let Some(other) = prefixes[index + 1..].iter().find(|other| overlap(prefix, other)) {
            return Some((prefix, other, false));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::vec::Vec;

    use reef_resp::Protocol;

    use super::*;
    use crate::types::random::{below, seeded};

    /// What each client was sent, as RESP3.
    type Mail = Vec<(u64, Vec<u8>)>;

    fn collect(mail: &mut Mail) -> impl FnMut(u32, &crate::push::Receivers, &Arc<Push>) {
        |_, clients, push| {
            for client in clients.iter() {
                let mut text = Vec::new();
                push.append_to(&mut text, Protocol::Resp3, true);
                mail.push((*client, text));
            }
        }
    }

    fn invalidation(keys: &[&[u8]]) -> Vec<u8> {
        let mut text = Vec::new();
        Push::invalidation(Some(keys), false).append_to(&mut text, Protocol::Resp3, true);
        text
    }

    fn seat(client: u64) -> Seat {
        Seat { client, home: (client % 2) as u32 }
    }

    fn broadcasting(prefixes: &[&[u8]], no_loop: bool) -> TrackingOptions {
        let prefixes = prefixes.iter().map(|prefix| Box::from(*prefix)).collect();
        TrackingOptions { scope: Scope::Broadcast, redirect: None, no_loop, prefixes }
    }

    #[test]
    fn behaves_like_a_list_of_pairs() {
        let mut random = seeded(9);
        let mut tracking = Tracking::new(1, Audience::default());
        let mut model: BTreeSet<(Vec<u8>, u64)> = BTreeSet::new();
        for step in 0..20_000 {
            let client = below(&mut random, 8) as u64;
            let key = format!("k{}", below(&mut random, 50)).into_bytes();
            match below(&mut random, 60) {
                0 => {
                    tracking.disable(client);
                    if tracking.is_empty() {
                        model.clear();
                    }
                }
                1..4 => tracking.enable(seat(client), TrackingOptions::default()),
                4..30 => {
                    if tracking.state_of(client).is_some() {
                        model.insert((key.clone(), client));
                    }
                    tracking.remember(client, &key);
                }
                _ => {
                    let mut mail = Mail::new();
                    tracking.changed(&key, 0, &mut collect(&mut mail));
                    mail.sort();
                    let told = model.iter().filter(|(other, _)| *other == key);
                    let told = told.filter(|(_, client)| tracking.state_of(*client).is_some());
                    let told: Mail =
                        told.map(|(key, client)| (*client, invalidation(&[key]))).collect();
                    assert_eq!(mail, told);
                    model.retain(|(other, _)| *other != key);
                }
            }
            if step % 100 == 0 {
                tracking.check();
                assert_eq!(tracking.totals().items, model.len());
            }
        }
    }

    #[test]
    fn prefixes_are_told_of_all_keys_of_a_step_at_once() {
        let mut tracking = Tracking::new(1, Audience::default());
        tracking.enable(seat(1), broadcasting(&[b"a", b"b"], false));
        tracking.enable(seat(2), broadcasting(&[b""], true));
        let changed: Vec<(Box<[u8]>, u64)> = [("ax", 1), ("b", 2), ("c", 3), ("ay", 2), ("ax", 1)]
            .map(|(key, writer)| (key.as_bytes().into(), writer))
            .into();
        let mut mail = Mail::new();
        tracking.broadcast(&changed, &mut collect(&mut mail));
        let expected = [
            (2, invalidation(&[b"ax", b"c"])),
            (1, invalidation(&[b"ax", b"ay"])),
            (1, invalidation(&[b"b"])),
        ];
        assert_eq!(mail, expected);
        tracking.disable(1);
        tracking.disable(2);
        tracking.check();
        assert_eq!(tracking.totals(), TrackingTotals::default());
    }

    #[test]
    fn who_redirects_to_a_client_that_goes_hears_of_that() {
        let mut tracking = Tracking::new(1, Audience::default());
        let options = TrackingOptions { redirect: Some(seat(7)), ..TrackingOptions::default() };
        tracking.enable(seat(1), options);
        tracking.remember(1, b"k");
        let mut mail = Mail::new();
        tracking.changed(b"k", 0, &mut collect(&mut mail));
        assert_eq!(mail.pop(), Some((7, invalidation(&[b"k"]))));
        tracking.forget(7);
        assert!(!tracking.state_of(1).unwrap().is_broken);
        tracking.remember(1, b"k");
        tracking.changed(b"k", 0, &mut collect(&mut mail));
        assert_eq!(mail.pop().map(|(client, _)| client), Some(1));
        assert!(tracking.state_of(1).unwrap().is_broken);
        tracking.check();
    }

    #[test]
    fn a_full_table_forgets_keys_by_chance_and_says_so() {
        let mut tracking = Tracking::new(1, Audience::default());
        tracking.enable(seat(1), TrackingOptions::default());
        (0..250).for_each(|number| tracking.remember(1, format!("{number}").as_bytes()));
        let mut mail = Mail::new();
        assert!(!tracking.trim(0, 4, &mut collect(&mut mail)));
        assert!(tracking.trim(100, 4, &mut collect(&mut mail)));
        assert!(!tracking.trim(100, 5, &mut collect(&mut mail)));
        assert_eq!((mail.len(), tracking.totals().keys), (150, 100));
        mail.clear();
        tracking.flushed(&mut collect(&mut mail));
        assert_eq!((mail.len(), tracking.totals().keys), (1, 0));
        tracking.check();
    }

    #[test]
    fn overlapping_prefixes_are_found() {
        let existing = BTreeSet::from([Box::from(*b"foo")]);
        assert_eq!(overlapping(&[b"bar"], &existing), None);
        let found = overlapping(&[b"bar", b"fo"], &existing);
        assert_eq!(found, Some((&b"fo"[..], &b"foo"[..], true)));
        let found = overlapping(&[b"bar", b"b"], &existing);
        assert_eq!(found, Some((&b"bar"[..], &b"b"[..], false)));
    }
}
