//! What a roll-back leaves, for collections of every type: everything as it was.

use alloc::vec::Vec;
use std::collections::BTreeMap;
use std::format;

use crate::clock::Millis;
use crate::error::Error;
use crate::keyspace::{Description, Journal, Keyspace, ListEnd, Shard, Shards};
use crate::settings::{Rules, Settings};
use crate::types::encoding::Encoding;
use crate::types::hash::Hash;
use crate::types::list::List;
use crate::types::random::{Random, below, seeded};
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;
use crate::types::stream::{Kept, Marks, Stream, Trim};
use crate::types::stream_group::{Cursor, Pending};
use crate::types::stream_id::{Id, NewId};

const KEYS: [&[u8]; 3] = [b"a", b"b", b"c"];

struct World {
    shard: Shard,
    rules: Rules,
}

impl World {
    fn new() -> Self {
        Self { shard: Shard::new(), rules: Rules::new(1, 1, Settings::default()) }
    }

    fn step<R>(&mut self, mut journal: Journal, act: impl FnOnce(&mut Keyspace<'_>) -> R) -> R {
        let shards = Shards::One(&mut self.shard);
        let mut keys = Keyspace::new(shards, &self.rules, Millis::new(1000), 0, &mut journal);
        let result = act(&mut keys);
        self.shard.check(&self.rules.hasher);
        result
    }

    fn describe(&mut self) -> BTreeMap<Vec<u8>, Description> {
        self.step(Journal::new(), |keys| {
            keys.iter().map(|slot| (slot.key().to_vec(), slot.describe())).collect()
        })
    }
}

/// One random change of a random set: members are integers, words or long.
fn change_set(keys: &mut Keyspace<'_>, random: &mut Random<'_>) {
    let key = KEYS[below(random, KEYS.len())];
    let number = below(random, 200);
    let member = match below(random, 12) {
        0..7 => format!("{number}"),
        7..11 => format!("m{number}"),
        _ => format!("{number}{}", "x".repeat(100)),
    };
    let member = member.as_bytes();
    match below(random, 40) {
        0 => {
            keys.remove(key);
        }
        1 => {
            keys.take_collection::<Set, _>(key, "spop", Set::len).unwrap();
        }
        2 => {
            keys.set_collection(key, Set::new(), "sunionstore");
        }
        3..8 => {
            keys.edit::<Set, _>(key, "spop", |set| Ok(set.pop_random(random))).unwrap();
        }
        8..20 => {
            keys.edit::<Set, _>(key, "srem", |set| Ok(set.remove(member))).unwrap();
        }
        _ => {
            keys.edit_or_create::<Set, _>(key, "sadd", |set| Ok(set.add(member))).unwrap();
        }
    }
}

fn change_hash(keys: &mut Keyspace<'_>, random: &mut Random<'_>) {
    let key = KEYS[below(random, KEYS.len())];
    let field = format!("f{}", below(random, 40));
    let value = if below(random, 400) == 0 { "x".repeat(100) } else { format!("{}", random() % 9) };
    let (field, value) = (field.as_bytes(), value.as_bytes());
    match below(random, 40) {
        0 => {
            keys.remove(key);
        }
        1..19 => {
            keys.edit::<Hash, _>(key, "hdel", |hash| Ok(hash.remove(field))).unwrap();
        }
        _ => {
            keys.edit_or_create::<Hash, _>(key, "hset", |hash| Ok(hash.set(field, value))).unwrap();
        }
    }
}

/// One random change of a random list: short elements, and now and then one that fills a node.
fn change_list(keys: &mut Keyspace<'_>, random: &mut Random<'_>) {
    let key = KEYS[below(random, KEYS.len())];
    let element = match below(random, 60) {
        0 => "x".repeat(9_000),
        1..4 => "y".repeat(700),
        number => format!("{}", number % 9),
    };
    let element = element.as_bytes();
    let end = [ListEnd::Head, ListEnd::Tail][below(random, 2)];
    let (one, other) = (below(random, 60), below(random, 60));
    match below(random, 60) {
        0 => {
            keys.remove(key);
        }
        1..3 => {
            let kept = one.min(other)..one.max(other);
            keys.edit::<List, _>(key, "ltrim", |list| {
                list.keep(kept);
                Ok(())
            })
            .unwrap();
        }
        3..8 => {
            let remove =
                |list: &mut super::Edit<'_, List>| Ok(list.remove_equal(element, one, end));
            keys.edit::<List, _>(key, "lrem", remove).unwrap();
        }
        8..20 => {
            keys.edit::<List, _>(key, "lpop", |list| Ok(list.pop(end))).unwrap();
        }
        20..28 => {
            keys.edit::<List, _>(key, "lset", |list| {
                list.set(one, element);
                Ok(())
            })
            .unwrap();
        }
        28..36 => {
            let index = |list: &super::Edit<'_, List>| one.min(list.len());
            let insert = |list: &mut super::Edit<'_, List>| {
                list.insert(index(list), element);
                Ok(())
            };
            keys.edit::<List, _>(key, "linsert", insert).unwrap();
        }
        _ => {
            keys.edit_or_create::<List, _>(key, "lpush", |list| {
                list.push(end, element);
                Ok(())
            })
            .unwrap();
        }
    }
}

fn change_sorted_set(keys: &mut Keyspace<'_>, random: &mut Random<'_>) {
    let key = KEYS[below(random, KEYS.len())];
    let number = below(random, 300);
    let long = if below(random, 400) == 0 { 100 } else { 0 };
    let member = format!("{number}{}", "x".repeat(long));
    let member = member.as_bytes();
    let score = (random() % 20) as f64 / 4.0;
    match below(random, 60) {
        0 => {
            keys.remove(key);
        }
        1..4 => {
            let ranks = number..number + below(random, 30);
            keys.edit::<SortedSet, _>(key, "zpopmin", |set| Ok(set.remove_range(ranks))).unwrap();
        }
        4..18 => {
            keys.edit::<SortedSet, _>(key, "zrem", |set| Ok(set.remove(member))).unwrap();
        }
        _ => {
            let insert = |set: &mut super::Edit<'_, SortedSet>| Ok(set.insert(member, score));
            keys.edit_or_create::<SortedSet, _>(key, "zadd", insert).unwrap();
        }
    }
}

/// One random change of a random stream or of a group of it.
fn change_stream(keys: &mut Keyspace<'_>, random: &mut Random<'_>) {
    let key = KEYS[below(random, KEYS.len())];
    let group: &[u8] = [b"g".as_slice(), b"h"][below(random, 2)];
    let name: &[u8] = [b"alice".as_slice(), b"bob", b"carol"][below(random, 3)];
    let near = |stream: &Stream, random: &mut Random<'_>| {
        Id::new(random() % (stream.marks().last_id.ms + 2), random() % 2)
    };
    let cursor = Cursor { last_id: Id::new(random() % 9, 0), entries_read: Some(random() % 9) };
    let now = Millis::new(random() % 99);
    let long = "x".repeat(below(random, 300));
    let pairs: [&[u8]; 4] = [b"f", long.as_bytes(), b"g", b"7"];
    let some = 2 * (1 + below(random, 2));
    match below(random, 60) {
        0 => {
            keys.remove(key);
        }
        1..25 => {
            keys.edit_or_create::<Stream, _>(key, "xadd", |stream| {
                let id = Id::new(stream.marks().last_id.ms + random() % 2, random() % 3);
                if let Some(id) = stream.new_id(NewId::Given(id), 0) {
                    stream.append(id, pairs[..some].iter().copied());
                }
                Ok(())
            })
            .unwrap();
        }
        25..32 => {
            let remove =
                |stream: &mut super::Edit<'_, Stream>| Ok(stream.delete(near(stream, random)));
            keys.edit(key, "xdel", remove).unwrap();
        }
        32..35 => {
            keys.edit::<Stream, _>(key, "xtrim", |stream| {
                let kept = match random() % 2 {
                    0 => Kept::Len(random() % (stream.len() + 2)),
                    _ => Kept::From(near(stream, random)),
                };
                Ok(stream.trim(&Trim {
                    kept,
                    approximate: random().is_multiple_of(2),
                    entries_max: 0,
                }))
            })
            .unwrap();
        }
        kind => {
            keys.edit_or_create::<Stream, _>(key, "xgroup-create", |stream| {
                change_group(stream, (group, name), kind, cursor, now, random);
                Ok(())
            })
            .unwrap();
        }
    }
}

/// One random change of a stream that has to do with its groups.
fn change_group(
    stream: &mut super::Edit<'_, Stream>,
    (group, name): (&[u8], &[u8]),
    kind: usize,
    cursor: Cursor,
    now: Millis,
    random: &mut Random<'_>,
) {
    let id = Id::new(random() % 20, 0);
    match kind {
        35 => drop(stream.destroy_group(group)),
        36..39 => drop(stream.create_group(group, cursor)),
        39 => {
            stream.remove_consumer(group, name);
        }
        40..43 => drop(stream.add_consumer(group, name, now)),
        43..46 => stream.note_consumer(group, name, now, random().is_multiple_of(2)),
        46..48 if stream.group(group).is_some() => stream.set_cursor(group, cursor),
        48..52 => stream.set_pending(group, id, None),
        52 => {
            let last_id = Id::new(stream.marks().last_id.ms + 1, 0);
            stream.set_marks(Marks { last_id, entries_added: random() % 99, ..*stream.marks() });
        }
        _ => {
            let number = stream.group(group).and_then(|group| group.number(name));
            let Some(consumer) = number else { return };
            let pending = Pending { consumer, delivered_at: now, deliveries: random() % 5 };
            stream.set_pending(group, id, Some(pending));
        }
    }
}

/// Takes random changes back, then makes others, many times over.
fn check_roll_back(change: fn(&mut Keyspace<'_>, &mut Random<'_>)) {
    for seed in 0..10 {
        let mut random = seeded(seed);
        let mut world = World::new();
        for _ in 0..60 {
            let before = world.describe();
            let steps = below(&mut random, 80);
            world.step(Journal::undoable(), |keys| {
                (0..steps).for_each(|_| change(keys, &mut random));
                keys.roll_back();
                assert_eq!(keys.changes(), 0);
            });
            assert_eq!(world.describe(), before);
            world.step(Journal::new(), |keys| {
                (0..steps).for_each(|_| change(keys, &mut random));
            });
        }
    }
}

#[test]
fn rolled_back_lists_are_as_they_were() {
    check_roll_back(change_list);
}

#[test]
fn rolled_back_sorted_sets_are_as_they_were() {
    check_roll_back(change_sorted_set);
}

#[test]
fn rolled_back_streams_are_as_they_were_with_their_groups() {
    check_roll_back(change_stream);
}

#[test]
fn an_empty_stream_keeps_its_key_but_one_that_was_made_for_nothing_leaves_none() {
    let mut world = World::new();
    world.step(Journal::new(), |keys| {
        let refused = keys.edit_or_create::<Stream, ()>(b"s", "xadd", |_| Err(Error::Syntax));
        assert_eq!(refused, Err(Error::Syntax));
        assert!(!keys.exists(b"s"));
        assert_eq!(keys.changes(), 0);
        keys.edit_or_create::<Stream, _>(b"s", "xadd", |stream| {
            stream.append(Id::new(1, 0), [b"f".as_slice(), b"v"].into_iter());
            Ok(())
        })
        .unwrap();
        let deleted = keys.edit::<Stream, _>(b"s", "xdel", |s| Ok(s.delete(Id::new(1, 0))));
        assert_eq!(deleted, Ok(Some(true)));
        assert!(keys.exists(b"s"));
    });
}

#[test]
fn rolled_back_sets_are_as_they_were() {
    check_roll_back(change_set);
}

#[test]
fn rolled_back_hashes_are_as_they_were_and_small_ones_keep_their_order() {
    type Order = Vec<Option<Vec<(Vec<u8>, Vec<u8>)>>>;
    let order = |keys: &mut Keyspace<'_>| -> Order {
        let pairs = |key: &&[u8]| {
            let hash = keys.peek_collection::<Hash>(key).unwrap()?;
            let owned = hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec()));
            (hash.encoding() == Encoding::Listpack).then(|| owned.collect())
        };
        KEYS.iter().map(pairs).collect()
    };
    for seed in 0..10 {
        let mut random = seeded(seed);
        let mut world = World::new();
        for _ in 0..60 {
            let before = world.describe();
            let order_before = world.step(Journal::new(), order);
            let steps = below(&mut random, 60);
            world.step(Journal::undoable(), |keys| {
                (0..steps).for_each(|_| change_hash(keys, &mut random));
                keys.roll_back();
            });
            assert_eq!(world.describe(), before);
            let pairs = world.step(Journal::new(), order).into_iter().zip(order_before);
            for (after, before) in pairs.filter(|(after, _)| after.is_some()) {
                assert_eq!(after, before);
            }
            world.step(Journal::new(), |keys| {
                (0..steps).for_each(|_| change_hash(keys, &mut random));
            });
        }
    }
}

#[test]
fn changes_are_counted_and_what_changes_nothing_is_not() {
    let mut world = World::new();
    let counts = world.step(Journal::new(), |keys| {
        let mut counts = Vec::new();
        let mut add = |keys: &mut Keyspace<'_>, member: &[u8]| {
            keys.edit_or_create::<Set, _>(b"s", "sadd", |set| Ok(set.add(member))).unwrap();
            counts.push(keys.changes());
        };
        add(keys, b"a");
        add(keys, b"a");
        add(keys, b"b");
        for value in [b"1", b"1"] {
            keys.edit_or_create::<Hash, _>(b"h", "hset", |hash| Ok(hash.set(b"f", value))).unwrap();
            counts.push(keys.changes());
        }
        keys.edit::<Hash, _>(b"h", "hdel", |hash| Ok(hash.remove(b"missing"))).unwrap();
        counts.push(keys.changes());
        counts
    });
    assert_eq!(counts, [1, 1, 2, 3, 4, 4]);
}

#[test]
fn changes_of_lists_and_sorted_sets_are_counted_by_element() {
    let mut world = World::new();
    let counts = world.step(Journal::new(), |keys| {
        let mut counts = Vec::new();
        let push = |list: &mut super::Edit<'_, List>| {
            [b"a", b"b", b"a", b"c"].iter().for_each(|text| list.push(ListEnd::Tail, *text));
            Ok(())
        };
        keys.edit_or_create(b"l", "rpush", push).unwrap();
        counts.push(keys.changes());
        let remove =
            |list: &mut super::Edit<'_, List>| Ok(list.remove_equal(b"a", 9, ListEnd::Head));
        keys.edit(b"l", "lrem", remove).unwrap();
        counts.push(keys.changes());
        keys.edit(b"l", "lrem", remove).unwrap();
        counts.push(keys.changes());
        keys.edit::<List, _>(b"l", "ltrim", |list| {
            list.keep(0..9);
            Ok(())
        })
        .unwrap();
        counts.push(keys.changes());
        for score in [1.0, 1.0, 2.0] {
            let insert = |set: &mut super::Edit<'_, SortedSet>| Ok(set.insert(b"m", score));
            keys.edit_or_create(b"z", "zadd", insert).unwrap();
            counts.push(keys.changes());
        }
        counts
    });
    assert_eq!(counts, [4, 6, 6, 6, 7, 7, 8]);
}
