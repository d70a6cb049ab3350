//! The named loads, and mixes of them by weight.
//!
//! A load that reads a structure names what must be there first (`Setup`); plain keys are written
//! only on request (`--load`), because a miss is a legitimate thing to measure.

use crate::error::BenchError;
use crate::template::Template;

/// What must exist before a load makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Keys `key:...`, written when `--load` is given.
    Keys,
    /// A list to take from, filled when `--load` is given.
    Queue,
    /// A list of 100 elements.
    List,
    /// A thousand hashes of ten fields.
    Hashes,
    /// A sorted set of 100 members.
    Sorted,
    /// An empty stream with a consumer group.
    Group,
}

/// One measured load: operations with their weights.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    /// As asked for.
    pub(crate) label: String,
    pub(crate) parts: Vec<(Template, u32)>,
    pub(crate) setups: Vec<Setup>,
}

impl Mix {
    /// Reads `name`, `name,name` or `name:weight,name:weight`.
    pub(crate) fn parse(text: &str, data: &[u8]) -> Result<Self, BenchError> {
        let fail = |why: String| BenchError::Mix(text.to_owned(), why);
        let mut mix = Self { label: text.to_owned(), parts: Vec::new(), setups: Vec::new() };
        for part in text.split(',') {
            let (name, weight) = part.split_once(':').unwrap_or((part, "1"));
            let Ok(weight @ 1..=WEIGHT_MAX) = weight.parse() else {
                return Err(fail(format!("a weight is a number from 1 to {WEIGHT_MAX}")));
            };
            let name = name.trim().to_ascii_lowercase();
            let Some((_, command, setup)) = LOADS.iter().find(|load| load.0 == name) else {
                let names: Vec<&str> = LOADS.iter().map(|load| load.0).collect();
                return Err(fail(format!("'{name}' is none of {}", names.join(" "))));
            };
            let mut template = Template::parse(command, data)?;
            template.label = name;
            mix.parts.push((template, weight));
            mix.setups.extend(setup.filter(|setup| !mix.setups.contains(setup)));
        }
        Ok(mix)
    }

    /// A load of one operation of the user's own.
    pub(crate) fn custom(command: &str, data: &[u8]) -> Result<Self, BenchError> {
        let template = Template::parse(command, data)?;
        let setups = if command.contains("__key__") { vec![Setup::Keys] } else { Vec::new() };
        Ok(Self { label: template.label.clone(), parts: vec![(template, 1)], setups })
    }
}

/// Key of the list that lpop takes from and lpush puts to.
pub(crate) const QUEUE: &str = "bench:queue";
/// Key of the list that lrange_100 reads.
pub(crate) const LIST: &str = "bench:list";
/// Key of the sorted set that zrange_100 reads.
pub(crate) const SORTED: &str = "bench:sorted";

/// Key of the stream that xreadgroup reads, and its consumer group.
pub(crate) const GROUP: [&str; 2] = ["bench:group", "workers"];

const WEIGHT_MAX: u32 = 1_000;

/// Name, command, what it needs.
const LOADS: &[(&str, &str, Option<Setup>)] = &[
    ("ping", "PING", None),
    ("set", "SET __key__ __data__", None),
    ("get", "GET __key__", Some(Setup::Keys)),
    ("incr", "INCR counter:__rand_int__", None),
    ("lpush", "LPUSH bench:queue __data__", None),
    ("lpop", "LPOP bench:queue", Some(Setup::Queue)),
    ("lrange_100", "LRANGE bench:list 0 99", Some(Setup::List)),
    ("sadd", "SADD bench:set element:__rand_int__", None),
    ("hset", "HSET bench:hash element:__rand_int__ __data__", None),
    ("hgetall", "HGETALL bench:hash:__rand_1000__", Some(Setup::Hashes)),
    ("zadd", "ZADD bench:zset __rand_int__ element:__rand_int__", None),
    ("zrange_100", "ZRANGE bench:sorted 0 99", Some(Setup::Sorted)),
    (
        "mset",
        "MSET __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__ \
         __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__ __key__ __data__",
        None,
    ),
    // The cap keeps a long run from filling the server's memory.
    ("xadd", "XADD bench:stream MAXLEN ~ 1000000 * field __data__", None),
    // What is read was added just before: a group that reads more than comes would read nothing.
    (
        "xreadgroup",
        "XADD bench:group MAXLEN ~ 1000 * field __data__ ; \
         XREADGROUP GROUP workers one COUNT 1 NOACK STREAMS bench:group >",
        Some(Setup::Group),
    ),
    ("publish", "PUBLISH bench:channel __data__", None),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_load_parses() {
        for (name, ..) in LOADS {
            let mix = Mix::parse(name, b"v").expect(name);
            assert_eq!((mix.parts.len(), mix.parts[0].1), (1, 1));
            assert_eq!(mix.parts[0].0.replies, if *name == "xreadgroup" { 2 } else { 1 });
        }
    }

    #[test]
    fn weights_and_setups_are_taken() {
        let mix = Mix::parse("get:80,SET:19,lpop", b"v").expect("mix");
        let weights: Vec<(&str, u32)> =
            mix.parts.iter().map(|(t, weight)| (t.label.as_str(), *weight)).collect();
        assert_eq!(weights, [("get", 80), ("set", 19), ("lpop", 1)]);
        assert_eq!(mix.setups, [Setup::Keys, Setup::Queue]);
    }

    #[test]
    fn unknown_names_and_weights_are_refused() {
        for text in ["", "gett", "get:0", "get:x", "get:1001", "get,", "get:1:2"] {
            let error = Mix::parse(text, b"v").expect_err(text).to_string();
            assert!(error.contains("cannot use the load"), "{error}");
        }
    }

    #[test]
    fn fixed_keys_agree_with_the_commands() {
        let [group, consumers] = GROUP;
        for (name, key) in [
            ("lpop", QUEUE),
            ("lrange_100", LIST),
            ("zrange_100", SORTED),
            ("xreadgroup", group),
            ("xreadgroup", consumers),
        ] {
            let command = LOADS.iter().find(|load| load.0 == name).expect(name).1;
            assert!(command.contains(key), "{command}");
        }
    }
}
