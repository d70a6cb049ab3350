//! INFO: what the server says about itself, section by section.
//!
//! Process facts come from the host, numbers of the keyspace from the shards; here they are brought
//! into Redis's order. A section that nobody knows is silently left out, as Redis does.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::info_fields::{REPLICAS, SECTIONS, Section};
use crate::args::Args;
use crate::command::{Command, Flags, Group, command};
use crate::error::Error;
use crate::host::DataFigures;
use crate::keyspace::{Counters, Keyspace, Shard};
use crate::step::Cx;

/// The family's entries.
pub(super) static TABLE: &[Command] = &[command("INFO", info, -1)
    .group(Group::Server)
    .flags(Flags::LOADING)
    .flags(Flags::STALE)
    .flags(Flags::ALL_SHARDS)
    .usage("[section [section ...]]")
    .since("1.0.0", "O(1)")
    .summary("Returns information and statistics about the server.")];

fn info(cx: &mut Cx<'_>, args: &mut Args<'_>) -> Result<(), Error> {
    let mut wanted = alloc::vec![false; SECTIONS.len()];
    if args.is_done() {
        want(&mut wanted, |section| section.default);
    }
    for word in args.rest() {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        if is("default") {
            want(&mut wanted, |section| section.default);
        } else if is("all") || is("everything") {
            wanted.fill(true);
        } else {
            want(&mut wanted, |section| is(section.name));
        }
    }
    let mut text = String::new();
    for (section, _) in SECTIONS.iter().zip(&wanted).filter(|(_, wanted)| **wanted) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        say_section(cx, section, &mut text);
    }
    cx.reply.verbatim(text.as_bytes());
    Ok(())
}

fn want(wanted: &mut [bool], which: impl Fn(&Section) -> bool) {
    for (wanted, section) in wanted.iter_mut().zip(SECTIONS) {
        *wanted |= which(section);
    }
}

fn say_section(cx: &Cx<'_>, section: &Section, out: &mut String) {
    // Writing to a string cannot fail, here and below.
    let _ = write!(out, "# {}\r\n", section.title);
    if section.name == "keyspace" {
        say_databases(&cx.keys, out);
    }
    if section.name == "modules" {
        super::module::each_line(&mut |line| {
            let _ = write!(out, "{line}\r\n");
        });
    }
    let mut told = String::new();
    let mut data = DataFigures::default();
    for (_, shard) in cx.keys.shards().iter() {
        data.bytes += shard.heap_bytes() as u64;
        data.changes += shard.changes();
    }
    cx.host.info(section.name, data, &mut told);
    let lines: Vec<(&str, &str)> =
        told.split("\r\n").filter_map(|line| line.split_once(':')).collect();
    let known: BTreeMap<&str, &str> = lines.iter().copied().collect();
    let derived = match section.name {
        "memory" => derive_memory(data.bytes, &known),
        "stats" => derive_stats(&cx.keys),
        _ => BTreeMap::new(),
    };
    for (name, fallback) in section.fields {
        if *name == REPLICAS {
            lines.iter().filter(|(name, _)| is_replica(name)).for_each(|line| say(out, line));
            continue;
        }
        let value = known.get(name).copied().or_else(|| derived.get(name).map(String::as_str));
        match value.unwrap_or(fallback) {
            // Some are empty in Redis too.
            "" if value.is_none() => {}
            value => say(out, &(name, value)),
        }
    }
    let is_told = |name: &str| {
        section.fields.iter().any(|(field, _)| *field == name)
            || section.name == "replication" && is_replica(name)
    };
    lines.iter().filter(|(name, _)| !is_told(name)).for_each(|line| say(out, line));
}

fn say(out: &mut String, (name, value): &(&str, &str)) {
    let _ = write!(out, "{name}:{value}\r\n");
}

/// Whether a field is that of one replica: `slave0`.
fn is_replica(name: &str) -> bool {
    let number = name.strip_prefix("slave");
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn derive_stats(keys: &Keyspace<'_>) -> BTreeMap<&'static str, String> {
    let sum = |of: fn(&Counters) -> u64| -> String {
        keys.shards().iter().map(|(_, shard)| of(&shard.counters)).sum::<u64>().to_string()
    };
    BTreeMap::from([
        ("expired_keys", sum(|counters| counters.expired)),
        ("expired_fields", sum(|counters| counters.expired_fields)),
        ("evicted_keys", sum(|counters| counters.evicted)),
        ("keyspace_hits", sum(|counters| counters.hits)),
        ("keyspace_misses", sum(|counters| counters.misses)),
    ])
}

/// What follows from the sizes that the host told and from the size of the data.
fn derive_memory(data_bytes: u64, known: &BTreeMap<&str, &str>) -> BTreeMap<&'static str, String> {
    const HUMAN: [(&str, &str); 5] = [
        ("used_memory", "used_memory_human"),
        ("used_memory_rss", "used_memory_rss_human"),
        ("used_memory_peak", "used_memory_peak_human"),
        ("total_system_memory", "total_system_memory_human"),
        ("maxmemory", "maxmemory_human"),
    ];
    let bytes = |name: &str| known.get(name).and_then(|value| value.parse::<u64>().ok());
    let mut derived = BTreeMap::new();
    for (name, human_name) in HUMAN {
        if let Some(bytes) = bytes(name) {
            derived.insert(human_name, human(bytes));
        }
    }
    derived.insert("used_memory_dataset", data_bytes.to_string());
    let Some(used) = bytes("used_memory") else { return derived };
    derived.insert("used_memory_overhead", used.saturating_sub(data_bytes).to_string());
    let startup = bytes("used_memory_startup").unwrap_or(0);
    derived
        .insert("used_memory_dataset_perc", percentage(data_bytes, used.saturating_sub(startup)));
    if let Some(peak) = bytes("used_memory_peak") {
        derived.insert("used_memory_peak_perc", percentage(used, peak));
    }
    if let Some(rss) = bytes("used_memory_rss") {
        let ratio = rss as f64 / used.max(1) as f64;
        derived.insert("mem_fragmentation_ratio", format!("{ratio:.2}"));
        derived.insert("mem_fragmentation_bytes", (rss as i64 - used as i64).to_string());
    }
    derived
}

fn percentage(part: u64, whole: u64) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

/// Bytes as Redis rounds them for people: `919.09K`.
fn human(bytes: u64) -> String {
    const UNITS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = *larger;
    }
    format!("{amount:.2}{unit}")
}

/// One line per database that has keys: `db0:keys=2,expires=1,avg_ttl=100000`.
fn say_databases(keys: &Keyspace<'_>, out: &mut String) {
    #[derive(Default)]
    struct Sum {
        keys: u64,
        expiring: u64,
        ttl_ms: u64,
        with_expiring_fields: usize,
    }
    let mut databases: BTreeMap<u32, Sum> = BTreeMap::new();
    let parts = keys.shards().iter().flat_map(|(_, shard): (_, &Shard)| shard.databases());
    for (number, part) in parts {
        let sum = databases.entry(number).or_default();
        let expiring = part.expiring() as u64;
        sum.keys += part.len() as u64;
        sum.expiring += expiring;
        sum.with_expiring_fields += part.with_expiring_fields();
        sum.ttl_ms = sum.ttl_ms.saturating_add(part.average_ttl_ms(keys.now) * expiring);
    }
    for (number, sum) in databases.iter().filter(|(_, sum)| sum.keys > 0) {
        let average_ms = sum.ttl_ms.checked_div(sum.expiring).unwrap_or(0);
        let _ = write!(
            out,
            "db{number}:keys={},expires={},avg_ttl={average_ms}",
            sum.keys, sum.expiring
        );
        // Redis 7.2 knows no such fields.
        if sum.with_expiring_fields > 0 {
            let _ = write!(out, ",keys_with_volatile_items={}", sum.with_expiring_fields);
        }
        out.push_str("\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_for_people_as_redis_does() {
        // From INFO memory of a redis-server.
        for (bytes, text) in
            [(941_152, "919.09K"), (7_192_576, "6.86M"), (0, "0B"), (1023, "1023B")]
        {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(human(25_276_510_208), "23.54G");
        assert_eq!(human(u64::MAX), "16384.00P");
    }

    #[test]
    fn replicas_are_told_from_fields_of_a_replica() {
        assert!(is_replica("slave0") && is_replica("slave12"));
        assert!(!is_replica("slave") && !is_replica("slave_priority"));
    }
}
