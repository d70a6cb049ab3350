//! Files from bytes: every form of record, every cut, every version.

use std::string::ToString;
use std::vec;

use super::*;
use crate::clock::Millis;
use crate::keyspace::{Access, Slot, Value};
use crate::rdb::form::Uses;
use crate::rdb::{Crc64, Form};
use crate::settings::{Rules, Settings};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const NOW: Millis = Millis::new(1_700_000_000_000);

fn rules() -> Rules {
    Rules::new(5, 1, Settings::default())
}

/// What a file tells, as text.
fn read_with(file: &[u8], chunk_bytes: usize, drops_expired: bool) -> Result<Vec<String>, Failure> {
    let rules = rules();
    let mut reader = FileReader::new(Loading { now: NOW, drops_expired, any_version: false });
    let mut told = Vec::new();
    let mut take = |reader: &mut FileReader| -> Result<(), Failure> {
        while let Some(event) = reader.next(&rules)? {
            told.push(match event {
                Event::Key { database, slot } => {
                    let value = match slot.as_text() {
                        Some(text) => text.escape_ascii().to_string(),
                        None => format!("{:?}", slot.describe()),
                    };
                    let at = slot.expires_at().map(Millis::get);
                    format!("{database} {} {at:?} {value}", slot.key().escape_ascii())
                }
                other => format!("{other:?}"),
            });
        }
        Ok(())
    };
    for chunk in file.chunks(chunk_bytes) {
        reader.feed(chunk);
        take(&mut reader)?;
    }
    reader.finish();
    take(&mut reader)?;
    Ok(told)
}

fn read(file: &[u8]) -> Result<Vec<String>, Failure> {
    read_with(file, usize::MAX, false)
}

fn reason(file: &[u8]) -> (u64, Reason) {
    let failure = read(file).expect_err("it is refused");
    (failure.offset, failure.reason)
}

/// A file of these records, without a checksum.
fn file_of(signature: &[u8], records: &[u8]) -> Vec<u8> {
    [signature, records, &[END], &[0; 8]].concat()
}

/// A file with a bit of everything.
fn sample() -> Vec<u8> {
    let rules = rules();
    let form = Form { uses: Uses::Idle(NOW), ..Form::FILE };
    let mut out = Vec::new();
    write_header(&mut out, form, &[("redis-ver", b"7.0.0"), ("ctime", b"1700000000")]);
    let long = [b'x'; 500];
    for (number, text) in [(0, &b"text"[..]), (0, b"12"), (3, b"-70000"), (0, &long)] {
        write_select(&mut out, number);
        let at = (number == 3).then_some(Millis::new(4_000_000_000_000));
        let key = format!("key of {} bytes", text.len());
        let slot = Slot::text(key.as_bytes(), text, at, Access::new(NOW, None));
        write_record(&mut out, &slot, &rules.hasher, form);
    }
    let limits = &rules.settings.limits;
    let mut list = crate::types::list::List::new();
    (0..100_u32).for_each(|at| list.push_back(at.to_string().as_bytes(), limits));
    let slot = Slot::object(b"list", Value::List(list), None, Access::default());
    write_record(&mut out, &slot, &rules.hasher, form);
    let mut crc = Crc64::new();
    crc.update(&out);
    write_footer(&mut out, Some(crc));
    out
}

#[test]
fn a_file_reads_the_same_however_it_is_cut() {
    let file = sample();
    let told = read(&file).unwrap();
    assert_eq!(told.len(), 8, "{told:?}");
    assert_eq!(told[0], format!("{:?}", Event::Aux(b"redis-ver".to_vec(), b"7.0.0".to_vec())));
    assert_eq!(told[2], "0 key of 4 bytes None text");
    assert_eq!(told[4], "3 key of 6 bytes Some(4000000000000) -70000");
    assert_eq!(told[7], "End");
    for chunk_bytes in 1..file.len() {
        assert_eq!(read_with(&file, chunk_bytes, true).as_ref(), Ok(&told), "{chunk_bytes}");
    }
}

#[test]
fn a_cut_or_a_changed_byte_is_noticed() {
    let file = sample();
    for end in 0..file.len() {
        let (offset, reason) = reason(&file[..end]);
        assert_eq!(reason, Reason::Truncated, "cut at {end}");
        assert!(offset <= end as u64);
    }
    for at in 0..file.len() {
        for bit in [1, 0x80] {
            let mut file = file.clone();
            file[at] ^= bit;
            assert!(read(&file).is_err(), "byte {at} was changed");
        }
    }
    let mut unchecked = file.clone();
    let sum = unchecked.len() - 8;
    unchecked[sum..].fill(0);
    assert_eq!(read(&unchecked), read(&file), "without a checksum nothing is checked");
}

#[test]
fn what_follows_the_end_is_left_alone() {
    let file = [&sample()[..], b"*1\r\n$4\r\nPING\r\n"].concat();
    let rules = rules();
    let mut reader =
        FileReader::new(Loading { now: NOW, drops_expired: false, any_version: false });
    reader.feed(&file[..50]);
    let mut has_ended = false;
    while let Ok(Some(event)) = reader.next(&rules) {
        has_ended |= matches!(event, Event::End);
    }
    reader.feed(&file[50..]);
    while let Ok(Some(event)) = reader.next(&rules) {
        has_ended |= matches!(event, Event::End);
    }
    assert!(has_ended);
    assert_eq!(reader.rest(), b"*1\r\n$4\r\nPING\r\n");
    assert_eq!(reader.offset(), sample().len() as u64);
    reader.feed(b"*1");
    assert_eq!(reader.rest(), b"*1\r\n$4\r\nPING\r\n*1");
}

#[test]
fn files_of_old_versions_are_read() {
    // A key with an expiry in seconds, a hash as a zipmap, a list as a ziplist, a sorted set with
    // scores as text.
    let records = [
        &[EXPIRY][..],
        &2_000_000_000_i32.to_le_bytes(),
        b"\x00\x03old\x05value",
        b"\x09\x01h\x0c\x02\x01a\x01\x001\x02bc\x00\x00\xff",
        b"\x0a\x01l\x10\x10\x00\x00\x00\x0c\x00\x00\x00\x02\x00\x00\xf2\x02\x01x\xff",
        b"\x03\x01z\x02\x01a\x031.5\x01b\xff",
    ]
    .concat();
    for version in ["0001", "0004"] {
        let file = [&[b"REDIS", version.as_bytes()].concat()[..], &records, &[END]].concat();
        assert_eq!(read(&file).unwrap()[0], "0 old Some(2000000000000) value", "{version}");
        assert_eq!(read(&file).unwrap().len(), 5);
    }
    for version in ["0005", "0006", "0007", "0008", "0009", "0010", "0012", "0016"] {
        let signature = [b"REDIS", version.as_bytes()].concat();
        assert_eq!(read(&file_of(&signature, &records)).unwrap().len(), 5, "{version}");
    }
    let told = read(&file_of(b"REDIS0006", &records)).unwrap();
    assert!(told[1].contains("[[97], [49], [98, 99], []]"), "{told:?}");
    assert!(told[2].contains("[[49], [120]]"), "{told:?}");
    assert!(told[3].contains("[[98], [45, 105, 110, 102], [97], [49, 46, 53]]"), "{told:?}");
}

#[test]
fn files_of_valkey_are_read() {
    let hash = [
        &b"\x16\x01h\x02\x01a\x011"[..],
        &(-1_i64).to_le_bytes(),
        b"\x01b\x012",
        &4_000_000_000_000_i64.to_le_bytes(),
    ]
    .concat();
    let import = [&[SLOT_IMPORT][..], b"\x03job\x02\x01\x02\x05\x06"].concat();
    let records = [import.clone(), vec![SLOT_INFO, 1, 2, 0], hash].concat();
    let told = read(&file_of(b"VALKEY080", &records)).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("field_times: [([98], Millis(4000000000000))]"), "{told:?}");
    // Redis means something else by it.
    let (at, reason) = reason(&file_of(b"REDIS0012", &import));
    assert_eq!((at, reason), (9, Reason::UnknownType(SLOT_IMPORT)));
}

#[test]
fn what_redis_writes_besides_keys_is_told_or_passed_over() {
    let module = [&[MODULE_AUX, 0x81][..], &(1_u64 << 10).to_be_bytes(), &[2, 1, 5, 1, b'x', 0]];
    let records = [
        &[FUNCTION][..],
        b"\x04code",
        &module.concat(),
        &[SELECT, 1, SIZES, 5, 1, FREQUENCY, 77, 0, 1, b'k', 1, b'v'],
    ]
    .concat();
    let told = read(&file_of(b"REDIS0011", &records)).unwrap();
    assert_eq!(told[0], format!("{:?}", Event::Function(b"code".to_vec())));
    assert_eq!(told[1], "ModulePassedOver(\"AAAAAAAAB\")");
    assert_eq!(told[2], "Sizes { database: 1, keys: 5, expiring: 1 }");
    assert_eq!(told[3..], ["1 k None v", "End"]);
}

#[test]
fn expired_keys_are_passed_over_if_wanted() {
    let mut records = Vec::new();
    for (key, at) in [(b'a', NOW.get()), (b'b', NOW.get() + 1)] {
        records.push(EXPIRY_MS);
        records.extend(at.to_le_bytes());
        records.extend([0, 1, key, 1, b'v']);
    }
    let file = file_of(b"REDIS0009", &records);
    assert_eq!(read_with(&file, 7, false).unwrap().len(), 3);
    assert_eq!(read_with(&file, 7, true).unwrap().len(), 2);
}

/// Redis had mistakes by which it wrote such.
#[test]
fn empty_collections_are_passed_over() {
    let records = [
        &[1, 1, b'a', 0, 2, 1, b'b', 0, 4, 1, b'c', 0, 5, 1, b'd', 0, 14, 1, b'e', 0][..],
        b"\x0d\x01f\x0b\x0b\x00\x00\x00\x0a\x00\x00\x00\x00\x00\xff",
        b"\x10\x01g\x07\x07\x00\x00\x00\x00\x00\xff",
        b"\x0b\x01h\x08\x02\x00\x00\x00\x00\x00\x00\x00",
        b"\x12\x01i\x01\x02\x07\x07\x00\x00\x00\x00\x00\xff",
        b"\x00\x01k\x01v",
    ]
    .concat();
    let file = file_of(b"REDIS0010", &records);
    for chunk_bytes in [1, 3, 1000] {
        assert_eq!(read_with(&file, chunk_bytes, false).unwrap(), ["0 k None v", "End"]);
    }
}

#[test]
fn what_is_not_known_is_named_with_its_place() {
    let file = |records: &[u8]| file_of(b"REDIS0011", records);
    assert_eq!(reason(b"REDIS0099"), (0, Reason::Version(99)));
    assert_eq!(reason(b"VALKEY011"), (0, Reason::Version(11)));
    assert_eq!(reason(b"REDIS00x1"), (0, Reason::Signature));
    assert_eq!(reason(b"*1\r\n$4\r\nPING"), (0, Reason::Signature));
    let key = b"\x00\x01k\x01v";
    assert_eq!(reason(&file(&[&key[..], &[26, 1, b'k']].concat())), (14, Reason::UnknownType(26)));
    assert_eq!(reason(&file(&[246])), (9, Reason::UnknownType(246)));
    assert_eq!(reason(&file(&[8])), (9, Reason::UnknownType(8)));
    assert_eq!(reason(&file(&[SELECT, 16])), (9, Reason::Database(16)));
    assert_eq!(reason(&file(&[2, 1, b'k', 2, 1, b'a', 1, b'a'])), (9, Reason::Malformed(2)));
    let module = [&[7, 1, b'k', 0x81][..], &(2_u64 << 10).to_be_bytes(), &[0]].concat();
    assert_eq!(reason(&file(&module)), (9, Reason::Module("AAAAAAAAC".into())));
    let failure = read(&file(&module)).unwrap_err();
    assert_eq!(failure.to_string(), "data of the module type AAAAAAAAC (at offset 9)");
}

/// Reading a value again with every chunk would take hours here.
#[test]
fn a_large_value_in_small_chunks_is_no_quadratic_work() {
    const MEMBERS: usize = 100_000;
    let mut records = vec![2, 1, b's', 0x80];
    records.extend((MEMBERS as u32).to_be_bytes());
    for member in 0..MEMBERS {
        records.push(6);
        records.extend(format!("{member:06}").bytes());
    }
    let told = read_with(&file_of(b"REDIS0010", &records), 20, false).unwrap();
    assert_eq!(told.len(), 2);
}

#[test]
fn small_records_need_a_small_window() {
    let mut records = Vec::new();
    for number in 0..100_000_u32 {
        records.extend([0, 4]);
        records.extend(number.to_be_bytes());
        records.extend([1, b'v']);
    }
    let file = file_of(b"REDIS0010", &records);
    let rules = rules();
    let mut reader =
        FileReader::new(Loading { now: NOW, drops_expired: false, any_version: false });
    let mut keys = 0;
    for chunk in file.chunks(4096) {
        reader.feed(chunk);
        while let Some(event) = reader.next(&rules).unwrap() {
            keys += usize::from(matches!(event, Event::Key { .. }));
        }
        assert!(reader.rest().len() < 10);
    }
    assert_eq!(keys, 100_000);
    assert!(reader.window_bytes() < 20_000, "{}", reader.window_bytes());
}

#[test]
fn a_version_that_is_not_known_is_read_if_that_is_wanted() {
    let rules = rules();
    let event = |file: &[u8], any_version: bool| {
        let mut reader = FileReader::new(Loading { now: NOW, drops_expired: false, any_version });
        reader.feed(file);
        reader.finish();
        let mut keys = 0;
        loop {
            match reader.next(&rules) {
                Ok(Some(Event::Key { .. })) => keys += 1,
                Ok(Some(Event::End) | None) => return Ok(keys),
                Ok(_) => {}
                Err(failure) => return Err(failure.reason),
            }
        }
    };
    let mut file = sample();
    let sum = file.len() - 8;
    file[sum..].fill(0);
    let keys = event(&file, false).expect("a sound file");
    file[5..9].copy_from_slice(b"0075");
    assert_eq!(event(&file, false), Err(Reason::Version(75)));
    assert_eq!(event(&file, true), Ok(keys));
    // Types that are not known stay unknown.
    file[sum - 1] = 200;
    assert_eq!(event(&file, true), Err(Reason::UnknownType(200)));
    file[..5].copy_from_slice(b"REDOS");
    assert_eq!(event(&file, true), Err(Reason::Signature));
}
