//! Every error text of the runtime, as clients see it: code first, one sentence, one line.

use crate::digest::Digest;
use crate::limits::Limits;

/// Text that came from a client or a guest, made fit for one line of an error.
fn quoted(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(512)];
    String::from_utf8_lossy(shown).replace(|c: char| c.is_control(), " ")
}

// Calls.

pub(crate) fn timeout(plugin: &str, limits: &Limits) -> String {
    format!("TIMEOUT plugin '{plugin}' used its {} ms of CPU", limits.cpu_ms)
}

pub(crate) fn trap(plugin: &str, reason: &str) -> String {
    format!("TRAP plugin '{plugin}' failed: {}", quoted(reason.as_bytes()))
}

pub(crate) fn memory(plugin: &str, limits: &Limits) -> String {
    format!("MEMORY plugin '{plugin}' used its {} bytes of memory", limits.memory_bytes)
}

pub(crate) fn table(plugin: &str, elements: usize) -> String {
    format!("MEMORY plugin '{plugin}' used its {elements} elements of tables")
}

pub(crate) fn host_calls(plugin: &str, limits: &Limits) -> String {
    format!("QUOTA plugin '{plugin}' made its {} host calls", limits.host_calls)
}

pub(crate) fn bytes(plugin: &str, limits: &Limits) -> String {
    format!("QUOTA plugin '{plugin}' moved its {} bytes across host calls", limits.bytes)
}

pub(crate) fn arguments_too_large(plugin: &str, limits: &Limits) -> String {
    format!("QUOTA the arguments exceed the {} bytes of plugin '{plugin}'", limits.bytes)
}

pub(crate) fn invalid_reply(plugin: &str, reason: &str) -> String {
    format!("INVALID plugin '{plugin}' gave a reply that does not add up: {reason}")
}

pub(crate) fn paused(plugin: &str, failures: u32, wait_ms: u64) -> String {
    format!("PAUSED plugin '{plugin}' failed {failures} times in a row, try again in {wait_ms} ms")
}

pub(crate) fn too_many_calls(plugin: &str) -> String {
    format!("BUSY plugin '{plugin}' has too many calls in flight")
}

pub(crate) fn killed(plugin: &str) -> String {
    format!("KILLED plugin '{plugin}' was told to stop its calls")
}

pub(crate) fn panicked(plugin: &str) -> String {
    format!("ERR the call to plugin '{plugin}' failed inside the server")
}

pub(crate) fn parked_on_denied(plugin: &str, key: &[u8]) -> String {
    format!("NOPERM plugin '{plugin}' waits for key '{}', which it was not granted", quoted(key))
}

pub(crate) fn too_many_parked(plugin: &str, max: u64) -> String {
    format!("BUSY plugin '{plugin}' has {max} parked calls")
}

pub(crate) const PARKS_UNDECLARED: &str = "it parks, and its command is not declared as blocking";
pub(crate) const PARKS_FOR_EVER: &str = "it parks on no key and without a deadline";
pub(crate) const PARKS_ON_MANY: &str = "it parks on too many keys";
pub(crate) const PARKS_ON_FORGED: &str = "the lengths of the keys that it parks on do not add up";
pub(crate) const COMMAND_GONE: &str = "ERR unknown command: its plugin was unloaded";

pub(crate) const REACTION_APPLIES: &str =
    "what is to be done about an event is returned, not applied";

pub(crate) fn event_failed(name: &str, key: &[u8], reason: &str) -> String {
    format!("event '{name}' of key '{}' failed: {}", quoted(key), quoted(reason.as_bytes()))
}

// Quotas as the guest sees them, by their names.

pub(crate) const QUOTA_HOST_CALLS: &str = "budget 'host-calls' of this call is used up";
pub(crate) const QUOTA_BYTES: &str = "budget 'bytes' of this call is used up";

/// What ends a guest that was killed, inside the host.
pub(crate) const TOLD_TO_STOP: &str = "told to stop";

// Loading.

pub(crate) fn bad_name(name: &[u8]) -> String {
    let name = quoted(name);
    format!("ERR invalid plugin name '{name}': up to 64 letters, digits, '.', '_' and '-'")
}

pub(crate) fn already_loaded(name: &str) -> String {
    format!("ERR plugin '{name}' is already loaded, say REPLACE to replace it")
}

pub(crate) fn no_such_plugin(name: &[u8]) -> String {
    format!("ERR no such plugin '{}'", quoted(name))
}

pub(crate) fn no_such_version(name: &str, which: Option<&str>) -> String {
    match which {
        Some(which) => {
            format!("ERR plugin '{name}' has no kept version '{}'", quoted(which.as_bytes()))
        }
        None => format!("ERR plugin '{name}' has no kept version"),
    }
}

pub(crate) fn no_such_digest(digest: &Digest) -> String {
    format!("ERR no component that this server has is {digest}")
}

pub(crate) fn other_digest(found: &Digest, wanted: &Digest) -> String {
    format!("ERR the component is {found}, not {wanted}")
}

pub(crate) fn no_digest(word: &[u8]) -> String {
    format!("ERR '{}' is no digest: sha256: and 64 hexadecimal digits", quoted(word))
}

pub(crate) fn unreadable(path: &str, reason: &str) -> String {
    format!("ERR can't read '{}': {reason}", quoted(path.as_bytes()))
}

pub(crate) fn component_too_large(max: usize) -> String {
    format!("ERR a component may have up to {max} bytes")
}

pub(crate) fn not_a_component(reason: &str) -> String {
    format!("ERR not a component that this server runs: {}", quoted(reason.as_bytes()))
}

pub(crate) const CORE_MODULE: &str = "ERR this is a core module, not a component: \
     wrap it by 'reef plugin build' or 'wasm-tools component new'";

pub(crate) fn compile_timeout(seconds: u64) -> String {
    format!("ERR compiling took longer than {seconds} s")
}

pub(crate) const COMPILER_BUSY: &str = "BUSY another plugin is still being compiled";
pub(crate) const LOADS_BUSY: &str = "BUSY too many plugins are waiting to be loaded";

pub(crate) fn forbidden_import(import: &str) -> String {
    format!("ERR the component imports '{}', which no grant can give", quoted(import.as_bytes()))
}

pub(crate) fn missing_export(export: &str) -> String {
    format!("ERR the component does not export '{export}'")
}

pub(crate) fn wrong_interface(reason: &str) -> String {
    format!(
        "ERR the component speaks another version of the interface: {}",
        quoted(reason.as_bytes())
    )
}

pub(crate) fn describe_failed(reason: &str) -> String {
    format!("ERR describe failed: {}", quoted(reason.as_bytes()))
}

pub(crate) fn bad_manifest(reason: &str) -> String {
    format!("ERR bad manifest: {}", quoted(reason.as_bytes()))
}

pub(crate) fn bad_grant(word: &str) -> String {
    format!("ERR '{}' names no command that can be granted", quoted(word.as_bytes()))
}

pub(crate) fn not_granted(name: &str, missing: &[&str], grant: &[&str]) -> String {
    let missing = quoted(missing.join(" ").as_bytes());
    let grant = quoted(grant.join(" ").as_bytes());
    format!("ERR plugin '{name}' wants {missing}, which it was not granted: say GRANT {grant}")
}

pub(crate) fn not_grantable(name: &str, word: &str) -> String {
    format!("ERR plugin '{name}' wants '{}', which cannot be granted", quoted(word.as_bytes()))
}

/// `owner` is the plugin that has the command; without one it is the server's own, or given twice.
pub(crate) fn command_taken(command: &str, owner: Option<&str>) -> String {
    let command = quoted(command.as_bytes());
    match owner {
        Some(owner) => format!("ERR command '{command}' belongs to plugin '{owner}' already"),
        None => format!("ERR command '{command}' is one of the server's own, or there twice"),
    }
}

pub(crate) const LOAD_PANICKED: &str = "ERR loading failed inside the server";
pub(crate) const STOPPING: &str = "ERR the plugin runtime is stopping";

// PLUGIN's own syntax.

pub(crate) fn unknown_subcommand(word: &[u8]) -> String {
    format!("ERR unknown subcommand '{}'. Try PLUGIN HELP.", quoted(word))
}

pub(crate) fn wrong_arguments(subcommand: &str) -> String {
    format!("ERR wrong number of arguments for 'plugin|{subcommand}' command")
}

pub(crate) const SYNTAX: &str = "ERR syntax error";
pub(crate) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
pub(crate) const NOT_UTF8: &str = "ERR grants and configuration must be UTF-8";

pub(crate) fn unknown_limit(name: &[u8]) -> String {
    format!("ERR unknown limit '{}': cpu-ms, memory, host-calls or bytes", quoted(name))
}

pub(crate) fn limit_out_of_range(name: &str, min: u64, max: u64) -> String {
    format!("ERR limit '{name}' must be between {min} and {max}")
}

pub(crate) fn too_many_words(what: &str, max: usize) -> String {
    format!("ERR up to {max} {what}")
}

/// A quota of the tenant is used up.
pub(crate) fn quota(name: &str, limit: u64) -> String {
    format!("QUOTA quota '{name}' of this tenant is used up (limit {limit})")
}

/// What a tenant hears that names a file.
pub(crate) const FILES_OF_THE_OPERATOR: &str =
    "NOPERM a tenant's plugins come as bytes, or by the word 'bundled'";

/// No plugin of that name came with the server.
pub(crate) fn not_bundled(name: &str) -> String {
    format!("ERR no plugin '{name}' came with this server")
}
