//! Stories from seeds, for a while: see the crate's header for what the environment can change.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What makes a guarantee false, so that a test that relies on it must fail (`REEF_HISTORY_SABOTAGE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// `tail`: the end of the log is cut off while the server is down.
    Tail,
    /// `replica`: some reads go to the replica.
    Replica,
    /// `acknowledgement`: clients take it that a replica has what they wrote without asking.
    Acknowledgement,
    /// `writable`: one write reaches a replica past its primary.
    Writable,
}

impl Sabotage {
    /// Whether the environment asks for it.
    ///
    /// # Panics
    /// If it asks for what there is not.
    #[must_use]
    pub fn is_on(self) -> bool {
        let Ok(text) = std::env::var("REEF_HISTORY_SABOTAGE") else { return false };
        let asked = match &*text {
            "tail" => Self::Tail,
            "replica" => Self::Replica,
            "acknowledgement" => Self::Acknowledgement,
            "writable" => Self::Writable,
            _ => panic!("REEF_HISTORY_SABOTAGE knows no {text}"),
        };
        asked == self
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Until when stories are told.
#[must_use]
pub fn time() -> Duration {
    Duration::from_secs(number("REEF_HISTORY_SECONDS").unwrap_or(3))
}

/// Plays one story after the other for a while, at least one; panics with what reproduces a failure.
///
/// # Panics
/// If a story does.
#[expect(clippy::print_stderr, reason = "a failure must say how to see it again")]
#[expect(clippy::print_stdout, reason = "how much was judged is what a long run is for")]
pub fn play(name: &str, mut story: impl FnMut(u64) -> String) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let only = number("REEF_HISTORY_SEED");
    let mut seed = only.unwrap_or(since.as_millis() as u64);
    let end = Instant::now() + time();
    loop {
        match catch_unwind(AssertUnwindSafe(|| story(seed))) {
            Ok(told) => println!("{name}, seed {seed}: {told}"),
            Err(panic) => {
                eprintln!(
                    "{name} failed: REEF_HISTORY_SEED={seed} cargo test -p reef-histories {name}"
                );
                resume_unwind(panic);
            }
        }
        seed = seed.wrapping_add(1);
        if only.is_some() || Instant::now() >= end {
            return;
        }
    }
}
