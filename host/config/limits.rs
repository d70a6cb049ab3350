//! Values with a structure of their own: snapshot points, output buffer limits.

use super::number;
use super::value::{Refusal, Value};

/// "Write a snapshot if at least so many changes happened within so many seconds."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// The time, at least one second.
    pub seconds: u64,
    /// The number of changes.
    pub changes: u64,
}

impl SavePoint {
    pub(super) fn read(words: &[Vec<u8>]) -> Result<Vec<Self>, Refusal> {
        let invalid = || "Invalid save parameters".to_owned();
        if words == [b""] {
            return Ok(Vec::new());
        }
        let (pairs, []) = words.as_chunks::<2>() else { return Err(invalid()) };
        let read = |[seconds, changes]: &[Vec<u8>; 2]| {
            let seconds = number::integer(seconds).filter(|&number| number >= 1)?;
            let changes = number::integer(changes).and_then(|number| u32::try_from(number).ok())?;
            let within_int = i32::try_from(changes).is_ok();
            within_int.then_some(Self { seconds: seconds.unsigned_abs(), changes: changes.into() })
        };
        pairs.iter().map(|pair| read(pair).ok_or_else(invalid)).collect()
    }

    pub(super) fn show(points: &[Self]) -> String {
        let show = |point: &Self| format!("{} {}", point.seconds, point.changes);
        points.iter().map(show).collect::<Vec<_>>().join(" ")
    }
}

/// When a client whose replies pile up is disconnected. Zero means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BufferLimit {
    /// At this many bytes, at once.
    pub hard_bytes: u64,
    /// At this many bytes, after `soft_seconds`.
    pub soft_bytes: u64,
    /// How long the soft limit may be exceeded.
    pub soft_seconds: u64,
}

impl BufferLimit {
    fn show(&self) -> String {
        format!("{} {} {}", self.hard_bytes, self.soft_bytes, self.soft_seconds)
    }
}

/// [`BufferLimit`]s by class of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BufferLimits {
    /// Ordinary clients.
    pub normal: BufferLimit,
    /// Replicas.
    pub replica: BufferLimit,
    /// Clients in subscribed mode.
    pub pubsub: BufferLimit,
}

impl BufferLimits {
    /// Changes the classes that are named, in groups of `class hard soft seconds`.
    pub(super) fn change(&mut self, words: &[Vec<u8>]) -> Result<(), Refusal> {
        let (groups, []) = words.as_chunks::<4>() else {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        };
        for [class, hard, soft, seconds] in groups {
            let limit = match class.to_ascii_lowercase().as_slice() {
                b"normal" => &mut self.normal,
                b"slave" | b"replica" => &mut self.replica,
                b"pubsub" => &mut self.pubsub,
                _ => {
                    return Err(
                        "Invalid client class specified in buffer limit configuration.".to_owned()
                    );
                }
            };
            let read = || {
                Some(BufferLimit {
                    hard_bytes: number::bytes(hard)?,
                    soft_bytes: number::bytes(soft)?,
                    soft_seconds: u64::try_from(number::integer(seconds)?).ok()?,
                })
            };
            *limit = read().ok_or(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            )?;
        }
        Ok(())
    }

    pub(super) fn show(&self) -> String {
        let [normal, replica, pubsub] = [self.normal, self.replica, self.pubsub].map(|l| l.show());
        format!("normal {normal} slave {replica} pubsub {pubsub}")
    }

    pub(super) fn lines(&self, name: &str, default: &Value) -> Vec<(String, bool)> {
        let default = match default {
            Value::BufferLimits(limits) => *limits,
            _ => Self::default(),
        };
        [
            ("normal", self.normal, default.normal),
            ("replica", self.replica, default.replica),
            ("pubsub", self.pubsub, default.pubsub),
        ]
        .map(|(class, limit, default)| {
            let (hard, soft) = (limit.hard_bytes, limit.soft_bytes);
            let (hard, soft) = (number::show_bytes(hard), number::show_bytes(soft));
            (format!("{name} {class} {hard} {soft} {}", limit.soft_seconds), limit != default)
        })
        .to_vec()
    }
}
