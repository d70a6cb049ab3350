//! Snapshots under way while random commands change everything: what was loaded from one equals what
//! there was when it began. Some are told as commands.

use reef_engine::backend::{Batch, Caller, Guards, OnError};
use reef_engine::batch::reply_columns;
use reef_engine::grants::Grants;
use reef_engine::keyspace::Description;
use reef_engine::rdb::Form;
use reef_engine::settings::Settings;
use reef_engine::solo::{Solo, end_file};
use reef_fuzz::choice::Choice;
use reef_resp::{Decoder, Limits, Progress};

use crate::traffic::{Columns, Line, Traffic, argv};

type Content = std::collections::BTreeMap<(u32, Vec<u8>), Description>;

/// Databases that the traffic can reach.
const DATABASES: usize = 3;

/// An engine under traffic.
struct World {
    solo: Solo,
    client: u64,
    shards: usize,
    traffic: Traffic,
    /// The number of the next key of a burst.
    next_key: usize,
    passed_ms: u64,
}

/// A snapshot under way.
struct Saving {
    began_ms: u64,
    as_commands: bool,
    content: Content,
    file: Vec<u8>,
    done: Vec<bool>,
}

/// What happened to snapshots.
#[derive(Debug, Default)]
struct Tally {
    completed: usize,
    abandoned: usize,
    keys: usize,
    pieces: usize,
    ahead_bytes_max: usize,
}

impl World {
    fn new(seed: u64, shards: usize) -> Self {
        let mut solo = Solo::new(seed, shards, Settings::default());
        let client = solo.connect();
        let traffic = Traffic::all(seed);
        Self { solo, client, shards, traffic, next_key: 0, passed_ms: 0 }
    }

    fn run(&mut self, words: &[&str]) {
        let line: Line = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.solo.run(self.client, argv(&line).as_argv());
    }

    /// Does something to the data.
    fn change(&mut self) {
        let number = self.traffic.rng.below(DATABASES).to_string();
        match self.traffic.rng.below(60) {
            0 => self.run(&["FLUSHALL"]),
            1 => self.run(&["FLUSHDB", "ASYNC"]),
            2 => {
                let other = self.traffic.rng.below(DATABASES).to_string();
                self.run(&["SWAPDB", &number, &other]);
            }
            3..6 => self.run(&["SELECT", &number]),
            6 => self.grow(),
            7 => self.shrink(),
            8 => {
                let ms = self.traffic.rng.below(200) as u64;
                self.passed_ms += ms;
                self.solo.advance(ms);
            }
            9..13 => self.batch(),
            _ => {
                let line = self.traffic.line();
                self.solo.run(self.client, argv(&line).as_argv());
            }
        }
    }

    /// Makes many keys, so that tables grow and segments split.
    fn grow(&mut self) {
        for _ in 0..self.traffic.rng.below(1500) {
            let key = format!("burst:{}", self.next_key);
            self.next_key += 1;
            match self.traffic.rng.below(8) {
                0 => self.run(&["SET", &key, "some text", "PX", "300"]),
                1 => self.run(&["RPUSH", &key, "a", "b", "12"]),
                2 => self.run(&["RENAME", &key, "a"]),
                _ => self.run(&["SET", &key, &self.next_key.to_string()]),
            }
        }
    }

    /// Removes and changes many keys, so that segments merge.
    fn shrink(&mut self) {
        for _ in 0..self.next_key.min(2000) {
            let number = self.traffic.rng.below(self.next_key);
            let key = format!("burst:{number}");
            match self.traffic.rng.below(10) {
                0 => self.run(&["SET", &key, "other text"]),
                1 => self.run(&["GETEX", &key, "PX", "100"]),
                2 => self.run(&["GET", &key]),
                // Mostly as long as what is there, which is overwritten in place.
                3..5 => self.run(&["SET", &key, &(number + 2).to_string()]),
                _ => self.run(&["UNLINK", &key]),
            }
        }
    }

    /// A batch, which is mostly taken back.
    fn batch(&mut self) {
        let mut lines = self.traffic.lines(4);
        if self.traffic.rng.below(4) > 0 {
            lines.push(["INCRBY", "a", "many"].map(|word| word.as_bytes().to_vec()).to_vec());
        }
        let columns = Columns::new(&lines);
        let database = self.traffic.rng.below(DATABASES) as u32;
        let caller = Caller { client_id: 1, user: "default".into(), database };
        let batch = Batch {
            guards: Guards::default(),
            commands: columns.borrow(),
            on_error: OnError::RollBack,
            discard_replies: false,
        };
        // Whether it was applied or taken back is all the same here.
        let _ = self.solo.apply(&caller, &Grants::all(), &batch, &mut reply_columns());
    }

    fn begin(&mut self) -> Saving {
        // What 7.0 does not know of streams would be missing.
        let form = self.solo.form();
        let as_commands = self.traffic.rng.below(3) == 0;
        let form = Form { version: form.version.max(11), as_commands, ..form };
        let content = self.solo.digest();
        let file = self.solo.begin_snapshot(form);
        Saving {
            began_ms: self.passed_ms,
            as_commands,
            content,
            file,
            done: vec![false; self.shards],
        }
    }

    /// Takes a piece of some shard.
    fn take_piece(&mut self, saving: &mut Saving) {
        let shard = self.traffic.rng.below(self.shards);
        if !saving.done[shard] {
            let budget = *self.traffic.rng.pick(&[&1, &40, &400, &4000]);
            saving.done[shard] = self.solo.snapshot_piece(shard, budget, &mut saving.file);
        }
    }

    /// Loads a complete snapshot and compares.
    fn complete(&mut self, mut saving: Saving) -> usize {
        let shards = *self.traffic.rng.pick(&[&1, &4]);
        let mut loaded = Solo::new(99, shards, Settings::default());
        loaded.advance(saving.began_ms);
        if saving.as_commands {
            obey(&mut loaded, &saving.file);
            saving.content.values_mut().for_each(forget_untold);
        } else {
            end_file(&mut saving.file);
            let chunk = *self.traffic.rng.pick(&[&1, &100, &65_536]);
            loaded.load(&saving.file, chunk).expect("a file of its own is readable");
        }
        loaded.check();
        let (mut told, wanted) = (loaded.digest(), &saving.content);
        if saving.as_commands {
            told.values_mut().for_each(forget_untold);
        }
        for key in told.keys().chain(wanted.keys()) {
            assert_eq!(told.get(key), wanted.get(key), "{key:?}");
        }
        saving.content.len()
    }
}

/// Runs the commands of a log's base.
fn obey(solo: &mut Solo, base: &[u8]) {
    let link = solo.connect();
    solo.obey(link);
    let (mut rest, mut decoder) = (base, Decoder::new());
    let limits = Limits { bulk_bytes_max: i64::MAX / 2, authenticated: true };
    while let Ok(Progress::Command { used }) = decoder.decode(rest, &limits) {
        let argv = decoder.argv(rest);
        let (reply, _) = solo.run(link, argv);
        assert!(!reply.starts_with(b"-"), "{argv:?}: {}", String::from_utf8_lossy(&reply));
        rest = &rest[used..];
    }
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(rest));
}

/// Leaves out what commands do not tell: when consumers were heard of, and who has what is pending,
/// because entries that are gone cannot be claimed.
fn forget_untold(content: &mut Description) {
    let is_untold = |part: &[u8], text: &[u8]| part.windows(text.len()).any(|part| part == text);
    content.retain(|part| !is_untold(part, b"Times {") && !is_untold(part, b" Some(("));
}

fn story(seed: u64, shards: usize, tally: &mut Tally) {
    let mut world = World::new(seed, shards);
    let mut saving: Option<Saving> = None;
    // How eager the walk is: some snapshots see many changes, others few.
    let mut eagerness = 2;
    for step in 0..400 {
        world.change();
        match saving.take() {
            None if world.traffic.rng.below(10) == 0 => {
                saving = Some(world.begin());
                eagerness = *world.traffic.rng.pick(&[&1, &5, &50]);
            }
            None => {}
            Some(_) if world.traffic.rng.below(60) == 0 => {
                if world.traffic.rng.below(3) > 0 {
                    world.solo.abandon_snapshot();
                } else {
                    // A new one abandons the old one.
                    saving = Some(world.begin());
                }
                tally.abandoned += 1;
            }
            Some(mut under_way) => {
                tally.ahead_bytes_max = tally.ahead_bytes_max.max(world.solo.snapshot_bytes());
                for _ in 0..world.traffic.rng.below(2 * eagerness) {
                    tally.pieces += 1;
                    world.take_piece(&mut under_way);
                }
                if under_way.done.iter().all(|done| *done) {
                    tally.keys += world.complete(under_way);
                    tally.completed += 1;
                    assert_eq!(world.solo.snapshot_bytes(), 0);
                } else {
                    saving = Some(under_way);
                }
            }
        }
        if step % 20 == 0 {
            world.solo.check();
        }
    }
    world.solo.check();
}

#[test]
fn a_snapshot_is_what_there_was_when_it_began() {
    for shards in [1, 8] {
        let mut tally = Tally::default();
        (0..25).for_each(|seed| story(seed, shards, &mut tally));
        assert!(tally.completed > 100 && tally.abandoned > 20, "a dull run: {tally:?}");
        assert!(tally.keys > 10_000 && tally.ahead_bytes_max > 10_000, "a dull run: {tally:?}");
    }
}

#[test]
fn a_group_as_commands_has_who_must_acknowledge_what() {
    let mut world = World::new(5, 1);
    for line in [
        "XADD s 5-1 a 1 b 2",
        "XADD s 5-2 a 1 b 2",
        "XADD s 6-0 other 3",
        "XDEL s 5-2",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s late $ ENTRIESREAD 2",
        "XGROUP CREATECONSUMER s late idle",
        "XREADGROUP GROUP g ann COUNT 1 STREAMS s >",
        "XREADGROUP GROUP g bob STREAMS s >",
        "XCLAIM s g bob 0 5-1 TIME 1700000000000 RETRYCOUNT 7",
        "XGROUP CREATE empty g 0 MKSTREAM",
        "XADD gone 7-7 a b",
        "XTRIM gone MAXLEN 0",
    ] {
        world.run(&line.split(' ').collect::<Vec<_>>());
    }
    let mut base = world.solo.begin_snapshot(Form { as_commands: true, ..Form::DUMP });
    while !world.solo.snapshot_piece(0, 1000, &mut base) {}
    let mut loaded = Solo::new(1, 4, Settings::default());
    obey(&mut loaded, &base);
    let told = |solo: &Solo| {
        let mut content: Content = solo.digest();
        for part in content.values_mut() {
            part.retain(|part| !part.starts_with(b"Times {"));
        }
        content
    };
    assert_eq!(told(&loaded), told(&world.solo));
    assert_eq!(told(&loaded).len(), 3);
}

#[test]
fn snapshots_abandoned_again_and_again_do_no_harm() {
    let mut world = World::new(3, 2);
    (0..3000).for_each(|key| world.run(&["SET", &format!("key:{key}"), "v"]));
    for round in 0..100 {
        let mut saving = world.begin();
        for _ in 0..3 {
            world.take_piece(&mut saving);
        }
        world.run(&["SET", &format!("key:{round}"), "changed"]);
        world.run(&["SET", &format!("new:{round}"), "v"]);
        world.solo.check();
        if round % 3 == 0 {
            world.solo.abandon_snapshot();
        }
    }
    world.solo.abandon_snapshot();
    let mut saving = world.begin();
    while saving.done.contains(&false) {
        world.take_piece(&mut saving);
    }
    assert_eq!(world.complete(saving), 3100);
}
