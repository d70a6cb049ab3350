//! Eviction: which keys give way when memory runs out.
//!
//! Nobody keeps all keys in order of their use, which would cost every read something. Instead a
//! few keys are drawn, the best candidates among all that were drawn lately are kept in a small
//! [`Pool`], and the best of them goes. The keys that expire are in order anyway, so under
//! `volatile-ttl` the choice is exact within a shard.
//!
//! Every draw takes constant time, whatever the number of keys. When to evict, and for how long,
//! is the driver's business.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::books::Farewell;
use super::slot::Slot;
use super::{Database, Keyspace, Shards};
use crate::clock::Millis;
use crate::settings::Rules;
use crate::types::hasher::Hasher;
use crate::types::random::{Random, below};

/// Which keys give way (`maxmemory-policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Among those that expire, the one unused for longest.
    VolatileLru,
    /// Among those that expire, the one used least often.
    VolatileLfu,
    /// Any that expires.
    VolatileRandom,
    /// The one that expires next.
    VolatileTtl,
    /// The one unused for longest.
    AllkeysLru,
    /// The one used least often.
    AllkeysLfu,
    /// Any.
    AllkeysRandom,
    /// None: what would take memory is refused.
    #[default]
    NoEviction,
}

impl Policy {
    const ALL: [Self; 8] = [
        Self::VolatileLru,
        Self::VolatileLfu,
        Self::VolatileRandom,
        Self::VolatileTtl,
        Self::AllkeysLru,
        Self::AllkeysLfu,
        Self::AllkeysRandom,
        Self::NoEviction,
    ];

    /// The names, in the order in which an error text lists them.
    pub const NAMES: [&'static str; 8] = [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ];

    /// The policy of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().position(|known| *known == name).map(|index| Self::ALL[index])
    }

    /// As in redis.conf.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether uses are counted.
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }

    /// Whether any key is as good as another.
    pub fn is_random(self) -> bool {
        matches!(self, Self::VolatileRandom | Self::AllkeysRandom)
    }

    fn is_volatile(self) -> bool {
        matches!(
            self,
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl
        )
    }

    /// How much a key deserves to go: the more, the sooner.
    fn merit(self, slot: &Slot, rules: &Rules, now: Millis) -> u64 {
        match self {
            Self::VolatileTtl => slot.expires_at().map_or(0, |at| u64::MAX - at.get()),
            Self::VolatileLfu | Self::AllkeysLfu => {
                let lfu = rules.settings.lfu.unwrap_or_default();
                255 - u64::from(slot.access().frequency(now, lfu))
            }
            _ => u64::from(slot.access().idle_seconds(now)),
        }
    }
}

/// A key that may go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    merit: u64,
    /// Its shard.
    pub shard: usize,
    /// Its database.
    pub database: u32,
    /// The key.
    pub key: Box<[u8]>,
}

/// The best candidates that were drawn lately, the best last.
#[derive(Debug, Default)]
pub struct Pool(Vec<Candidate>);

impl Pool {
    const CANDIDATES_MAX: usize = 16;

    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets all: they were chosen by another policy.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the best.
    pub fn take_best(&mut self) -> Option<Candidate> {
        self.0.pop()
    }

    fn offer(&mut self, merit: u64, shard: usize, database: u32, key: &[u8]) {
        self.0.retain(|other| other.database != database || *other.key != *key);
        if self.0.len() == Self::CANDIDATES_MAX && self.0[0].merit >= merit {
            return;
        }
        let at = self.0.partition_point(|other| other.merit <= merit);
        self.0.insert(at, Candidate { merit, shard, database, key: key.into() });
        if self.0.len() > Self::CANDIDATES_MAX {
            self.0.remove(0);
        }
    }
}

impl Keyspace<'_> {
    /// Draws candidates from every database of the shards that are held and offers them to the pool.
    /// `shard` is the number of the shard if only one is held.
    pub fn offer_candidates(&self, shard: usize, pool: &mut Pool, random: &mut Random<'_>) {
        let (rules, now) = (self.rules, self.now);
        let eviction = rules.settings.eviction;
        for (index, held) in self.shards.iter() {
            let shard = if matches!(self.shards, Shards::One(_)) { shard } else { index };
            for (number, database) in held.databases() {
                let (policy, count) = (eviction.policy, eviction.samples);
                draw(database, policy, count, &rules.hasher, random, &mut |slot| {
                    let merit = policy.merit(slot, rules, now);
                    pool.offer(merit, shard, number, slot.key());
                });
            }
        }
    }

    /// Some key of the shards that are held, under a random policy.
    pub fn random_candidate(&self, shard: usize, random: &mut Random<'_>) -> Option<Candidate> {
        let policy = self.rules.settings.eviction.policy;
        let databases: Vec<_> =
            self.shards.iter().flat_map(|(_, shard)| shard.databases()).collect();
        let first = below(random, databases.len().max(1));
        let mut found = None;
        for (number, database) in databases.iter().cycle().skip(first).take(databases.len()) {
            draw(database, policy, 1, &self.rules.hasher, random, &mut |slot| {
                let (database, key) = (*number, slot.key().into());
                found = Some(Candidate { merit: 0, shard, database, key });
            });
            if found.is_some() {
                break;
            }
        }
        found
    }

    /// Evicts a candidate, unless it has gone or been used meanwhile. Whether it went.
    pub fn evict(&mut self, candidate: &Candidate) -> bool {
        self.in_database(candidate.database, |keys| keys.evict_selected(candidate))
    }

    fn evict_selected(&mut self, candidate: &Candidate) -> bool {
        let (rules, now) = (self.rules, self.now);
        let (policy, key) = (rules.settings.eviction.policy, &*candidate.key);
        let place = self.place(key);
        let Some(database) = self.database_at_mut(place.shard) else { return false };
        let still = database.find(place.hash, key).is_some_and(|slot| {
            policy.is_random() || policy.merit(slot, rules, now) >= candidate.merit
        });
        if !still {
            return false;
        }
        let Some(slot) = database.remove(place.hash, key, &rules.hasher) else { return false };
        if let Some(shard) = self.shards.get_mut(place.shard) {
            shard.counters.evicted += 1;
        }
        self.let_go(slot, Farewell::Evicted);
        if self.propagates {
            self.end_unit();
            self.say_gone(key, rules.settings.lazy.eviction);
            self.end_unit();
        }
        self.tell(place, key, "evicted");
        true
    }
}

/// Shows up to `count` slots that the policy may choose from, by chance.
fn draw(
    database: &Database,
    policy: Policy,
    count: usize,
    hasher: &Hasher,
    random: &mut Random<'_>,
    show: &mut dyn FnMut(&Slot),
) {
    /// Below one key in this many that expires, looking for one by chance takes too long.
    const SPARSE: usize = 64;
    let expiring = database.expiring();
    if database.is_empty() || policy.is_volatile() && expiring == 0 {
        return;
    }
    if policy == Policy::VolatileTtl {
        return database.next_to_expire(Millis::new(0), count, hasher, show);
    }
    let is_sparse = policy.is_volatile() && database.len() / SPARSE > expiring;
    let tries = if is_sparse { 0 } else { count.saturating_mul(2 * SPARSE) };
    let mut left = count;
    for _ in 0..tries {
        let Some(slot) = database.random(random) else { return };
        if !policy.is_volatile() || slot.expires_at().is_some() {
            show(slot);
            left -= 1;
        }
        if left == 0 {
            return;
        }
    }
    if policy.is_volatile() {
        database.next_to_expire(database.instant_within(random), left, hasher, show);
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Access;
    use super::super::{Journal, Shard};
    use super::*;
    use crate::settings::Settings;

    const NOW: Millis = Millis::new(1 << 40);

    fn rules(policy: Policy) -> Rules {
        let mut settings = Settings::default();
        settings.eviction.policy = policy;
        settings.lfu = policy.is_lfu().then(Default::default);
        Rules::new(5, 1, settings)
    }

    /// A shard with keys 0.. of which `expiring` in a hundred expire, key i having been used i
    /// seconds ago, or having been counted less the higher its number.
    fn filled(rules: &Rules, keys: u32, expiring: u32) -> Shard {
        let mut shard = Shard::new();
        for index in 0..keys {
            let key = index.to_le_bytes();
            let access = match rules.settings.lfu {
                None => Access::new(Millis::new(NOW.get() - u64::from(index) * 1000), None),
                Some(_) => {
                    let minutes = (NOW.seconds() / 60) as u32 & 0xffff;
                    Access::from_bits(minutes << 8 | (255 - index * 255 / keys))
                }
            };
            let expires_at = Millis::new(NOW.get() + 1_000_000 - u64::from(index));
            let expires_at = (index % 100 < expiring).then_some(expires_at);
            let slot = Slot::text(&key, b"v", expires_at, access);
            shard.database_or_new(3).insert(rules.hasher.hash(&key), slot, &rules.hasher);
        }
        shard
    }

    /// Evicts `count` keys and gives their numbers.
    fn evict(rules: &Rules, shard: &mut Shard, count: usize) -> Vec<u32> {
        let (mut state, mut pool, mut gone) = (7_u64, Pool::new(), Vec::new());
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            state.rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        while gone.len() < count {
            let mut journal = Journal::new();
            let mut keys = Keyspace::new(Shards::One(shard), rules, NOW, 0, &mut journal);
            let candidate = if rules.settings.eviction.policy.is_random() {
                keys.random_candidate(0, &mut random)
            } else {
                keys.offer_candidates(0, &mut pool, &mut random);
                pool.take_best()
            };
            let Some(candidate) = candidate else { break };
            if keys.evict(&candidate) {
                gone.push(u32::from_le_bytes(candidate.key[..].try_into().unwrap()));
            }
        }
        shard.check(&rules.hasher);
        gone
    }

    #[test]
    fn the_least_used_keys_go_first_as_good_as_all_of_them() {
        for policy in [Policy::AllkeysLru, Policy::AllkeysLfu] {
            let rules = rules(policy);
            let mut shard = filled(&rules, 10_000, 0);
            let gone = evict(&rules, &mut shard, 2_000);
            assert_eq!((gone.len(), shard.counters.evicted), (2_000, 2_000));
            // Of those that went, nearly all belong to the worse half and most to the worst fifth.
            let worse_half = gone.iter().filter(|index| **index >= 5_000).count();
            let worst = gone.iter().filter(|index| **index >= 8_000).count();
            assert!(worse_half > 1_980 && worst > 1_300, "{policy:?} {worse_half} {worst}");
        }
    }

    #[test]
    fn volatile_policies_leave_keys_alone_that_never_expire() {
        for policy in [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom] {
            for expiring in [1, 50] {
                let rules = rules(policy);
                let mut shard = filled(&rules, 10_000, expiring);
                let gone = evict(&rules, &mut shard, usize::MAX);
                assert_eq!(gone.len() as u32, expiring * 100, "{policy:?}");
                assert!(gone.iter().all(|index| index % 100 < expiring), "{policy:?}");
            }
        }
    }

    #[test]
    fn the_next_to_expire_goes_first_exactly() {
        let rules = rules(Policy::VolatileTtl);
        let mut shard = filled(&rules, 1_000, 100);
        let expected: Vec<u32> = (900..1_000).rev().collect();
        assert_eq!(evict(&rules, &mut shard, 100), expected);
    }

    #[test]
    fn without_preference_every_key_may_go() {
        let rules = rules(Policy::AllkeysRandom);
        let mut shard = filled(&rules, 1_000, 0);
        let gone = evict(&rules, &mut shard, 300);
        let low = gone.iter().filter(|index| **index < 500).count();
        assert!((110..190).contains(&low), "{low}");
    }

    #[test]
    fn names_are_those_of_the_policies() {
        for (index, name) in Policy::NAMES.iter().enumerate() {
            assert_eq!(Policy::parse(name).map(Policy::name), Some(*name));
            assert_eq!(Policy::ALL[index] as usize, index);
        }
        assert_eq!(Policy::parse("lru"), None);
    }

    #[test]
    fn a_pool_keeps_the_best_and_each_key_once() {
        let mut pool = Pool::new();
        for round in 0..3 {
            for merit in 0..100_u64 {
                pool.offer(merit + round, 0, 0, &merit.to_le_bytes());
            }
        }
        let order: Vec<u64> =
            core::iter::from_fn(|| pool.take_best()).map(|candidate| candidate.merit).collect();
        assert_eq!(order, (86..102).rev().collect::<Vec<u64>>());
    }
}
