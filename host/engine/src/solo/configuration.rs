//! CONFIG for an engine without a server: a few directives with Redis's defaults, in memory.
//!
//! Enough for transcripts and for whoever tries a plugin in process. A server has a real
//! configuration with files, flags and every directive; its texts are the same.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::Error;
use crate::keyspace::{Lfu, Policy};
use crate::notifications::Classes;
use crate::settings::{Lazy, Settings};
use crate::types::{glob, number};

/// What values a directive takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Any text.
    Text,
    /// `yes` or `no`.
    YesNo,
    /// Bytes, with units such as `100mb`.
    Memory,
    /// An integer in this range.
    Integer(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Whatever it is, it cannot change while the engine runs.
    Immutable,
    /// Letters of `notify-keyspace-events`.
    EventClasses,
}

/// A directive: its name, an older name or nothing, values, default.
type Directive = (&'static str, &'static str, Kind, &'static str);

const INT_MAX: i64 = i32::MAX as i64;
const SIZE: Kind = Kind::Integer(0, i64::MAX);

const POLICIES: &[&str] = &Policy::NAMES;

const DIRECTIVES: &[Directive] = &[
    ("acl-pubsub-default", "", Kind::OneOf(&["allchannels", "resetchannels"]), "resetchannels"),
    ("acllog-max-len", "", SIZE, "128"),
    ("appendonly", "", Kind::YesNo, "no"),
    ("databases", "", Kind::Immutable, "16"),
    ("hash-max-listpack-entries", "hash-max-ziplist-entries", SIZE, "512"),
    ("hash-max-listpack-value", "hash-max-ziplist-value", Kind::Memory, "64"),
    ("hll-sparse-max-bytes", "", Kind::Memory, "3000"),
    ("latency-monitor-threshold", "", SIZE, "0"),
    ("lazyfree-lazy-eviction", "", Kind::YesNo, "no"),
    ("lazyfree-lazy-expire", "", Kind::YesNo, "no"),
    ("lazyfree-lazy-server-del", "", Kind::YesNo, "no"),
    (
        "list-max-listpack-size",
        "list-max-ziplist-size",
        Kind::Integer(i32::MIN as i64, INT_MAX),
        "-2",
    ),
    ("maxclients", "", Kind::Integer(1, INT_MAX), "10000"),
    ("maxmemory", "", Kind::Memory, "0"),
    ("maxmemory-policy", "", Kind::OneOf(POLICIES), "noeviction"),
    ("notify-keyspace-events", "", Kind::EventClasses, ""),
    ("proto-max-bulk-len", "", Kind::Memory, "536870912"),
    ("requirepass", "", Kind::Text, ""),
    ("save", "", Kind::Text, ""),
    ("set-max-intset-entries", "", SIZE, "512"),
    ("set-max-listpack-entries", "", SIZE, "128"),
    ("set-max-listpack-value", "", SIZE, "64"),
    ("stream-node-max-bytes", "", Kind::Memory, "4096"),
    ("stream-node-max-entries", "", SIZE, "100"),
    ("slowlog-log-slower-than", "", Kind::Integer(-1, i64::MAX), "10000"),
    ("slowlog-max-len", "", SIZE, "128"),
    ("timeout", "", Kind::Integer(0, INT_MAX), "0"),
    ("tracking-table-max-keys", "", SIZE, "1000000"),
    ("zset-max-listpack-entries", "zset-max-ziplist-entries", SIZE, "128"),
    ("zset-max-listpack-value", "zset-max-ziplist-value", Kind::Memory, "64"),
];

/// The directives about what is freed elsewhere, each with its place.
fn lazy_of(lazy: &mut Lazy) -> [(&'static str, &mut bool); 3] {
    [
        ("lazyfree-lazy-eviction", &mut lazy.eviction),
        ("lazyfree-lazy-expire", &mut lazy.expire),
        ("lazyfree-lazy-server-del", &mut lazy.server_del),
    ]
}

/// The values of the directives.
#[derive(Clone, Debug)]
pub(super) struct Configuration(BTreeMap<&'static str, String>);

impl Configuration {
    /// The defaults, and what the settings say otherwise.
    pub(super) fn new(settings: &Settings) -> Self {
        let mut values: BTreeMap<_, _> =
            DIRECTIVES.iter().map(|(name, _, _, value)| (*name, (*value).to_string())).collect();
        let limits = &settings.limits;
        let sizes = [
            ("proto-max-bulk-len", settings.string_bytes_max),
            ("hash-max-listpack-entries", limits.hash_entries_max),
            ("hash-max-listpack-value", limits.hash_value_bytes_max),
            ("set-max-intset-entries", limits.set_integers_max),
            ("set-max-listpack-entries", limits.set_entries_max),
            ("set-max-listpack-value", limits.set_value_bytes_max),
            ("zset-max-listpack-entries", limits.sorted_set_entries_max),
            ("zset-max-listpack-value", limits.sorted_set_value_bytes_max),
            ("hll-sparse-max-bytes", limits.hyperloglog_sparse_bytes_max),
            ("stream-node-max-bytes", limits.stream_node_bytes_max),
            ("stream-node-max-entries", limits.stream_node_entries_max),
        ];
        values.extend(sizes.map(|(name, size)| (name, size.to_string())));
        for (name, on) in lazy_of(&mut settings.lazy.clone()) {
            values.insert(name, if *on { "yes" } else { "no" }.to_string());
        }
        values.insert("list-max-listpack-size", limits.list_node_size.to_string());
        values.insert("databases", settings.databases.to_string());
        values.insert("requirepass", String::from_utf8_lossy(&settings.password).into_owned());
        values.insert("maxmemory-policy", settings.eviction.policy.name().to_string());
        Self(values)
    }

    /// Calls `show` with what matches; a name asked for exactly comes back as it was written.
    pub(super) fn get(&self, patterns: &[&[u8]], show: &mut dyn FnMut(&str, &str)) {
        let mut shown = Vec::new();
        for pattern in patterns {
            let exact = !pattern.iter().any(|byte| b"*?[".contains(byte));
            for (name, alias, kind, _) in DIRECTIVES {
                for called in [*name, *alias].iter().filter(|called| !called.is_empty()) {
                    let matches = glob::matches_nocase(pattern, called.as_bytes());
                    if matches && !shown.contains(called) {
                        shown.push(*called);
                        let asked = String::from_utf8_lossy(pattern);
                        let text = as_shown(*kind, &self.0[name]);
                        show(if exact { &asked } else { called }, &text);
                    }
                }
            }
        }
    }

    /// Sets directives, all or none.
    pub(super) fn set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), Error> {
        let mut next = self.0.clone();
        let mut seen = Vec::new();
        for (name, value) in pairs {
            let refused = |reason: &str| Error::directive_refused(name, reason);
            let (own, _, kind, _) = find(name).ok_or_else(|| Error::unknown_directive(name))?;
            if matches!(kind, Kind::Immutable) {
                return Err(refused("can't set immutable config"));
            }
            if seen.contains(own) {
                return Err(refused("duplicate parameter"));
            }
            seen.push(own);
            next.insert(own, read(*kind, value).map_err(|reason| refused(&reason))?);
        }
        self.0 = next;
        Ok(())
    }

    /// Puts the values into effect.
    pub(super) fn apply(&self, settings: &mut Settings) {
        let number = |name: &str| self.0.get(name).and_then(|value| value.parse().ok());
        let size = |name: &str, place: &mut usize| *place = number(name).unwrap_or(*place);
        settings.password = self.0["requirepass"].as_bytes().into();
        settings.users.all_channels = self.0["acl-pubsub-default"] == "allchannels";
        size("acllog-max-len", &mut settings.users.log_entries_max);
        let letters = self.0["notify-keyspace-events"].as_bytes();
        settings.notify = Classes::parse(letters).unwrap_or(settings.notify);
        size("tracking-table-max-keys", &mut settings.tracked_keys_max);
        let policy = Policy::parse(&self.0["maxmemory-policy"]).unwrap_or_default();
        settings.eviction.policy = policy;
        settings.eviction.bytes_max = number("maxmemory").unwrap_or(0);
        settings.lfu = policy.is_lfu().then(Lfu::default);
        settings.slow_log.threshold_us =
            self.0["slowlog-log-slower-than"].parse().unwrap_or(settings.slow_log.threshold_us);
        settings.slow_log.entries_max =
            number("slowlog-max-len").unwrap_or(settings.slow_log.entries_max);
        settings.latency_threshold_ms = number("latency-monitor-threshold").unwrap_or(0) as u64;
        size("proto-max-bulk-len", &mut settings.string_bytes_max);
        for (name, on) in lazy_of(&mut settings.lazy) {
            *on = self.0[name] == "yes";
        }
        let limits = &mut settings.limits;
        size("hash-max-listpack-entries", &mut limits.hash_entries_max);
        size("hash-max-listpack-value", &mut limits.hash_value_bytes_max);
        size("set-max-intset-entries", &mut limits.set_integers_max);
        size("set-max-listpack-entries", &mut limits.set_entries_max);
        size("set-max-listpack-value", &mut limits.set_value_bytes_max);
        size("zset-max-listpack-entries", &mut limits.sorted_set_entries_max);
        size("zset-max-listpack-value", &mut limits.sorted_set_value_bytes_max);
        size("hll-sparse-max-bytes", &mut limits.hyperloglog_sparse_bytes_max);
        size("stream-node-max-bytes", &mut limits.stream_node_bytes_max);
        size("stream-node-max-entries", &mut limits.stream_node_entries_max);
        let list_size = self.0["list-max-listpack-size"].parse();
        limits.list_node_size = list_size.unwrap_or(limits.list_node_size);
    }
}

/// A value as CONFIG GET shows it.
fn as_shown(kind: Kind, value: &str) -> String {
    match kind {
        Kind::EventClasses => Classes::parse(value.as_bytes()).unwrap_or_default().to_string(),
        _ => value.to_string(),
    }
}

fn find(name: &[u8]) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|(own, alias, _, _)| {
        [own, alias].iter().any(|called| name.eq_ignore_ascii_case(called.as_bytes()))
            && !name.is_empty()
    })
}

/// The value as CONFIG GET shows it, or why it is none.
fn read(kind: Kind, value: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(value).into_owned();
    let lower = text.to_ascii_lowercase();
    match kind {
        Kind::Text | Kind::Immutable => Ok(text),
        Kind::YesNo if lower == "yes" || lower == "no" => Ok(lower),
        Kind::YesNo => Err("argument must be 'yes' or 'no'".into()),
        Kind::Memory => {
            let bytes = memory(&lower).ok_or("argument must be a memory value")?;
            Ok(bytes.to_string())
        }
        Kind::Integer(min, max) => {
            let number =
                number::parse_i64(value).ok_or("argument couldn't be parsed into an integer")?;
            if number < min || number > max {
                return Err(format!("argument must be between {min} and {max} inclusive"));
            }
            Ok(number.to_string())
        }
        Kind::EventClasses => {
            let classes = Classes::parse(value).ok_or(Error::EVENT_CLASS)?;
            Ok(classes.letters())
        }
        Kind::OneOf(words) if words.contains(&&*lower) => Ok(lower),
        Kind::OneOf(words) => {
            Err(format!("argument(s) must be one of the following: {}", words.join(", ")))
        }
    }
}

/// `100mb` in bytes: `k`, `m` and `g` are powers of 1000, with a `b` of 1024.
fn memory(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("", 1),
        ("b", 1),
        ("k", 1000),
        ("kb", 1 << 10),
        ("m", 1_000_000),
        ("mb", 1 << 20),
        ("g", 1_000_000_000),
        ("gb", 1 << 30),
    ];
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}
