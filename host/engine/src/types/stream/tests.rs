//! Streams against a naive model: a map of entries, and what is remembered counted by hand.

use std::collections::BTreeMap;
use std::{format, vec};

use super::super::random::{Random, below, seeded};
use super::*;
use crate::clock::Millis;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<Id, Fields>,
    marks: Marks,
}

impl Model {
    fn forget(&mut self, gone: &[Id]) {
        gone.iter().for_each(|id| drop(self.entries.remove(id)));
        self.marks.first_id = self.entries.keys().next().copied().unwrap_or_default();
    }
}

fn content(entry: Entry<'_>) -> (Id, Fields) {
    let fields = entry.pairs.map(|(field, value)| (field.to_vec(), value.to_vec()));
    (entry.id, fields.collect())
}

fn random_fields(random: &mut Random<'_>) -> Fields {
    let value = |random: &mut Random<'_>| match below(random, 6) {
        0 => vec![b'v'; below(random, 300)],
        1 => format!("{}", random() as i64).into_bytes(),
        _ => format!("{}", random() % 50).into_bytes(),
    };
    match below(random, 5) {
        0 => (0..1 + below(random, 4)).map(|at| (vec![b'a' + at as u8], value(random))).collect(),
        _ => vec![(b"temperature".to_vec(), value(random)), (b"at".to_vec(), value(random))],
    }
}

/// An id at or near one of the stream's.
fn random_id(model: &Model, random: &mut Random<'_>) -> Id {
    let last = model.marks.last_id;
    match below(random, 4) {
        0 => Id::new(random() % (last.ms + 2), random() % 4),
        1 => model.entries.keys().next().copied().unwrap_or_default(),
        _ => {
            let at = below(random, model.entries.len() + 1);
            model.entries.keys().nth(at).copied().unwrap_or(last)
        }
    }
}

fn append(stream: &mut Stream, id: Id, fields: &Fields, limits: &Limits) {
    let flat: Vec<&[u8]> = fields.iter().flat_map(|(field, value)| [&**field, &**value]).collect();
    stream.append(id, flat.iter().copied(), limits);
}

/// One random change of both, and what takes it back.
fn change(
    stream: &mut Stream,
    model: &mut Model,
    random: &mut Random<'_>,
    limits: &Limits,
) -> Option<Removed> {
    match below(random, 20) {
        0..11 => {
            let now_ms = model.marks.last_id.ms + random() % 2;
            let id = stream.new_id(NewId::Auto, now_ms).unwrap();
            let fields = random_fields(random);
            append(stream, id, &fields, limits);
            model.entries.insert(id, fields);
            model.marks.last_id = id;
            model.marks.entries_added += 1;
            model.forget(&[]);
            None
        }
        11..18 => {
            let id = random_id(model, random);
            let removed = stream.delete(id);
            assert_eq!(removed.is_some(), model.entries.contains_key(&id));
            if removed.is_some() {
                model.marks.max_deleted_id = model.marks.max_deleted_id.max(id);
                model.forget(&[id]);
            }
            removed
        }
        _ => {
            let kept = match below(random, 2) {
                0 => Kept::Len(below(random, model.entries.len() + 3) as u64),
                _ => Kept::From(random_id(model, random)),
            };
            let removed = stream.trim(&Trim { kept, approximate: false, entries_max: 0 });
            let gone: Vec<Id> = match kept {
                Kept::Len(len) => {
                    let count = model.entries.len().saturating_sub(len as usize);
                    model.entries.keys().take(count).copied().collect()
                }
                Kept::From(id) => model.entries.range(..id).map(|(id, _)| *id).collect(),
            };
            assert_eq!(removed.count(), gone.len() as u64);
            model.forget(&gone);
            Some(removed)
        }
    }
}

fn same(stream: &Stream, model: &Model, random: &mut Random<'_>) {
    stream.check();
    assert_eq!(*stream.marks(), model.marks);
    assert_eq!(stream.len(), model.entries.len() as u64);
    assert_eq!(stream.last_entry_id(), model.entries.keys().next_back().copied());
    let (from, to) = (random_id(model, random), random_id(model, random));
    for (from, to) in [(Id::MIN, Id::MAX), (from, to), (to, from)] {
        let expected: Vec<_> = match from <= to {
            true => model.entries.range(from..=to).map(|(id, all)| (*id, all.clone())).collect(),
            false => Vec::new(),
        };
        assert_eq!(stream.range(from, to).map(content).collect::<Vec<_>>(), expected);
        let mut back: Vec<_> = stream.range_back(from, to).map(content).collect();
        back.reverse();
        assert_eq!(back, expected);
    }
    assert_eq!(stream.get(from).map(content).is_some(), model.entries.contains_key(&from));
}

fn small_nodes() -> [Limits; 4] {
    let limits = |bytes, entries| Limits {
        stream_node_bytes_max: bytes,
        stream_node_entries_max: entries,
        ..Limits::default()
    };
    [limits(0, 1), limits(0, 7), limits(300, 0), Limits::default()]
}

#[test]
fn behaves_like_an_ordered_map() {
    for (seed, limits) in (0..).zip(small_nodes()) {
        let mut random = seeded(seed);
        let (mut stream, mut model) = (Stream::new(), Model::default());
        for _ in 0..1500 {
            change(&mut stream, &mut model, &mut random, &limits);
            same(&stream, &model, &mut random);
        }
    }
}

#[test]
fn changes_are_taken_back_from_the_last_to_the_first() {
    for (seed, limits) in (0..).zip(small_nodes()) {
        let mut random = seeded(seed);
        let (mut stream, mut model) = (Stream::new(), Model::default());
        for _ in 0..40 {
            let before: Vec<_> = bytes(&stream);
            let (old, mut taken) = (model.clone(), Vec::new());
            for _ in 0..below(&mut random, 40) {
                let marks = *stream.marks();
                let removed = change(&mut stream, &mut model, &mut random, &limits);
                let appended = stream.marks().entries_added > marks.entries_added;
                taken.push((marks, removed, appended));
            }
            while let Some((marks, removed, appended)) = taken.pop() {
                match removed {
                    Some(removed) => stream.restore(removed),
                    None if appended => stream.pop(),
                    None => {}
                }
                stream.set_marks(marks);
            }
            model = old;
            same(&stream, &model, &mut random);
            assert_eq!(bytes(&stream), before, "nodes are as they were");
            for _ in 0..30 {
                change(&mut stream, &mut model, &mut random, &limits);
            }
        }
    }
}

/// All nodes, byte for byte.
fn bytes(stream: &Stream) -> Vec<(Id, Vec<u8>)> {
    stream.nodes.iter().map(|(id, node)| (*id, node.as_bytes().to_vec())).collect()
}

#[test]
fn approximate_trimming_takes_whole_nodes_only() {
    let limits = Limits { stream_node_entries_max: 10, ..Limits::default() };
    let mut stream = Stream::new();
    let fields = vec![(b"f".to_vec(), b"v".to_vec())];
    for ms in 1..=101 {
        append(&mut stream, Id::new(ms, 0), &fields, &limits);
    }
    let mut trim = |kept, entries_max| {
        let removed = stream.trim(&Trim { kept, approximate: true, entries_max });
        stream.check();
        (removed.count(), stream.len())
    };
    assert_eq!(trim(Kept::Len(55), 30), (30, 71));
    assert_eq!(trim(Kept::Len(55), 0), (10, 61));
    assert_eq!(trim(Kept::Len(55), 0), (0, 61));
    assert_eq!(trim(Kept::From(Id::new(60, 0)), 0), (10, 51));
    assert_eq!(trim(Kept::From(Id::new(61, 0)), 5), (0, 51));
    assert_eq!(trim(Kept::From(Id::new(61, 0)), 0), (10, 41));
    assert_eq!(trim(Kept::Len(0), 0), (41, 0));
}

#[test]
fn new_ids_never_go_back() {
    let mut stream = Stream::new();
    let set = |stream: &mut Stream, last_id| {
        let marks = Marks { last_id, ..*stream.marks() };
        stream.set_marks(marks);
    };
    assert_eq!(stream.new_id(NewId::Sequence(0), 0), Some(Id::new(0, 1)));
    assert_eq!(stream.new_id(NewId::Given(Id::MIN), 0), None);
    set(&mut stream, Id::new(100, 5));
    assert_eq!(stream.new_id(NewId::Auto, 200), Some(Id::new(200, 0)));
    assert_eq!(stream.new_id(NewId::Auto, 50), Some(Id::new(100, 6)));
    assert_eq!(stream.new_id(NewId::Sequence(100), 0), Some(Id::new(100, 6)));
    assert_eq!(stream.new_id(NewId::Sequence(99), 0), None);
    assert_eq!(stream.new_id(NewId::Given(Id::new(100, 5)), 0), None);
    set(&mut stream, Id::new(100, u64::MAX));
    assert_eq!(stream.new_id(NewId::Auto, 50), Some(Id::new(101, 0)));
    assert_eq!(stream.new_id(NewId::Sequence(100), 0), None);
    set(&mut stream, Id::MAX);
    assert_eq!(stream.new_id(NewId::Auto, 50), None);
}

#[test]
fn the_lag_is_right_whenever_it_is_told() {
    let limits = Limits { stream_node_entries_max: 4, ..Limits::default() };
    for seed in 0..30 {
        let mut random = seeded(seed);
        let (mut stream, mut model) = (Stream::new(), Model::default());
        let mut cursor = Cursor { last_id: Id::MIN, entries_read: Some(0) };
        let mut told = 0;
        for _ in 0..300 {
            change(&mut stream, &mut model, &mut random, &limits);
            if below(&mut random, 3) == 0 {
                let next = stream.range(cursor.last_id.next().unwrap(), Id::MAX).next();
                if let Some(id) = next.map(|entry| entry.id) {
                    cursor = stream.advanced(cursor, id);
                }
            }
            if let Some(lag) = stream.lag(&cursor) {
                // What was trimmed before it was read counts as unread, so it is an upper bound.
                let unread = model.entries.range(cursor.last_id.next().unwrap()..).count();
                assert!(lag >= unread as i64, "lag {lag}, unread {unread}");
                told += 1;
            }
        }
        assert!(told > 20, "a lag that is never told would always be right");
    }
}

#[test]
fn groups_count_in_the_memory() {
    let mut stream = Stream::new();
    let cursor = Cursor { last_id: Id::MIN, entries_read: None };
    assert!(stream.put_group(b"g", Group::new(cursor)));
    assert!(!stream.put_group(b"g", Group::new(cursor)));
    let small = stream.heap_bytes();
    stream.change_group(b"g", |group| group.add_consumer(b"a consumer", Millis::new(1)));
    stream.check();
    assert!(stream.heap_bytes() > small);
    assert!(stream.take_group(b"g").is_some());
    assert_eq!(stream.heap_bytes(), 0);
}

#[test]
fn an_entry_with_very_many_fields_takes_time_in_their_number() {
    let mut stream = Stream::new();
    let fields: Fields =
        (0..200_000).map(|at| (format!("f{at}").into_bytes(), vec![b'v'])).collect();
    for ms in 1..=3 {
        append(&mut stream, Id::new(ms, 0), &fields, &Limits::default());
    }
    let entries: Vec<_> = stream.range_back(Id::MIN, Id::MAX).map(content).collect();
    assert!(entries.iter().all(|(_, all)| *all == fields));
    assert_eq!((entries.len(), stream.nodes()), (3, 3));
    assert!(stream.delete(Id::new(2, 0)).is_some());
    stream.pop();
    assert_eq!(stream.len(), 1);
}

/// A copy is as large as it is, not as large as the original with its room for growing.
#[test]
fn a_copy_counts_its_own_memory() {
    let mut stream = Stream::new();
    let fields = vec![(b"field".to_vec(), b"value".to_vec())];
    (1..40).for_each(|ms| append(&mut stream, Id::new(ms, 0), &fields, &Limits::default()));
    stream.put_group(b"g", Group::new(Cursor { last_id: Id::MIN, entries_read: None }));
    for name in [&b"one"[..], b"two", b"three"] {
        stream.change_group(b"g", |group| group.add_consumer(name, Millis::new(1)));
    }
    stream.change_group(b"g", |group| group.remove_consumer(b"two"));
    stream.clone().check();
    assert!(stream.clone().heap_bytes() <= stream.heap_bytes());
}
