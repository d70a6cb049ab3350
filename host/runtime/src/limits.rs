//! What a plugin may use. One struct holds all of it; every limit has a default, bounds and a name
//! (`PLUGIN LOAD ... LIMIT name value`), and a test at the limit.

use std::time::Duration;

use crate::texts;

/// Budgets of one plugin. All but `memory_bytes` are per call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds of CPU a call may take.
    pub cpu_ms: u32,
    /// Bytes of memory that an instance may have.
    pub memory_bytes: u64,
    /// How often a call may call the host.
    pub host_calls: u32,
    /// Bytes that a call may move across the border.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cpu_ms: 50, memory_bytes: 64 << 20, host_calls: 10_000, bytes: 16 << 20 }
    }
}

impl Limits {
    /// All of them by name, as after `LIMIT`.
    pub(crate) fn words(&self) -> [(&'static str, String); 4] {
        [
            ("cpu-ms", self.cpu_ms.to_string()),
            ("memory", self.memory_bytes.to_string()),
            ("host-calls", self.host_calls.to_string()),
            ("bytes", self.bytes.to_string()),
        ]
    }

    /// Sets the limit of this name. The error says what is wrong, as a client sees it.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), String> {
        let name = name.to_ascii_lowercase();
        match name.as_slice() {
            b"cpu-ms" => self.cpu_ms = number("cpu-ms", value, 1, 60_000)?,
            b"memory" => self.memory_bytes = size("memory", value, 64 << 10, 4 << 30)?,
            b"host-calls" => self.host_calls = number("host-calls", value, 1, 100_000_000)?,
            b"bytes" => self.bytes = size("bytes", value, 1 << 10, 1 << 30)?,
            _ => return Err(texts::unknown_limit(&name)),
        }
        Ok(())
    }
}

fn number(name: &str, value: &[u8], min: u32, max: u32) -> Result<u32, String> {
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    parsed
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| texts::limit_out_of_range(name, min.into(), max.into()))
}

/// A number of bytes with the units of redis.conf: `k`, `kb`, `m`, `mb`, `g`, `gb`.
fn size(name: &str, value: &[u8], min: u64, max: u64) -> Result<u64, String> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = value.split_at(digits);
    let factor: Option<u64> = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => Some(1),
        b"k" => Some(1_000),
        b"kb" => Some(1 << 10),
        b"m" => Some(1_000_000),
        b"mb" => Some(1 << 20),
        b"g" => Some(1_000_000_000),
        b"gb" => Some(1 << 30),
        _ => None,
    };
    let number: Option<u64> = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
    factor
        .zip(number)
        .and_then(|(factor, number)| number.checked_mul(factor))
        .filter(|bytes| (min..=max).contains(bytes))
        .ok_or_else(|| texts::limit_out_of_range(name, min, max))
}

/// Epoch ticks after which a call that still runs leaves the caller's thread. A tick is a
/// millisecond there, so the first slice is one to two of them.
pub(crate) const SLICE_TICKS: u64 = 2;
/// CPU time that a call may use beyond its first slice on the caller's thread: what is shorter was
/// interrupted rather than long.
pub(crate) const INTERRUPTED_MAX: Duration = Duration::from_millis(1);
/// Epoch ticks of every further slice: the next one ends it.
pub(crate) const FURTHER_SLICE_TICKS: u64 = 1;
/// Calls of one plugin that may overstay at the same time.
pub(crate) const OVERSTAYING_PER_PLUGIN_MAX: u32 = 64;
/// Calls of one plugin that may wait to begin on the threads of those that overstay ...
pub(crate) const APART_PER_PLUGIN_MAX: u32 = 16_384;
/// ... and how many bytes the arguments of each may have: longer ones begin on their callers' threads.
pub(crate) const APART_BYTES_MAX: usize = 4 << 10;
/// Calls of one plugin that may be parked at the same time.
pub(crate) const PARKED_PER_PLUGIN_MAX: u64 = 100_000;
/// Keys that one call may be parked on.
pub(crate) const KEYS_PER_PARK_MAX: usize = 1_024;
/// Triggers of one plugin, and names of events of one trigger.
pub(crate) const TRIGGERS_MAX: usize = 64;
/// Keys whose plugin is told when one client goes.
pub(crate) const LIFELINES_PER_CLIENT_MAX: usize = 1_024;
/// Bytes of such a key.
pub(crate) const LIFELINE_BYTES_MAX: usize = 1_024;
/// Events of one plugin that may wait in memory before writes are refused.
pub(crate) const EVENTS_WAITING_MAX: u64 = 10_000;
/// Events of one plugin that may wait in its stream before writes are refused.
pub(crate) const EVENTS_STORED_MAX: u64 = 100_000;
/// How often a durable event is tried before it goes to the plugin's stream of dead letters.
pub(crate) const EVENT_ATTEMPTS_MAX: u32 = 5;
/// Instances of one plugin, busy and idle.
pub(crate) const INSTANCES_PER_PLUGIN_MAX: u32 = 128;
/// Calls after which an instance is replaced by a fresh one.
pub(crate) const CALLS_PER_INSTANCE_MAX: u32 = 100_000;
/// Growth of an instance's memory after which it is replaced: guest memory never shrinks.
pub(crate) const GROWTH_PER_INSTANCE_MAX: u64 = 16 << 20;
/// Capacity that buffers of an idle instance or thread may keep.
pub(crate) const IDLE_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Largest component that is compiled.
pub(crate) const COMPONENT_BYTES_MAX: usize = 64 << 20;
/// Requests to load or unload that may wait for their turn.
pub(crate) const LOADS_WAITING_MAX: usize = 8;
/// Elements that an instance's tables may have together.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 100_000;
/// Core instances that one component may consist of.
pub(crate) const CORE_INSTANCES_MAX: usize = 200;
/// Linear memories and tables that one component may have.
pub(crate) const MEMORIES_MAX: usize = 64;
/// Deepest nesting of a handler's reply.
pub(crate) const REPLY_DEPTH_MAX: usize = 32;
/// Longest code and message of a handler's error, in bytes.
pub(crate) const ERROR_BYTES_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_set_by_its_name_within_its_bounds() {
        let mut limits = Limits::default();
        limits.set(b"CPU-MS", b"7").unwrap();
        limits.set(b"memory", b"2mb").unwrap();
        limits.set(b"host-calls", b"9").unwrap();
        limits.set(b"bytes", b"4096").unwrap();
        let expected = Limits { cpu_ms: 7, memory_bytes: 2 << 20, host_calls: 9, bytes: 4096 };
        assert_eq!(limits, expected);
        let mut again = Limits::default();
        for (name, value) in limits.words() {
            again.set(name.as_bytes(), value.as_bytes()).unwrap();
        }
        assert_eq!(again, expected);
        for (name, value) in [
            (b"cpu-ms".as_slice(), b"0".as_slice()),
            (b"cpu-ms", b"60001"),
            (b"cpu-ms", b"-1"),
            (b"cpu-ms", b""),
            (b"memory", b"1kb"),
            (b"memory", b"5gb"),
            (b"memory", b"99999999999999999999gb"),
            (b"memory", b"64 mb"),
            (b"bytes", b"mb"),
            (b"fuel", b"1"),
        ] {
            assert!(limits.set(name, value).is_err(), "{}", name.escape_ascii());
        }
        assert_eq!(limits, expected);
    }
}
