//! What shall go wrong during the next call of a plugin, and what was seen of it.

use std::collections::BTreeMap;

use reef_resp::OwnedArgv;
use reef_transcript::split_args;

use crate::data::Data;

/// What another client does between two host calls of a plugin.
#[derive(Clone, Debug, Default)]
pub struct Race {
    pub(crate) commands: Vec<OwnedArgv>,
}

impl Race {
    /// These command lines, in order. They are quoted as in `redis-cli`, and are no plugin's commands.
    ///
    /// # Panics
    /// When the quotes of a line are not balanced.
    #[must_use]
    pub fn of<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Self {
        let argv = |line: L| {
            let line = line.as_ref();
            let words = split_args(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            words.iter().collect()
        };
        Self { commands: lines.into_iter().map(argv).collect() }
    }
}

/// On which side of a host call the plugin dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before its step: it did not take place.
    Before,
    /// After its step, of which the plugin hears nothing.
    After,
}

/// A kill of a plugin at one of its host calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// At which host call, from 1.
    pub host_call: usize,
    /// On which side of it.
    pub moment: Moment,
    /// How many batches had taken effect.
    pub batches: usize,
}

/// The script of the next call, and what came of it.
#[derive(Default)]
pub(crate) struct Faults {
    /// Before which host call others run what.
    pub(crate) races: BTreeMap<usize, Race>,
    /// Where the plugin dies.
    pub(crate) kill: Option<(usize, Moment)>,
    /// Whether data is looked at around every step.
    pub(crate) watched: bool,
}

impl Faults {
    /// Whether the plugin dies on this side of this host call.
    pub(crate) fn kills(&self, host_call: usize, moment: Moment) -> bool {
        self.kill == Some((host_call, moment))
    }
}

/// What was seen of a call.
#[derive(Default)]
pub(crate) struct Trace {
    /// Host calls so far.
    pub(crate) host_calls: usize,
    /// Batches that took effect.
    pub(crate) batches: usize,
    /// Batches that found their guards stale.
    pub(crate) stale: usize,
    /// Whether it was killed by the script.
    pub(crate) killed: bool,
    /// A step that failed and changed something all the same: the keys.
    pub(crate) torn: Option<String>,
    /// The data after the last batch that took effect, if data is looked at.
    pub(crate) settled: Option<Data>,
}
