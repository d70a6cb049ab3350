//! Random commands of several clients against an engine in process: as the table's usage lines have
//! them or nearly so, with hostile values, in transactions and in plugins' batches, while clients
//! wait, listen and track, users change and time jumps.
//!
//! After every command: what was sent is RESP, there is one reply or the client waits for it, the
//! recounts agree, and neither time nor memory is out of proportion. Now and then, what has happened
//! leads a copy to the same data. In the end everybody who waited has got the reply. What the replies
//! say is not judged here.

use std::collections::VecDeque;

use reef_engine::backend::{Batch, Caller, CommandColumns, Guards, OnError, StepError};
use reef_engine::batch::reply_columns;
use reef_engine::command::Command;
use reef_engine::grants::Grants;
use reef_engine::settings::Settings;
use reef_engine::solo::Solo;
use reef_resp::OwnedArgv;
use reef_transcript::{Reply, decode};

use crate::choice::{Choice, Source};
use crate::copy::{Copy, differences, essence};
use crate::measure::Measure;
use crate::walk;
use crate::words::Words;

/// A command, its name first.
type Line = Vec<Vec<u8>>;

/// Longest string: what a command may ask for at once.
const STRING_BYTES_MAX: usize = 1 << 20;
/// No pause but those without end is longer.
const PAUSE_MS_MAX: u64 = 1_000_000_000_000;
/// Commands that are shown when something fails.
const SHOWN: usize = 30;
/// Elements that one command puts into a collection at once.
const CROWD_MAX: usize = 400;

/// What changes the state of a connection, more often than the table alone would.
const SESSION: &[&str] = &[
    "MULTI",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH str1 list1 hash1",
    "HELLO 2",
    "HELLO 3",
    "SUBSCRIBE c d",
    "PSUBSCRIBE *",
    "UNSUBSCRIBE",
    "RESET",
    "SELECT 0",
    "SELECT 1",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING ON BCAST PREFIX s PREFIX h",
    "CLIENT TRACKING ON OPTIN",
    "CLIENT TRACKING OFF",
    "CLIENT CACHING YES",
    "CONFIG SET notify-keyspace-events KEA",
    "BLPOP list0 list1 1",
    "BLMOVE list0 list1 LEFT RIGHT 0",
    "BZPOPMIN zset0 zset1 0",
    "XREADGROUP GROUP g alice BLOCK 0 STREAMS stream0 stream1 > >",
    "XGROUP CREATE stream0 g $ MKSTREAM",
    "XGROUP CREATE stream1 g 0",
    "ACL SETUSER default reset on nopass ~* &* +@all",
    "AUTH alice pw",
    "CLIENT PAUSE 50 WRITE",
    "CLIENT UNPAUSE",
    "FLUSHALL",
    "REPLICAOF NO ONE",
    "REPLCONF ACK 1",
    "WAIT 1 50",
    "SAVE",
    "SWAPDB 0 1",
    "DUMP list1",
    "DUMP hash1",
    "DUMP stream1",
];

/// Containers that are fuzzed elsewhere, take time on purpose, or would unmake the bounds. A server
/// that became a replica would refuse most of what comes.
fn is_wanted(command: &Command) -> bool {
    const UNWANTED: &[&str] = &["SHUTDOWN", "LOLWUT", "PFSELFTEST", "REPLICAOF", "SLAVEOF"];
    !UNWANTED.contains(&&*command.name) && command.subcommands().is_empty()
}

/// A connection.
struct Guest {
    id: u64,
    /// Whether it gets one reply per command, and nothing else but pushes.
    is_plain: bool,
    /// Commands that it waits for.
    owed: usize,
}

struct Story<'a> {
    solo: Solo,
    guests: Vec<Guest>,
    words: Words<'a>,
    commands: Vec<&'static Command>,
    latest: VecDeque<String>,
    /// Runs the effects.
    copy: Copy,
    /// Whether something was done that copies are not told.
    is_apart: bool,
}

/// Plays a story of random commands.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let shards = [1, 8][source.below(2)];
    let settings = Settings {
        debug_commands: true,
        string_bytes_max: STRING_BYTES_MAX,
        ..Settings::default()
    };
    let mut story = Story {
        copy: Copy::new(8, 4, 0, settings.clone()),
        solo: Solo::new(7, shards, settings),
        guests: Vec::new(),
        words: Words::new(source),
        commands: Command::natives_and_subcommands()
            .map(|(_, command)| command)
            .filter(|command| is_wanted(command))
            .collect(),
        latest: VecDeque::new(),
        is_apart: false,
    };
    story.solo.keep_effects();
    (0..4).for_each(|_| story.connect());
    while !story.words.source.is_empty() {
        story.step();
    }
    story.end();
}

impl Story<'_> {
    fn connect(&mut self) {
        self.guests.push(Guest { id: self.solo.connect(), is_plain: true, owed: 0 });
    }

    fn step(&mut self) {
        let guest = self.words.source.below(self.guests.len());
        match self.words.source.below(32) {
            0 => {
                let ms = *self.words.source.pick(&[&1_u64, &10, &1000, &100_000, &10_000_000_000]);
                self.note(format!("+{ms} ms"));
                self.solo.advance(ms);
            }
            1 if self.words.source.one_in(4) => {
                self.solo.disconnect(self.guests.swap_remove(guest).id);
                self.connect();
            }
            1 | 2 => self.batch(),
            3..6 => {
                let line = self.words.source.pick(SESSION);
                self.send(guest, line.split(' ').map(|word| word.as_bytes().to_vec()).collect());
            }
            6 => {
                let line = self.crowd();
                self.send(guest, line);
            }
            _ => {
                let line = self.line();
                self.send(guest, line);
            }
        }
        self.take_unasked();
        self.solo.check();
        if self.words.source.one_in(8) {
            self.compare();
        }
    }

    /// A command that puts many elements into a collection.
    fn crowd(&mut self) -> Line {
        let count = self.words.source.below(CROWD_MAX);
        let (name, kind) = [
            ("RPUSH", "list"),
            ("SADD", "set"),
            ("HSET", "hash"),
            ("ZADD", "zset"),
            ("PFADD", "hll"),
            ("XADD", "stream"),
        ][self.words.source.below(6)];
        let mut line = vec![name.as_bytes().to_vec(), self.words.key(kind)];
        if name == "XADD" {
            line.push(b"*".to_vec());
        }
        let first = self.words.source.below(500);
        for number in first..first + count {
            match name {
                "HSET" | "XADD" => line.push(format!("f{number}").into_bytes()),
                "ZADD" => line.push((number / 3).to_string().into_bytes()),
                _ => {}
            }
            let text = if number % 7 == 0 { number.to_string() } else { format!("m{number}") };
            line.push(text.into_bytes());
        }
        line
    }

    /// A command of the table, perhaps spoilt.
    fn line(&mut self) -> Line {
        let command = self.commands[self.words.source.below(self.commands.len())];
        let mut line = walk::line(command, &mut self.words);
        if self.words.source.one_in(10) {
            let at = self.words.source.below(line.len());
            match self.words.source.below(4) {
                0 if at > 0 => {
                    line.remove(at);
                }
                1 => line.insert(at + 1, line[at].clone()),
                2 if at > 0 => line[at] = self.words.hostile(),
                _ => line.push(self.words.hostile()),
            }
        }
        line
    }

    fn note(&mut self, what: String) {
        self.latest.push_back(what);
        if self.latest.len() > SHOWN {
            self.latest.pop_front();
        }
    }

    fn send(&mut self, guest: usize, line: Line) {
        let id = self.guests[guest].id;
        self.note(format!("@{id}> {}", shown(&line)));
        if line[0].eq_ignore_ascii_case(b"DEBUG") && is_endless(&line) {
            return;
        }
        // Tricks of an operator, and from which size on a value takes another form.
        let names: [&[u8]; 2] = [b"DEBUG", b"hll-sparse-max-bytes"];
        let is_own = |word: &Vec<u8>| names.iter().any(|name| word.eq_ignore_ascii_case(name));
        self.is_apart |= line.iter().any(is_own);
        let argv: OwnedArgv = line.iter().collect();
        let measure = Measure::begin();
        let (bytes, open) = self.solo.run(id, argv.as_argv());
        measure.end(|| shown(&line));
        let replies = decode_all(&bytes);
        if line[0] == b"DUMP"
            && let [Reply::Bulk(payload)] = replies.as_slice()
        {
            self.words.payloads.push(payload.clone());
        }
        if !open {
            let gone = self.guests.swap_remove(guest);
            assert!(!self.solo.is_open(gone.id));
            return self.connect();
        }
        let guest = &mut self.guests[guest];
        guest.is_plain &= !is_special(&line);
        if guest.is_plain {
            assert!(replies.len() <= 1, "{} replies", replies.len());
            guest.owed += 1 - replies.len();
        }
    }

    /// What clients were sent without having asked, or later than they asked.
    fn take_unasked(&mut self) {
        for guest in &mut self.guests {
            let replies = decode_all(&self.solo.take_unasked(guest.id));
            if guest.is_plain {
                let count = replies.iter().filter(|reply| !matches!(reply, Reply::Push(_))).count();
                assert!(count <= guest.owed, "{count} replies for {} commands", guest.owed);
                guest.owed -= count;
            }
        }
        let solo = &self.solo;
        let gone = self.guests.iter().filter(|guest| !solo.is_open(guest.id)).count();
        self.guests.retain(|guest| solo.is_open(guest.id));
        (0..gone).for_each(|_| self.connect());
    }

    /// A plugin's batch: when it is rolled back, nothing has changed.
    fn batch(&mut self) {
        let count = 1 + self.words.source.below(4);
        let mut lines: Vec<Line> = (0..count).map(|_| self.line()).collect();
        if self.words.source.one_in(2) {
            lines.push(["INCRBY", "str1", "many"].map(|word| word.as_bytes().to_vec()).to_vec());
        }
        self.note(format!("batch {}", lines.iter().map(shown).collect::<Vec<_>>().join("; ")));
        let (mut counts, mut lengths, mut data) = (Vec::new(), Vec::new(), Vec::new());
        for line in &lines {
            counts.push(line.len() as u32);
            lengths.extend(line.iter().map(|word| word.len() as u32));
            line.iter().for_each(|word| data.extend_from_slice(word));
        }
        let batch = Batch {
            guards: Guards::default(),
            commands: CommandColumns { counts: &counts, lengths: &lengths, data: &data },
            on_error: OnError::RollBack,
            discard_replies: self.words.source.one_in(4),
        };
        let caller = Caller { client_id: 1, user: "default".into(), database: 0 };
        let before = self.solo.digest();
        let mut replies = reply_columns();
        let measure = Measure::begin();
        let outcome = self.solo.apply(&caller, &Grants::all(), &batch, &mut replies);
        measure.end(|| "a batch".to_owned());
        if let Err(error) = outcome {
            assert!(before == self.solo.digest(), "a batch left a trace: {error:?}");
            assert!(replies.data().is_empty() || !matches!(error, StepError::RolledBack(..)));
        }
    }

    /// Everybody gets what is owed.
    fn end(&mut self) {
        let admin = self.solo.connect();
        let ask = |solo: &mut Solo, line: &str| {
            let argv: OwnedArgv = line.split(' ').collect();
            solo.run(admin, argv.as_argv()).0
        };
        ask(&mut self.solo, "HELLO 2");
        if ask(&mut self.solo, "CLIENT UNPAUSE") != b"+OK\r\n" {
            return;
        }
        for _ in 0..1000 {
            self.take_unasked();
            if self.guests.iter().all(|guest| guest.owed == 0) {
                break;
            }
            for guest in &self.guests {
                ask(&mut self.solo, &format!("CLIENT UNBLOCK {}", guest.id));
            }
            // What was sent in a pause may begin another one, for everybody.
            self.solo.advance(PAUSE_MS_MAX);
            if ask(&mut self.solo, "CLIENT UNPAUSE") != b"+OK\r\n" {
                return;
            }
        }
        for guest in self.guests.iter().filter(|guest| guest.is_plain) {
            assert_eq!(guest.owed, 0, "replies that client {} waits for", guest.id);
        }
        self.guests.iter().for_each(|guest| self.solo.disconnect(guest.id));
        self.solo.check();
        self.compare();
    }

    /// What has happened leads a copy to the same data.
    fn compare(&mut self) {
        if self.is_apart {
            return;
        }
        self.copy.replay(&self.solo.take_effects());
        let found = differences(&essence(self.solo.digest_with_expired()), &self.copy.digest());
        assert!(found.is_empty(), "a copy differs\n{}", found.join("\n"));
        self.copy.check();
    }
}

impl Drop for Story<'_> {
    #[expect(clippy::print_stderr, reason = "a failure must say what led to it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.latest.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// DEBUG POPULATE makes as many keys as it is told: that is what it is for. Attributes are no reply.
fn is_endless(line: &Line) -> bool {
    let is = |word: &&Vec<u8>, name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    line.get(1).is_some_and(|word| is(&word, "POPULATE") || is(&word, "PROTOCOL"))
}

/// Whether a connection may get several replies, or none, from here on.
fn is_special(line: &Line) -> bool {
    let name = line[0].to_ascii_uppercase();
    let part = line.get(1).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    // Who says how far it has come gets no reply.
    let is_silent = name == b"REPLCONF" || name == b"MONITOR";
    name.ends_with(b"SUBSCRIBE") || is_silent || (name == b"CLIENT" && part == b"REPLY")
}

fn decode_all(mut bytes: &[u8]) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        match decode(bytes) {
            Ok(Some((reply, used))) => {
                replies.push(reply);
                bytes = &bytes[used..];
            }
            Ok(None) => panic!("half a reply: {}", bytes.escape_ascii()),
            Err(error) => panic!("{error}: {}", bytes.escape_ascii()),
        }
    }
    replies
}

fn shown(line: &Line) -> String {
    const BYTES_SHOWN: usize = 60;
    let word = |word: &Vec<u8>| match word.len() {
        0 => "''".to_owned(),
        length if length > BYTES_SHOWN => {
            format!("{}...({length})", word[..BYTES_SHOWN].escape_ascii())
        }
        _ => word.escape_ascii().to_string(),
    };
    line.iter().take(40).map(word).collect::<Vec<_>>().join(" ")
}
