//! Effects bring copies to the same data: random clients on one engine, its effects replayed into
//! others that have another number of shards, other hashes, other random numbers and another clock.
//!
//! The clients wait, transact, watch and hang up; batches are rolled back, keys expire, give way and
//! are flushed. A copy obeys: it removes nothing by itself. What is not compared is when consumers of
//! streams were last seen, which Redis does not tell its replicas either.

use reef_engine::backend::{Batch, Caller, Guards, OnError, StepError};
use reef_engine::batch::reply_columns;
use reef_engine::effects::Effect;
use reef_engine::grants::Grants;
use reef_engine::keyspace::Policy;
use reef_engine::settings::{Lazy, Settings};
use reef_engine::solo::Solo;
use reef_engine::tenancy::MemoryQuota;
use reef_fuzz::choice::Choice;
use reef_fuzz::copy::{Copy, differences, essence, words};

use crate::traffic::{Columns, Line, Traffic, argv};

/// Databases that the traffic can reach.
const DATABASES: usize = 3;

/// Commands that wait, that read for groups, and that are told without a change.
const MORE: &[&str] = &[
    "BLPOP K K 0.1",
    "BRPOP K 0.2",
    "BLMOVE K K LEFT RIGHT 0.1",
    "BRPOPLPUSH K K 0.1",
    "BLMPOP 0.1 2 K K RIGHT COUNT 2",
    "BZPOPMIN K K 0.1",
    "BZPOPMAX K 0.1",
    "BZMPOP 0.1 2 K K MAX COUNT 2",
    "XREADGROUP GROUP g C COUNT N STREAMS s >",
    "XREADGROUP GROUP G C COUNT 2 BLOCK 100 STREAMS s t > >",
    "XREADGROUP GROUP g C NOACK COUNT 2 STREAMS t >",
    "XREADGROUP GROUP g C COUNT N STREAMS s 0",
    "XREAD BLOCK 50 STREAMS s $",
    "XGROUP CREATE s g 0 MKSTREAM",
    "XGROUP CREATE t g $ MKSTREAM",
    "XGROUP SETID s g 0",
    "XADD s * M V",
    "XADD t N-* M V",
    "XADD t * M V",
    "XADD s MAXLEN ~ 8 * M V",
    "XADD s MINID ~ X LIMIT N * M V",
    "XTRIM s MAXLEN ~ N LIMIT 3",
    "XAUTOCLAIM s g C N - COUNT 3",
    "XAUTOCLAIM t g C 0 - JUSTID",
    "XCLAIM t g C 0 X X FORCE LASTID X",
    "HSET hash M V M V M V",
    "HPEXPIRE hash T FIELDS 3 a b c",
    "HPEXPIRE hash T GT FIELDS 3 d e f",
    "HINCRBYFLOAT hash M F",
    "HEXPIREAT hash 1 FIELDS 1 M",
    "SPOP K N",
    "SUNIONSTORE K K K",
    "PEXPIRE K 5",
    "SADD K M M M M",
    "PUBLISH K V",
    "FLUSHDB",
];

fn settings(lazy: bool) -> Settings {
    let mut settings = Settings { debug_commands: true, ..Settings::default() };
    settings.eviction.policy = Policy::AllkeysRandom;
    settings.limits.stream_node_entries_max = 2;
    settings.lazy = Lazy { expire: lazy, eviction: lazy, server_del: lazy, ..Lazy::default() };
    settings
}

fn copy(seed: u64, shards: usize, clock_ms: u64) -> Copy {
    Copy::new(seed, shards, clock_ms, settings(false))
}

/// What a client hears that exceeds its quota.
const OVER: &[u8] = b"-OOM quota 'memory' of this tenant is used up";

/// Random clients of one engine.
struct Story {
    solo: Solo,
    traffic: Traffic,
    clients: Vec<u64>,
    told: Vec<String>,
    /// How often a quota was in the way.
    refused: usize,
    /// Whether what was refused is looked at: where nothing that is due stays.
    is_compared: bool,
    /// The most that the data took.
    peak_bytes: usize,
}

impl Story {
    fn new(seed: u64, shards: usize) -> Self {
        let mut solo = Solo::new(seed, shards, settings(seed % 2 == 1));
        solo.keep_effects();
        let clients = (0..4).map(|_| solo.connect()).collect();
        Self {
            solo,
            traffic: Traffic::all(seed).with(MORE),
            clients,
            told: Vec::new(),
            refused: 0,
            is_compared: false,
            peak_bytes: 0,
        }
    }

    fn line(&mut self, client: u64, line: &Line) {
        self.told.push(String::from_utf8_lossy(&line.join(&b' ')).into_owned());
        let before = self.is_compared.then(|| {
            // Nothing is due that the command would find gone.
            self.solo.advance(0);
            self.solo.digest()
        });
        let (reply, _) = self.solo.run(client, argv(line).as_argv());
        if let Some(before) = before.filter(|_| reply.starts_with(OVER)) {
            assert_eq!(before, self.solo.digest(), "{:?}", self.told.last());
        }
        self.refused += usize::from(reply.windows(OVER.len()).any(|window| window == OVER));
        self.peak_bytes = self.peak_bytes.max(self.solo.data_bytes());
    }

    fn say(&mut self, client: u64, words: &[&str]) {
        self.line(client, &words.iter().map(|word| word.as_bytes().to_vec()).collect());
    }

    fn expire_actively(&mut self, on: bool) {
        let operator = self.solo.connect();
        self.say(operator, &["DEBUG", "SET-ACTIVE-EXPIRE", if on { "1" } else { "0" }]);
        self.solo.disconnect(operator);
        self.solo.advance(0);
    }

    fn batch(&mut self) {
        let database = self.traffic.rng.below(DATABASES) as u32;
        let mut lines = Vec::new();
        let count = 1 + self.traffic.rng.below(6);
        while lines.len() < count {
            let line = self.traffic.line();
            let barred: [&[u8]; 4] = [b"XREAD", b"XREADGROUP", b"PUBLISH", b"FLUSHDB"];
            if !line[0].starts_with(b"B") && !barred.contains(&line[0].as_slice()) {
                lines.push(line);
            }
        }
        if self.traffic.rng.below(2) == 0 {
            lines.push(["INCRBY", "a", "many"].map(|word| word.as_bytes().to_vec()).to_vec());
        }
        let on_error =
            if self.traffic.rng.below(3) == 0 { OnError::KeepGoing } else { OnError::RollBack };
        let columns = Columns::new(&lines);
        let batch = Batch {
            guards: Guards::default(),
            commands: columns.borrow(),
            on_error,
            discard_replies: true,
        };
        let caller = Caller { client_id: 1, user: "default".into(), database };
        let outcome = self.solo.apply(&caller, &Grants::all(), &batch, &mut reply_columns());
        self.refused += usize::from(matches!(outcome, Err(StepError::QuotaExceeded(_))));
        let shown: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(&line.join(&b' ')).into_owned())
            .collect();
        self.told.push(format!("batch in {database} {outcome:?}: {shown:?}"));
    }

    fn step(&mut self) {
        let at = self.traffic.rng.below(self.clients.len());
        let client = self.clients[at];
        match self.traffic.rng.below(40) {
            0 => {
                let database = self.traffic.rng.below(DATABASES).to_string();
                self.say(client, &["SELECT", &database]);
            }
            1 => {
                let database = self.traffic.rng.below(DATABASES).to_string();
                self.say(client, &["SWAPDB", "0", &database]);
            }
            2 => {
                self.solo.disconnect(client);
                self.clients[at] = self.solo.connect();
            }
            3..6 => {
                self.say(client, &["WATCH", "a"]);
                self.say(client, &["MULTI"]);
                for _ in 0..4 {
                    let line = self.traffic.line();
                    self.line(client, &line);
                }
                self.say(client, &["EXEC"]);
            }
            6..10 => {
                let pause_ms = self.traffic.rng.below(150) as u64;
                self.told.push(format!("+{pause_ms} ms"));
                self.solo.advance(pause_ms);
            }
            10 => {
                self.told.push("eviction".to_owned());
                self.solo.evict();
            }
            11..15 => self.batch(),
            _ => {
                let line = self.traffic.line();
                self.line(client, &line);
            }
        }
    }
}

/// Plays a story and replays its effects now and then; gives whether all copies ended as it did.
fn play(seed: u64, shards: usize, copies: &mut [Copy]) -> bool {
    play_story(&mut Story::new(seed, shards), seed, copies)
}

fn play_story(story: &mut Story, seed: u64, copies: &mut [Copy]) -> bool {
    const ROUNDS: usize = 60;
    const STEPS: usize = 15;
    for _ in 0..ROUNDS {
        let before = story.told.len();
        // In half of the stories nobody removes what is due before somebody meets it.
        story.expire_actively(seed % 4 < 2);
        (0..STEPS).for_each(|_| story.step());
        story.expire_actively(true);
        let effects = story.solo.take_effects();
        let expected = essence(story.solo.digest_with_expired());
        for copy in copies.iter_mut() {
            copy.replay(&effects);
            let found = copy.digest();
            if copy.deaf_to.is_none() && expected != found {
                let differ = differences(&expected, &found);
                let units: Vec<Vec<String>> = effects
                    .units()
                    .map(|unit| {
                        let shown = |effect: Effect<'_>| {
                            let line = words(&effect).join(&b' ');
                            format!("{} {}", effect.database, String::from_utf8_lossy(&line))
                        };
                        unit.commands().map(shown).collect()
                    })
                    .collect();
                panic!("seed {seed}\n{differ:#?}\n{:#?}\n{units:#?}", &story.told[before..]);
            }
            if expected != found {
                return false;
            }
        }
    }
    story.solo.check();
    copies.iter().for_each(|copy| copy.check());
    true
}

const DAY_MS: u64 = 86_400_000;

#[test]
fn effects_bring_copies_to_the_same_data() {
    for seed in 0..24 {
        for (shards, other) in [(1, 8), (8, 1)] {
            let mut copies = [copy(seed + 1000, other, 0), copy(7, 4, 10 * DAY_MS)];
            assert!(play(seed, shards, &mut copies));
            assert!(copies.iter().all(|copy| copy.heard > 200), "a dull run");
            // What a copy says for its own log is as good.
            let mut second = copy(seed + 2000, shards, DAY_MS);
            second.replay(&copies[0].take_effects());
            assert_eq!(copies[0].digest(), second.digest(), "seed {seed}");
        }
    }
}

/// Most stories without one take more than this.
const QUOTA: MemoryQuota = MemoryQuota { limit: 5_000, slack: 1_000 };

#[test]
fn what_a_quota_took_back_has_no_effect() {
    let mut refused = 0;
    for seed in 0..24 {
        for (shards, other) in [(1, 8), (8, 1)] {
            let mut copies = [copy(seed + 1000, other, 0)];
            let mut story = Story::new(seed, shards);
            story.is_compared = seed % 4 < 2;
            story.solo = {
                let memory_quota = Some(QUOTA);
                Solo::new(seed, shards, Settings { memory_quota, ..settings(seed % 2 == 1) })
            };
            story.solo.keep_effects();
            story.clients = (0..4).map(|_| story.solo.connect()).collect();
            assert!(play_story(&mut story, seed, &mut copies));
            refused += story.refused;
            // Tables that have grown stay as they are, and nobody refuses what a waiter is served.
            assert!(story.peak_bytes < QUOTA.most() + 3_000, "{} bytes", story.peak_bytes);
        }
    }
    assert!(refused > 1000, "{refused} refused: a dull run");
}

#[test]
fn a_copy_that_misses_one_kind_of_effect_differs() {
    let names = [
        "SET",
        "DEL",
        "UNLINK",
        "PEXPIREAT",
        "PERSIST",
        "HDEL",
        "HPEXPIREAT",
        "HSET",
        "SREM",
        "LPOP",
        "RPOP",
        "LMOVE",
        "RPOPLPUSH",
        "ZPOPMIN",
        "ZPOPMAX",
        "zadd",
        "XADD",
        "XTRIM",
        "XCLAIM",
        "XGROUP",
        "RESTORE",
        "COPY",
        "MOVE",
        "RENAME",
        "SWAPDB",
        "FLUSHDB",
    ];
    for name in names {
        let same = |seed: &u64| {
            let mut copy = copy(seed + 1000, 8, 0);
            copy.deaf_to = Some(name);
            play(*seed, 1, &mut [copy])
        };
        assert!(!(0..60).all(|seed| same(&seed)), "nothing is missed without {name}");
    }
}
