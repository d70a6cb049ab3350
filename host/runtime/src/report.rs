//! What operators see: LIST, INFO, STATS, LOG, HELP, and the plugins' part of INFO.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use reef_resp::Writer;

use crate::request::PluginStatistics;
use crate::tally::Tally;
use crate::version::Version;

/// `PLUGIN LIST`: the loaded plugins, and those that were unloaded and finish their calls.
pub(crate) fn list(versions: &[Arc<Version>], leaving: &[(Arc<str>, u32)], reply: &mut Writer) {
    reply.array(versions.len() + leaving.len());
    for (name, calls) in leaving {
        reply.map(2);
        field(reply, "name", name);
        field(reply, "state", &format!("unloaded, finishes {calls} calls"));
    }
    for version in versions {
        reply.map(6);
        field(reply, "name", version.name());
        field(reply, "version", &version.manifest.version);
        field(reply, "digest", &version.digest.to_string());
        key(reply, "commands");
        reply.integer(version.manifest.commands.len() as i64);
        field(reply, "state", &state(version));
        field(reply, "reason", &reason(version));
    }
}

/// `PLUGIN INFO name`.
pub(crate) fn info(version: &Version, reply: &mut Writer) {
    let Version { terms, manifest, .. } = version;
    let plugin = &terms.plugin;
    reply.map(30);
    field(reply, "name", &plugin.name);
    field(reply, "plugin", &manifest.name);
    field(reply, "version", &manifest.version);
    field(reply, "summary", &manifest.summary);
    field(reply, "state", &state(version));
    field(reply, "reason", &reason(version));
    let names: Vec<&str> = manifest.commands.iter().map(|claim| claim.name.as_str()).collect();
    words(reply, "commands", &names);
    words(reply, "wants", &manifest.wants);
    words(reply, "grants", &terms.grant_words);
    key(reply, "config");
    reply.map(terms.config.len());
    for (name, value) in &terms.config {
        field(reply, name, value);
    }
    let limits = &terms.limits;
    number(reply, "limit-cpu-ms", limits.cpu_ms.into());
    number(reply, "limit-memory", limits.memory_bytes);
    number(reply, "limit-host-calls", limits.host_calls.into());
    number(reply, "limit-bytes", limits.bytes);
    number(reply, "failures-in-a-row", plugin.breaker.failures().into());
    let pause_ms = plugin.breaker.pause().map(|pause| pause.wait_ms);
    let until_ms = pause_ms.map_or(0, |wait_ms| terms.services.backend.now_ms() + wait_ms);
    number(reply, "paused-until-ms", until_ms);
    number(reply, "calls-refused", plugin.breaker.refused());
    let last = plugin.breaker.last();
    field(reply, "last-failure", last.as_ref().map_or("", |failure| &failure.text));
    number(reply, "last-failure-at-ms", last.as_ref().map_or(0, |failure| failure.at_ms));
    number(reply, "loaded-at-ms", plugin.loaded_at_ms);
    number(reply, "component-bytes", version.component.len() as u64);
    field(reply, "digest", &version.digest.to_string());
    number(reply, "versions-kept", plugin.archive.lock().all().count() as u64);
    number(reply, "compile-us", version.compile_us);
    field(reply, "code", version.origin.word());
    number(reply, "instances", plugin.instances.load(Relaxed).into());
    number(reply, "idle-instances", version.pool.idle() as u64);
    number(reply, "memory-bytes", plugin.memory_bytes.load(Relaxed));
    number(reply, "calls-overstaying", plugin.in_flight().into());
    number(reply, "calls-parked", plugin.parked.load(Relaxed));
}

/// `PLUGIN VERSIONS name`: the one that runs, then those that it can be rolled back to, newest first.
pub(crate) fn versions(version: &Version, reply: &mut Writer) {
    let archive = version.terms.plugin.archive.lock();
    let running = version.as_past();
    reply.array(1 + archive.all().count());
    let all = std::iter::once((&running, "running")).chain(archive.all().map(|one| (one, "kept")));
    for (one, state) in all {
        reply.map(7);
        field(reply, "version", &one.version);
        field(reply, "digest", &one.digest.to_string());
        field(reply, "state", state);
        number(reply, "component-bytes", one.component.len() as u64);
        words(reply, "grants", &one.grants);
        key(reply, "config");
        reply.map(one.config.len());
        for (name, value) in &one.config {
            field(reply, name, value);
        }
        key(reply, "limits");
        let limits = one.limits.words();
        reply.map(limits.len());
        for (name, value) in &limits {
            field(reply, name, value);
        }
    }
}

/// `PLUGIN STATS`: the sums of every plugin.
pub(crate) fn all_statistics(versions: &[Arc<Version>], reply: &mut Writer) {
    reply.map(versions.len());
    for version in versions {
        key(reply, version.name());
        figures(&total(version), reply);
    }
}

/// `PLUGIN STATS name`: by command, with the plugin's own counters.
pub(crate) fn statistics(version: &Version, reply: &mut Writer) {
    let plugin = &version.terms.plugin;
    reply.map(14);
    field(reply, "name", version.name());
    field(reply, "state", &state(version));
    field(reply, "reason", &reason(version));
    number(reply, "calls-refused", plugin.breaker.refused());
    key(reply, "total");
    figures(&total(version), reply);
    let commands = by_command(version);
    key(reply, "commands");
    reply.map(commands.len());
    for (name, tally) in &commands {
        key(reply, name);
        figures(tally, reply);
    }
    let counters = plugin.counters.all();
    key(reply, "counters");
    reply.map(counters.len());
    for (name, value) in &counters {
        number(reply, name, *value);
    }
    number(reply, "parked", plugin.parked.load(Relaxed));
    number(reply, "events", plugin.events.load(Relaxed));
    number(reply, "events-failed", plugin.events_failed.load(Relaxed));
    number(reply, "events-waiting", plugin.events_waiting.load(Relaxed));
    number(reply, "log-lines-dropped", plugin.journal.dropped());
    number(reply, "memory-bytes", plugin.memory_bytes.load(Relaxed));
    number(reply, "instances", plugin.instances.load(Relaxed).into());
}

/// `PLUGIN LOG name [count]`, oldest line first.
pub(crate) fn log(version: &Version, count: usize, reply: &mut Writer) {
    let lines = version.terms.plugin.journal.tail(count);
    reply.array(lines.len());
    let mut text = String::new();
    for line in &lines {
        text.clear();
        // Writing to a string cannot fail.
        let _ = write!(text, "{} {} {}", line.at_ms, line.level.word(), line.text);
        reply.bulk(text.as_bytes());
    }
}

/// `PLUGIN HELP`.
pub(crate) fn help(reply: &mut Writer) {
    reply.array(HELP.len());
    HELP.iter().for_each(|line| reply.status(line));
}

/// The plugins' lines of INFO.
pub(crate) fn section(versions: &[Arc<Version>], out: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(out, "plugins_loaded:{}\r\n", versions.len());
    for version in versions {
        let sum = total(version);
        let _ = write!(
            out,
            "plugin_{}:version={},state={},calls={},errors={},traps={},timeouts={},killed={},\
             refused={},conflicts={},retries={},overstayed={},cpu_us={},host_calls={},bytes={},\
             memory={},instances={},parked={},p50_us={},p99_us={}\r\n",
            version.name(),
            version.manifest.version,
            state(version).replace(' ', "_"),
            sum.calls,
            sum.errors,
            sum.traps,
            sum.timeouts,
            sum.killed,
            version.terms.plugin.breaker.refused(),
            sum.conflicts,
            sum.retries,
            sum.overstayed,
            sum.cpu_ns / 1_000,
            sum.host_calls,
            sum.bytes,
            version.terms.plugin.memory_bytes.load(Relaxed),
            version.terms.plugin.instances.load(Relaxed),
            version.terms.plugin.parked.load(Relaxed),
            sum.latency_ns(500) as f64 / 1e3,
            sum.latency_ns(990) as f64 / 1e3,
        );
    }
}

/// The figures of one plugin, as a value.
pub(crate) fn plugin_statistics(version: &Version) -> PluginStatistics {
    let sum = total(version);
    PluginStatistics {
        name: version.name().into(),
        calls: sum.calls,
        errors: sum.errors,
        traps: sum.traps,
        timeouts: sum.timeouts,
        conflicts: sum.conflicts,
        cpu_us: sum.cpu_ns / 1_000,
        host_calls: sum.host_calls,
        bytes: sum.bytes,
    }
}

fn by_command(version: &Version) -> BTreeMap<String, Tally> {
    let mut tallies = version.terms.plugin.past_tallies();
    for (name, tally) in version.tallies() {
        tallies.entry(name).or_default().add(&tally);
    }
    tallies
}

fn total(version: &Version) -> Tally {
    let mut total = Tally::default();
    by_command(version).values().for_each(|tally| total.add(tally));
    total
}

fn figures(tally: &Tally, reply: &mut Writer) {
    reply.map(16);
    number(reply, "calls", tally.calls);
    number(reply, "errors", tally.errors);
    number(reply, "traps", tally.traps);
    number(reply, "timeouts", tally.timeouts);
    number(reply, "killed", tally.killed);
    number(reply, "conflicts", tally.conflicts);
    number(reply, "retries", tally.retries);
    number(reply, "overstayed", tally.overstayed);
    number(reply, "host-calls", tally.host_calls);
    number(reply, "bytes", tally.bytes);
    number(reply, "cpu-us", tally.cpu_ns / 1_000);
    number(reply, "memory-bytes-max", tally.memory_bytes_max);
    number(reply, "latency-p50-ns", tally.latency_ns(500));
    number(reply, "latency-p99-ns", tally.latency_ns(990));
    number(reply, "latency-p999-ns", tally.latency_ns(999));
    let counts: Vec<String> = tally.latency.iter().map(u64::to_string).collect();
    field(reply, "latency-histogram", &counts.join(","));
}

fn state(version: &Version) -> String {
    match version.terms.plugin.breaker.pause() {
        None => "ok".into(),
        Some(pause) => format!("paused for {} ms", pause.wait_ms),
    }
}

/// Why a plugin that is in trouble is: its last failure, or nothing.
fn reason(version: &Version) -> String {
    let breaker = &version.terms.plugin.breaker;
    let last = breaker.pause().and_then(|_| breaker.last());
    last.map_or_else(String::new, |failure| failure.text.into())
}

fn key(reply: &mut Writer, name: &str) {
    reply.bulk(name.as_bytes());
}

fn field(reply: &mut Writer, name: &str, value: &str) {
    key(reply, name);
    reply.bulk(value.as_bytes());
}

fn number(reply: &mut Writer, name: &str, value: u64) {
    key(reply, name);
    reply.integer(i64::try_from(value).unwrap_or(i64::MAX));
}

fn words(reply: &mut Writer, name: &str, values: &[impl AsRef<str>]) {
    key(reply, name);
    reply.array(values.len());
    values.iter().for_each(|value| reply.bulk(value.as_ref().as_bytes()));
}

const HELP: [&str; 36] = [
    "PLUGIN <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "LOAD <name> <component|path|sha256:digest> [<option> ...]",
    "    Load a plugin: a component's bytes, the path of a file on the server, or the digest",
    "    of one that the server has.",
    "    REPLACE",
    "        Replace the plugin of that name, if there is one.",
    "    DIGEST sha256:<digest>",
    "        Refuse any other component.",
    "    GRANT <command|~key-pattern> [...]",
    "        Commands it may run and keys it may touch. Without a pattern: all keys.",
    "    CONFIG <key> <value> [...]",
    "        What the plugin reads as its configuration.",
    "    LIMIT cpu-ms|memory|host-calls|bytes <value> [...]",
    "        Budgets: CPU, host calls and bytes of a call, memory of an instance.",
    "REPLACE <name> <component|path|sha256:digest> [<option> ...]",
    "    Replace a plugin. Grants, configuration and limits stay unless given.",
    "UNLOAD <name>",
    "    Unload a plugin. Its calls in flight are finished.",
    "VERSIONS <name>",
    "    Show the version that runs, and those that it can be rolled back to.",
    "ROLLBACK <name> [<version|sha256:digest>]",
    "    Bring a replaced version back, with the terms that it had (default: the last one).",
    "LIST",
    "    Show the loaded plugins.",
    "INFO <name>",
    "    Show what a plugin is, on which terms it runs, and how it does.",
    "STATS [<name>]",
    "    Show calls, errors, latencies and what they used; by command for one plugin.",
    "LOG <name> [<count>]",
    "    Show the last lines that a plugin logged (default: 10).",
    "KILL <name>",
    "    Stop the calls of a plugin that are in flight; how many there were.",
    "HELP",
    "    Print this help.",
    "Replacing, unloading and killing never leave half a batch behind: batches are all or",
    "nothing.",
];
