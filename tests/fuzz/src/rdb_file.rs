//! Whole files, changed at random, in chunks of any size: they are refused, or what was loaded is
//! sound and makes a file that loads the same.

use reef_engine::rdb::Form;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;

use crate::choice::{Choice, Source};
use crate::measure::Measure;

/// What files are made of.
const LINES: &[&str] = &[
    "SET a text",
    "SET b 12345 PX 5000",
    "SET c xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "RPUSH d a b c 1 2 3",
    "SADD e 1 2 300 70000",
    "SADD f x y 1",
    "HSET g a 1 b 2",
    "HPEXPIRE g 100000 FIELDS 1 a",
    "ZADD h 1 a 2.5 b -inf c",
    "XADD i 5-1 a 1 b 2",
    "XGROUP CREATE i g 0",
    "XREADGROUP GROUP g alice STREAMS i >",
    "CONFIG SET hash-max-listpack-entries 0",
    "CONFIG SET set-max-listpack-entries 0",
    "CONFIG SET zset-max-listpack-entries 0",
    "SELECT 1",
    "PEXPIRE a 1000",
];

/// Bytes that mean something: kinds of records, types, lengths.
const MARKS: [u8; 20] =
    [0, 1, 2, 7, 18, 22, 25, 0x40, 0x80, 0x81, 0xc0, 0xc3, 243, 244, 245, 247, 250, 251, 254, 255];

fn new() -> Solo {
    let settings = Settings { string_bytes_max: 1 << 20, ..Settings::default() };
    Solo::new(7, 2, settings)
}

/// Reads a file made from these bytes.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut solo = new();
    let client = solo.connect();
    for _ in 0..1 + source.below(12) {
        let argv: OwnedArgv = source.pick(LINES).split(' ').collect();
        solo.run(client, argv.as_argv());
    }
    let form = solo.form();
    let version = *source.pick(&[&10, &11, &12]);
    let form = Form { version: form.version.max(version), ..form };
    let file = solo.save(if source.one_in(2) { form } else { form.uncompressed() });
    for _ in 0..8 {
        let spoilt = spoil(file.clone(), &mut source);
        let chunk_bytes = *source.pick(&[&1, &7, &100, &100_000]);
        let mut loaded = new();
        let measure = Measure::begin();
        let result = loaded.load(&spoilt, chunk_bytes);
        measure.end(|| spoilt.escape_ascii().to_string());
        if result.is_ok() {
            check(&mut loaded, &spoilt);
        }
        if source.is_empty() {
            break;
        }
    }
}

/// Changes a file, and takes its checksum away.
fn spoil(mut file: Vec<u8>, source: &mut Source<'_>) -> Vec<u8> {
    const CHECKSUM_BYTES: usize = 8;
    let sum = file.len() - CHECKSUM_BYTES;
    file[sum..].fill(0);
    for _ in 0..1 + source.below(4) {
        if file.is_empty() {
            break;
        }
        let at = source.below(sum.min(file.len()));
        match source.below(7) {
            0 => file[at] = MARKS[source.below(MARKS.len())],
            1 => file[at] = source.below(256) as u8,
            2 => file[at] ^= 1 << source.below(8),
            3 => file.insert(at, MARKS[source.below(MARKS.len())]),
            4 => drop(file.remove(at)),
            5 if source.one_in(4) => file.truncate(at),
            _ => {
                let end = at + source.below(file.len() - at).min(64);
                let part = file[at..end].to_vec();
                file.splice(at..at, part);
            }
        }
    }
    file
}

/// Checks what a file has made.
fn check(loaded: &mut Solo, file: &[u8]) {
    loaded.check();
    // What only the newest form can tell is told.
    let form = loaded.form();
    let again = loaded.save(Form { version: form.version.max(11), ..form });
    let mut second = new();
    let result = second.load(&again, 1000);
    assert!(result.is_ok(), "{result:?}: {}", file.escape_ascii());
    second.check();
    assert_eq!(loaded.digest(), second.digest(), "{}", file.escape_ascii());
}
