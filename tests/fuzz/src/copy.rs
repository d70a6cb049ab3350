//! A copy of an engine's data, kept by running its effects: what a replica does, or a log when it is
//! loaded. It obeys: it removes nothing by itself, and nothing is a reason to refuse anything.

use std::collections::BTreeSet;

use reef_engine::effects::{Audience, Effect, Effects};
use reef_engine::gates::Conditions;
use reef_engine::settings::Settings;
use reef_engine::solo::{Digest, Solo};
use reef_resp::OwnedArgv;
use reef_transcript::{Reply, decode};

/// The words of an effect.
#[must_use]
pub fn words(effect: &Effect<'_>) -> Vec<Vec<u8>> {
    let decoded = decode(effect.bytes).expect("an effect is RESP");
    let Some((Reply::Array(items), used)) = decoded else { panic!("{effect:?} is no command") };
    assert_eq!(used, effect.bytes.len(), "one command");
    let word = |item| match item {
        Reply::Bulk(word) => word,
        other => panic!("{other:?} is no word"),
    };
    items.into_iter().map(word).collect()
}

/// An engine that runs the effects of another one.
pub struct Copy {
    solo: Solo,
    link: u64,
    database: u32,
    /// The command that it never hears of.
    pub deaf_to: Option<&'static str>,
    /// How many commands it heard.
    pub heard: usize,
}

impl Copy {
    /// An empty one, whose clock stands so much ahead.
    #[must_use]
    pub fn new(seed: u64, shards: usize, clock_ms: u64, settings: Settings) -> Self {
        let mut solo = Solo::new(seed, shards, settings);
        solo.keep_effects();
        solo.set_conditions(Conditions {
            readonly_replica: true,
            out_of_memory: true,
            ..Conditions::default()
        });
        solo.advance(clock_ms);
        let link = solo.connect();
        solo.obey(link);
        Self { solo, link, database: 0, deaf_to: None, heard: 0 }
    }

    /// Runs what its primary, or who operates it, says.
    pub fn run(&mut self, line: &[Vec<u8>]) {
        let argv: OwnedArgv = line.iter().collect();
        let (reply, open) = self.solo.run(self.link, argv.as_argv());
        assert!(reply.is_empty() && open, "nobody waits for replies: {line:?}");
    }

    /// Takes the data of a file for its own.
    ///
    /// # Panics
    /// The file is broken.
    pub fn begin_again(&mut self, file: &[u8]) {
        self.send(&["FLUSHALL"]);
        self.solo.load(file, file.len()).expect("a file that can be loaded");
    }

    /// What it holds, apart from what nobody tells it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        essence(self.solo.digest_with_expired())
    }

    fn send(&mut self, words: &[&str]) {
        let line: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.run(&line);
    }

    /// What it would tell copies of its own.
    pub fn take_effects(&mut self) -> Effects {
        self.solo.take_effects()
    }

    /// Recounts what the engine claims about itself; panics on a contradiction.
    pub fn check(&self) {
        self.solo.check();
    }

    /// Runs effects, each unit as a whole.
    pub fn replay(&mut self, effects: &Effects) {
        for unit in effects.units() {
            let commands: Vec<_> = unit.commands().collect();
            assert!(!commands.is_empty());
            if commands.len() > 1 {
                self.send(&["MULTI"]);
            }
            for effect in &commands {
                let line = words(effect);
                let is_message = line[0].to_ascii_uppercase().ends_with(b"PUBLISH");
                assert_eq!(effect.audience == Audience::ReplicasOnly, is_message, "{line:?}");
                if self.deaf_to.is_some_and(|name| line[0].eq_ignore_ascii_case(name.as_bytes())) {
                    continue;
                }
                if self.database != effect.database {
                    self.database = effect.database;
                    self.send(&["SELECT", &effect.database.to_string()]);
                }
                self.heard += 1;
                self.run(&line);
            }
            if commands.len() > 1 {
                self.send(&["EXEC"]);
            }
        }
    }
}

/// The keys whose content differs, with what it is here and there.
#[must_use]
pub fn differences(expected: &Digest, found: &Digest) -> Vec<String> {
    let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    keys.into_iter()
        .filter(|key| expected.get(*key) != found.get(*key))
        .map(|key| {
            let [here, there] = [expected, found].map(|digest| format!("{:?}", digest.get(key)));
            format!("{key:?}\n{here:.600}\n{there:.600}")
        })
        .collect()
}

/// What is to be equal: all but when consumers of streams were last seen, which Redis does not tell
/// its replicas either.
#[must_use]
pub fn essence(mut digest: Digest) -> Digest {
    digest.values_mut().for_each(|content| content.retain(|told| !told.starts_with(b"Times {")));
    digest
}
