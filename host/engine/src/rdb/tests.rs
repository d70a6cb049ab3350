//! Values of every type and form read back, and hostile payloads do no harm.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::marks::{
    HASH_ZIPMAP, LIST, LIST_QUICKLIST, LIST_QUICKLIST_2, LIST_ZIPLIST, SET, SORTED_SET,
};
use super::*;
use crate::clock::Millis;
use crate::keyspace::Access;
use crate::settings::Settings;
use crate::types::element::Element;
use crate::types::hash::Hash;
use crate::types::json::Document;
use crate::types::json::parse::parse;
use crate::types::limits::Limits;
use crate::types::list::List;
use crate::types::random::seeded;
use crate::types::set::Set;
use crate::types::sorted_set::SortedSet;
use crate::types::stream::Stream;
use crate::types::stream_group::{Cursor, Group, Pending, Times};
use crate::types::stream_id::Id;
use crate::types::suggestions::{Suggestion, Suggestions};

fn rules() -> Rules {
    Rules::new(5, 1, Settings::default())
}

/// Rules under which nothing is packed.
fn rules_without_packing() -> Rules {
    let limits = Limits {
        hash_entries_max: 0,
        list_node_size: 2,
        set_integers_max: 0,
        set_entries_max: 0,
        sorted_set_entries_max: 0,
        ..Limits::default()
    };
    Rules::new(5, 1, Settings { limits, ..Settings::default() })
}

fn slot(value: Value) -> Slot {
    Slot::new(b"key", value, None, Access::default())
}

fn texts() -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> =
        ["", "0", "-1", "127", "-129", "70000", "-2147483649", "007", "1.5", "text", "\u{e9}\0"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
    texts.push(std::vec![b'x'; 64]);
    texts.push(std::vec![b'y'; 65]);
    texts.push((0..10_000).flat_map(|number: u32| number.to_le_bytes()).collect());
    texts
}

/// A stream with deleted entries, and groups with and without consumers.
fn stream(count: u64, limits: &Limits) -> Stream {
    let mut stream = Stream::new();
    for ms in 1..=count {
        let value = format!("{}", ms * 7919);
        let name: &[u8] = if ms % 9 == 0 { b"other" } else { b"name" };
        stream.append(Id::new(ms, ms % 3), [name, value.as_bytes()].into_iter(), limits);
    }
    for ms in (2..count).step_by(4) {
        stream.delete(Id::new(ms, ms % 3));
    }
    let cursor = Cursor { last_id: Id::new(3, 0), entries_read: Some(3) };
    stream.put_group(b"idle", Group::new(Cursor { entries_read: None, ..cursor }));
    let mut group = Group::new(cursor);
    for (name, active_at) in [(b"a", None), (b"b", Some(Millis::new(9)))] {
        group.add_consumer(name, Millis::new(7));
        let consumer = group.number(name).unwrap();
        group.set_times(consumer, Times { seen_at: Millis::new(8), active_at });
        for ms in 1..=3 {
            let id = Id::new(ms, u64::from(active_at.is_some()));
            let delivered_at = Millis::new(1 << 41);
            group.set_pending(id, Some(Pending { consumer, delivered_at, deliveries: ms }));
        }
    }
    stream.put_group(b"busy", group);
    stream
}

/// Recorded from redis-server 7.0: `XADD s 1-1 a 1`, `XADD s 2-5 a hello`, `XADD s 3-0 b c`, `XDEL s
/// 2-5`, `DUMP s`.
#[test]
fn streams_of_redis_7_0_are_read_to_the_byte() {
    let payload = b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01<<\x00\x00\x00\x16\x00\x02\x01\x01\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01\x01\x01\x04\x01\x03\x01\x01\x01\x04\x01\x85hello\x06\x04\x01\x00\x01\x02\x01\xdf\xff\x02\x01\x01\x81b\x02\x81c\x02\x06\x01\xff\x02\x03\x00\x01\x01\x02\x05\x03\x00\x0a\x00\x9d\x0eh\xcaN7\xdb\x95";
    let Ok(Value::Stream(stream)) = restore(payload, &rules()) else { panic!("a stream") };
    stream.check();
    assert_eq!(stream.len(), 2);
    let marks = stream.marks();
    assert_eq!((marks.entries_added, marks.max_deleted_id), (3, Id::new(2, 5)));
    assert_eq!((marks.first_id, marks.last_id), (Id::new(1, 1), Id::new(3, 0)));
    let written = dump(&slot(Value::Stream(stream)), &rules().hasher);
    let rest = payload.len() - FOOTER_BYTES;
    assert_eq!(written[1..rest], payload[1..rest], "all but the type's number");
}

/// Values of every type and form, made under these rules.
fn values(rules: &Rules) -> Vec<Value> {
    let (hasher, limits) = (&rules.hasher, &rules.settings.limits);
    let mut values: Vec<Value> = texts().into_iter().map(Value::Text).collect();
    for long in [false, true] {
        let (mut list, mut set, mut hash) = (List::new(), Set::new(), Hash::new());
        let mut sorted = SortedSet::new();
        for (index, text) in texts().iter().filter(|text| long || text.len() <= 64).enumerate() {
            list.push_back(text, limits);
            set.add(hasher, text, limits);
            hash.set(hasher, text, format!("v{index}").as_bytes(), limits);
            let score = [1.5, f64::INFINITY, -1e300, 3.0][index % 4];
            sorted.insert(hasher, text, score, limits);
        }
        let mut ints = Set::new();
        for number in 0..if long { 2000 } else { 100 } {
            ints.add(hasher, format!("{}", number * 7919).as_bytes(), limits);
            if long {
                let text = format!("element {number}");
                list.push_back(text.as_bytes(), limits);
                hash.set(hasher, text.as_bytes(), text.as_bytes(), limits);
                sorted.insert(hasher, text.as_bytes(), f64::from(number) / 3.0, limits);
            }
        }
        values.extend([Value::List(list), Value::Set(set), Value::Set(ints)]);
        let mut timed = hash.clone();
        for (index, (field, _)) in hash.iter().enumerate().filter(|(index, _)| index % 3 > 0) {
            let at = Millis::new(1 << 41 | (index as u64 % 5) << 20);
            field.with(|field| timed.set_expiry(hasher, field, Some(at)));
        }
        values.push(Value::Stream(Box::new(stream(if long { 250 } else { 5 }, limits))));
        let text = if long {
            format!("[{}1e-7]", "{\"a\":[0.1,\"\u{e9}\"]},".repeat(50))
        } else {
            "1".into()
        };
        values.push(Value::Json(Box::new(Document::new(parse(&text).unwrap()))));
        let mut suggestions = Suggestions::new();
        for number in 0..if long { 300_u16 } else { 2 } {
            let payload = (number % 3 == 0).then(|| format!("p{number}").into_bytes().into());
            let suggestion = Suggestion { score: f32::from(number) / 3.0, payload };
            suggestions.put(format!("text {number}").as_bytes(), suggestion);
        }
        values.push(Value::Suggestions(Box::new(suggestions)));
        values.extend([Value::Hash(hash), Value::Hash(timed), Value::SortedSet(sorted)]);
    }
    values
}

fn check(value: &Value, rules: &Rules) {
    match value {
        Value::Text(_) => {}
        Value::List(list) => list.check(),
        Value::Set(set) => set.check(&rules.hasher),
        Value::Hash(hash) => hash.check(&rules.hasher),
        Value::SortedSet(set) => set.check(&rules.hasher),
        Value::Stream(stream) => stream.check(),
        Value::Json(document) => document.check(),
        Value::Suggestions(suggestions) => suggestions.check(),
    }
}

#[test]
fn values_of_every_form_read_back() {
    for (from, to) in [
        (rules(), rules()),
        (rules(), rules_without_packing()),
        (rules_without_packing(), rules()),
        (rules_without_packing(), rules_without_packing()),
    ] {
        for value in values(&from) {
            let slot = slot(value);
            let payload = dump(&slot, &from.hasher);
            let restored = restore(&payload, &to).unwrap();
            check(&restored, &to);
            let restored = self::slot(restored);
            assert_eq!(restored.describe(), slot.describe());
            if to.settings.limits == from.settings.limits {
                assert_eq!(restored.encoding(), slot.encoding());
                // Except for the order in hash tables, it is the same to the byte.
                assert_eq!(dump(&restored, &to.hasher).len(), payload.len());
            }
        }
    }
}

#[test]
fn large_texts_are_compressed() {
    let text = b"the same again and again ".repeat(1000);
    assert!(dump(&slot(Value::Text(text)), &rules().hasher).len() < 500);
    let mut list = List::new();
    for number in 0..1000 {
        list.push_back(format!("element number {number}").as_bytes(), &Limits::default());
    }
    assert!(dump(&slot(Value::List(list)), &rules().hasher).len() < 10_000);
}

/// A payload of these bytes with a right footer.
fn sealed(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [body, &version.to_le_bytes()].concat();
    let sum = crc64(&payload);
    payload.extend(sum.to_le_bytes());
    payload
}

#[test]
fn a_footer_must_be_right() {
    let rules = rules();
    for version in 0..20 {
        let payload = sealed(b"\x00\x01a", version);
        let restored = restore(&payload, &rules).map(|value| value.elements());
        match version {
            6..=12 => assert_eq!(restored, Ok(std::vec![b"a".to_vec()])),
            _ => assert_eq!(restored, Err(Refusal::Footer)),
        }
        for at in 0..payload.len() {
            let mut broken = payload.clone();
            broken[at] ^= 1;
            assert_eq!(restore(&broken, &rules).err(), Some(Refusal::Footer));
            assert_eq!(restore(&payload[..at], &rules).err(), Some(Refusal::Footer));
        }
    }
    let behind = restore(&sealed(b"\x00\x01abc", 11), &rules).map(|value| value.elements());
    assert_eq!(behind, Ok(std::vec![b"a".to_vec()]));
}

#[test]
fn old_forms_are_read() {
    let rules = rules();
    let ziplist = b"\x0f\0\0\0\x0c\0\0\0\x02\0\x00\xf2\x02\xf3\xff";
    assert_eq!(ziplist.len(), 15);
    let blob = [&[ziplist.len() as u8], &ziplist[..]].concat();
    let elements = |kind: u8, body: &[u8]| {
        let payload = sealed(&[&[kind], body].concat(), 6);
        let value = restore(&payload, &rules).unwrap();
        check(&value, &rules);
        value
            .elements()
            .into_iter()
            .map(|text| String::from_utf8(text).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(elements(LIST, b"\x02\x01b\xc0\x07"), ["b", "7"]);
    assert_eq!(elements(LIST_ZIPLIST, &blob), ["1", "2"]);
    assert_eq!(
        elements(LIST_QUICKLIST, &[b"\x02", &blob[..], &blob].concat()),
        ["1", "2", "1", "2"]
    );
    assert_eq!(elements(LIST_QUICKLIST_2, b"\x01\x01\x05large"), ["large"]);
    assert_eq!(elements(SET, b"\x02\x01b\x01a"), ["a", "b"]);
    assert_eq!(elements(SORTED_SET, b"\x02\x01b\x041.25\x01a\xff"), ["a", "-inf", "b", "1.25"]);
    assert_eq!(elements(HASH_ZIPMAP, b"\x08\x01\x01f\x02\x00ab\xff"), ["f", "ab"]);
    for kind in [marks::SORTED_SET_ZIPLIST, marks::HASH_ZIPLIST] {
        assert_eq!(elements(kind, &blob), ["1", "2"]);
    }
}

#[test]
fn what_no_value_looks_like_is_refused() {
    let rules = rules();
    for body in [
        &b""[..],
        b"\x00",
        b"\x01\x00",           // An empty list,
        b"\x02\x00",           // set,
        b"\x04\x00",           // hash,
        b"\x05\x00",           // sorted set.
        b"\x02\x02\x01a\x01a", // A member twice.
        b"\x04\x02\x01a\x01b\x01a\x01c",
        b"\x03\x02\x01a\x011\x01a\x012",
        b"\x05\x01\x01a\0\0\0\0\0\0\xf8\x7f",
        b"\x12\x01\x03\x01a",                  // A node of an unknown kind.
        b"\x12\x01\x02\x07\x07\0\0\0\0\0\xff", // A list of nothing but an empty node.
        b"\x14\x0d\x0d\0\0\0\x02\0\x81a\x02\x81a\x02\xff", // A listpack with a member twice.
        b"\x10\x0a\x0a\0\0\0\x01\0\x81a\x02\xff", // A field without a value.
        b"\x0b\x0c\x02\0\0\0\x02\0\0\0\x02\0\x01\0", // Integers out of order.
        b"\x18\x01\0\0\0\0\0\0\0\0",           // Fields that expire: none, twice, beyond all time.
        b"\x18\x01\0\0\0\0\0\0\0\x02\x01\x01a\x01b\x01\x01a\x01b",
        b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x01a\x01b",
        b"\x18\x01\0\0\0\0\0\0\0\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x01b",
        b"\x19\0\0\0\0\0\0\0\0\x0d\x0d\0\0\0\x02\0\x81a\x02\x81b\x02\xff",
        b"\x81\x00", // Types that there are not.
        b"\x07\x00",
    ] {
        let refused = restore(&sealed(body, 11), &rules).err();
        assert_eq!(refused, Some(Refusal::Malformed), "{body:?}");
    }
}

#[test]
fn hostile_payloads_give_sound_values_or_none() {
    let mut random = seeded(11);
    let rules = rules();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for from in [&rules, &rules_without_packing()] {
        for value in values(from) {
            let slot = slot(value);
            let mut body = std::vec![type_of(&slot, Form::DUMP)];
            write_value(&mut body, &slot, &from.hasher, Form::DUMP);
            bodies.push(body);
        }
    }
    let (mut sound, mut refused) = (0, 0);
    for _ in 0..if cfg!(debug_assertions) { 4_000 } else { 100_000 } {
        let mut body = bodies[random() as usize % bodies.len()].clone();
        for _ in 0..=random() % 4 {
            // Mostly near the start, where the structure is.
            let reach = if random().is_multiple_of(2) { body.len().min(40) } else { body.len() };
            let at = random() as usize % reach;
            match random() % 4 {
                0 => body.truncate(at.max(1)),
                1 => body.insert(at, random() as u8),
                _ => body[at] = random() as u8,
            }
        }
        match restore(&sealed(&body, 11), &rules) {
            Ok(value) => {
                check(&value, &rules);
                let empty = value.elements().is_empty();
                assert!(!empty || matches!(value, Value::Text(_)), "no key holds nothing");
                sound += 1;
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Malformed);
                refused += 1;
            }
        }
    }
    assert!(sound > 100 && refused > 1000, "{sound} and {refused}: a dull run");
}

#[test]
fn a_packed_set_keeps_its_order_and_form() {
    let rules = rules();
    let mut set = Set::new();
    for member in ["b", "1", "a"] {
        set.add(&rules.hasher, member.as_bytes(), &rules.settings.limits);
    }
    set.remove(&rules.hasher, b"b");
    let restored = restore(&dump(&slot(Value::Set(set)), &rules.hasher), &rules).unwrap();
    let Value::Set(set) = restored else { panic!("a set comes back as one") };
    assert_eq!(set.iter().map(Element::to_vec).collect::<Vec<_>>(), [b"1", b"a"]);
}
