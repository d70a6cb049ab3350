//! How fast files are written from snapshots and loaded, from memory to memory:
//! `cargo bench -p reef-engine --bench rdb [keys]`. No judge: it prints, and people compare.

#![expect(clippy::print_stdout, reason = "printing is all it does")]

use std::time::Instant;

use mimalloc::MiMalloc;
use reef_engine::clock::Millis;
use reef_engine::keyspace::{Access, Shard, Slot, Value};
use reef_engine::rdb::{self, Crc64, Event, FileReader, Form, Loading};
use reef_engine::settings::{Rules, Settings};
use reef_engine::types::hash::Hash;
use reef_engine::types::hasher::Hasher;
use reef_engine::types::limits::Limits;
use reef_engine::types::list::List;
use reef_engine::types::set::Set;
use reef_engine::types::sorted_set::SortedSet;

/// What the server uses.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const SHARDS: usize = 64;
/// What a piece of a snapshot may cost.
const PIECE_BYTES: usize = 64 << 10;
/// How a file is read.
const CHUNK_BYTES: usize = 256 << 10;

/// Keys by their number.
type Make = fn(usize) -> Slot;

const KINDS: [(&str, Make); 8] = [
    ("3 bytes", |i| text(i, b"xxx", None)),
    ("64 bytes", |i| text(i, format!("{i:032x}{:032x}", !i).as_bytes(), None)),
    ("64 bytes of one kind", |i| text(i, &[b'x'; 64], None)),
    ("3 bytes, expiring", |i| {
        // In no order.
        let at = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30;
        text(i, b"xxx", Some(Millis::new(4_000_000_000_000 + at)))
    }),
    ("a list of 20", |i| {
        let mut list = List::new();
        elements(|_, element| list.push_back(element, &Limits::default()));
        object(i, Value::List(list))
    }),
    ("a set of 20", |i| {
        let mut set = Set::new();
        elements(|_, element| {
            set.add(&Hasher::new(1), element, &Limits::default());
        });
        object(i, Value::Set(set))
    }),
    ("a hash of 20", |i| {
        let mut hash = Hash::new();
        elements(|_, field| {
            hash.set(&Hasher::new(1), field, b"value", &Limits::default());
        });
        object(i, Value::Hash(hash))
    }),
    ("a sorted set of 20", |i| {
        let mut set = SortedSet::new();
        elements(|at, member| {
            set.insert(&Hasher::new(1), member, at as f64, &Limits::default());
        });
        object(i, Value::SortedSet(set))
    }),
];

fn elements(mut take: impl FnMut(usize, &[u8])) {
    (0..20).for_each(|at| take(at, format!("element {at}").as_bytes()));
}

fn object(number: usize, value: Value) -> Slot {
    let key = format!("key:{number:012}");
    Slot::object(key.as_bytes(), value, None, Access::default())
}

fn text(number: usize, text: &[u8], expires_at: Option<Millis>) -> Slot {
    Slot::text(format!("key:{number:012}").as_bytes(), text, expires_at, Access::default())
}

fn main() {
    let keys = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000);
    let rules = Rules::new(1, SHARDS, Settings::default());
    for (name, make) in KINDS {
        for form in [Form::FILE.uncompressed(), Form::FILE] {
            let compressed = if form.is_compressed { ", compressed" } else { "" };
            // Collections are fewer.
            let keys = if name.starts_with("a ") { keys / 10 } else { keys };
            println!("{keys} times {name}{compressed}");
            measure(&rules, form, keys, make);
        }
    }
}

fn measure(rules: &Rules, form: Form, keys: usize, make: Make) {
    let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new()).collect();
    let slots: Vec<Slot> = (0..keys).map(make).collect();
    let start = Instant::now();
    for slot in slots {
        let shard = rules.shard_of(slot.key());
        assert!(shards[shard].load(0, slot, &rules.hasher).is_ok());
    }
    tell("put slots in", start, keys, 0);
    let start = Instant::now();
    let (mut file, mut piece) = (Vec::with_capacity(keys * 128), Vec::new());
    let mut times = Vec::new();
    rdb::write_header(&mut file, form, &[]);
    rdb::write_sizes(&mut file, &shards, form);
    shards.iter_mut().for_each(|shard| shard.begin_snapshot(form));
    for shard in &mut shards {
        loop {
            let piece_start = Instant::now();
            let is_last = shard.snapshot_piece(rules, PIECE_BYTES, &mut piece).is_last;
            times.push(piece_start.elapsed().as_micros());
            file.append(&mut piece);
            if is_last {
                break;
            }
        }
    }
    tell("snapshot", start, keys, file.len());
    times.sort_unstable();
    let (half, most) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("    half of {} pieces took {half} us at most, 99 of 100 {most} us", times.len());
    let start = Instant::now();
    let mut crc = Crc64::new();
    crc.update(&file);
    tell("checksum", start, keys, file.len());
    rdb::write_footer(&mut file, Some(crc));
    let start = Instant::now();
    drop(shards);
    tell("drop", start, keys, 0);
    let start = Instant::now();
    assert_eq!(read(&file, rules, |_| ()), keys);
    tell("read", start, keys, file.len());
    let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::new()).collect();
    let start = Instant::now();
    read(&file, rules, |slot| {
        let shard = rules.shard_of(slot.key());
        assert!(shards[shard].load(0, slot, &rules.hasher).is_ok());
    });
    tell("read and put in", start, keys, file.len());
}

fn read(file: &[u8], rules: &Rules, mut put: impl FnMut(Slot)) -> usize {
    let loading =
        Loading { now: Millis::new(1_000_000_000_000), drops_expired: true, any_version: false };
    let mut reader = FileReader::new(loading);
    let mut keys = 0;
    for chunk in file.chunks(CHUNK_BYTES) {
        reader.feed(chunk);
        while let Some(event) = reader.next(rules).expect("a sound file") {
            if let Event::Key { slot, .. } = event {
                keys += 1;
                put(slot);
            }
        }
    }
    keys
}

fn tell(what: &str, start: Instant, keys: usize, bytes: usize) {
    let seconds = start.elapsed().as_secs_f64();
    let each = seconds * 1e9 / keys as f64;
    let rate = bytes as f64 / seconds / 1e6;
    println!("    {what}: {each:.0} ns per key, {rate:.0} MB/s");
}
