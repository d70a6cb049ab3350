//! Random files and random CONFIG SETs: whatever stands there, it is read or refused with the place
//! named, and what was read comes back from what CONFIG REWRITE makes of it. A bounded number of
//! seeds, because this module can only be linked with all of the server.

use super::super::directive::Role;
use super::super::table::TABLE;
use super::super::words;
use super::*;

/// Random numbers from a seed (SplitMix64).
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..self.below(count)).map(|_| self.below(256) as u8).collect()
    }
}

const WORDS: &[&str] = &[
    "yes",
    "no",
    "0",
    "1",
    "-1",
    "10",
    "100",
    "65535",
    "65536",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1gb",
    "100mb",
    "5%",
    "-5%",
    "101%",
    "1kb",
    "1k",
    "0x10",
    "777",
    "1000",
    "",
    "\"\"",
    "\"a b\"",
    "'x'",
    "\"\\x00\\xff\"",
    "\"",
    "normal",
    "replica",
    "slave",
    "pubsub",
    "60",
    "3600",
    "KEA",
    "notice",
    "debug",
    "always",
    "everysec",
    "allkeys-lru",
    "noeviction",
    "127.0.0.1",
    "-::1",
    "*",
    "localhost",
    "50",
    "99.9",
    "default",
    "nosave",
    "now",
    "on",
    "nopass",
    "~*",
    "+@all",
    ">pw",
    "#",
    "\u{e4}",
];

/// A directive's name. Those that read or make files of this machine are left out.
fn name(rng: &mut Rng) -> &'static str {
    loop {
        let row = &TABLE[rng.below(TABLE.len())];
        if !matches!(row.name, "include" | "dir" | "plugin" | "plugin-dir") {
            return row.name;
        }
    }
}

fn line(rng: &mut Rng) -> String {
    let own = name(rng);
    let default = TABLE.iter().find(|row| row.name == own).map_or("", |row| row.default);
    let count = rng.below(5);
    let values: Vec<&str> = (0..count).map(|_| rng.pick(WORDS)).collect();
    match rng.below(4) {
        0 => format!("{own} {default}"),
        1 => format!("{} {}", own.to_uppercase(), rng.pick(WORDS)),
        _ => format!("{own} {}", values.join(" ")),
    }
}

/// What CONFIG REWRITE makes of a file must say the same.
fn comes_back(config: &Config, old: &[u8]) {
    let text = config.rewrite(old, None);
    let shown = || String::from_utf8_lossy(&text).into_owned();
    let source = Source::Text { name: "redis.conf".to_owned(), text: text.clone() };
    let (again, _) = Config::load(Some(source), &[], &no_env)
        .unwrap_or_else(|error| panic!("{error}\n{}", shown()));
    for ((row, value), other) in TABLE.iter().zip(&config.values).zip(&again.values) {
        assert_eq!(value, other, "{}\n{}", row.name, shown());
    }
    assert_eq!(again.rewrite(&text, None), text, "a second time");
}

#[test]
fn random_files_are_read_or_refused_and_come_back() {
    let mut read = 0;
    for seed in 0..120 {
        let mut rng = Rng(seed);
        let (mut text, mut config) = (String::new(), Config::default());
        for _ in 0..rng.below(20) {
            // A line that is refused would hide what comes behind it.
            let longer = format!("{text}{}\n", line(&mut rng));
            if let Ok((loaded, _)) = load(&longer, &[]) {
                (text, config) = (longer, loaded);
                read += 1;
            }
        }
        comes_back(&config, text.as_bytes());
        for _ in 0..rng.below(20) {
            let pairs: Vec<_> =
                (0..1 + rng.below(2)).map(|_| (name(&mut rng), rng.pick(WORDS))).collect();
            if let Err(error) = config.set(&pairs, Caller::Remote) {
                assert!(error.reply().len() > 3, "{pairs:?}");
            }
        }
        comes_back(&config, text.as_bytes());
    }
    assert!(read > 200, "{read} lines: a dull run");
    assert!(TABLE.iter().any(|row| matches!(row.role, Role::Refused(_))));
}

#[test]
fn bytes_that_are_no_file_are_refused_with_a_place() {
    for seed in 0..600 {
        let mut rng = Rng(seed);
        let mut bytes = match rng.below(2) {
            0 => rng.bytes(60),
            _ => format!("{}\n", line(&mut rng)).into_bytes(),
        };
        for _ in 0..rng.below(4) {
            if !bytes.is_empty() {
                let at = rng.below(bytes.len());
                bytes[at] = rng.below(256) as u8;
            }
        }
        if bytes.to_ascii_lowercase().windows(7).any(|part| part == b"include") {
            continue;
        }
        let source = Source::Text { name: "redis.conf".to_owned(), text: bytes.clone() };
        if let Err(error) = Config::load(Some(source), &[], &no_env) {
            assert!(error.to_string().contains("redis.conf"), "{error}");
        }
        let quoted = words::quote(&bytes);
        assert_eq!(words::split(quoted.as_bytes()), Some(vec![bytes.clone()]), "{quoted}");
        let joined = words::split(&bytes).map(|all| {
            let again: Vec<_> = all.iter().map(|word| words::quote(word)).collect();
            (words::split(again.join(" ").as_bytes()), all)
        });
        if let Some((again, all)) = joined {
            assert_eq!(again, Some(all), "{}", bytes.escape_ascii());
        }
    }
}
