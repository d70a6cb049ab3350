//! A primary and a replica, with links that are cut and promotions: what asynchronous replication
//! guarantees, and exactly that.
//!
//! - Clients of one primary see everything happen at one moment (linearizability), whatever its replica or
//!   the link to it does, and as long as it is one, even when another was promoted meanwhile.
//! - A promoted replica goes on from a moment of its primary's past: what the primary did up to there is
//!   there, in its order and each batch as a whole, and nothing of what came after. Of each group of keys that
//!   meet in operations this is judged apart.
//! - After a hand-over (FAILOVER) nothing is missing that the primary had acknowledged.
//! - The moment of a promotion is not before anything that a client knows by WAIT to be on the replica.
//! - Whoever reads from one replica sees its primary's past: never back, no batch by half, and no write
//!   without an earlier one of the same client to another key; its promotion included.
//!
//! What was acknowledged by the primary alone may be lost in a promotion; no test here says otherwise.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reef_fuzz::choice::{Choice, Rng};
use reef_histories::cable::Cable;
use reef_histories::client::{Clock, Recorder, Unanswered};
use reef_histories::comparison::differences;
use reef_histories::history::{Operation, end_unknown};
use reef_histories::model::Action;
use reef_histories::process::{Process, wait_until};
use reef_histories::stories::{Sabotage, play};
use reef_histories::{linear, session, traffic};

const CLIENTS: usize = 5;
const PROMOTER: usize = 90;
const READER: usize = 91;
const LAST: usize = 92;

/// One server and how others reach it.
struct Member {
    process: Process,
    cable: Cable,
}

impl Member {
    fn new(rng: &mut Rng) -> Self {
        let flags = Self::flags(rng);
        let process = Process::reef(&flags);
        let cable = Cable::to(process.port());
        Self { process, cable }
    }

    /// A small backlog now and then, so that a cut link means all of the data once more.
    fn flags(rng: &mut Rng) -> Vec<&'static str> {
        let mut flags = vec!["--save", "", "--enable-debug-command", "local"];
        flags.extend(["--io-threads", rng.pick(&["2", "2", "4"])]);
        flags.extend(["--shards", rng.pick(&["1", "16", "16"])]);
        flags.extend(["--repl-backlog-size", rng.pick(&["16kb", "1mb"])]);
        flags.extend(["--repl-timeout", "5", "--repl-ping-replica-period", "1"]);
        if rng.one_in(3) {
            flags.extend(["--appendonly", "yes"]);
        }
        flags
    }
}

/// What is noted of a story.
struct Story {
    clock: Clock,
    history: Vec<Operation>,
    /// What was read from replicas.
    readings: Vec<Operation>,
    line: usize,
    /// How many operations WAIT acknowledged.
    kept: usize,
}

/// Clients of the primary that wait for the replica now and then; until they are lost, refused, or it is
/// over.
fn write(mut recorder: Recorder, mut rng: Rng, is_over: &AtomicBool) -> Recorder {
    while !is_over.load(Ordering::Acquire) {
        let happened = match rng.below(24) {
            0 if Sabotage::Acknowledgement.is_on() => {
                let written = 0..recorder.history.len();
                recorder.kept = written.filter(|at| recorder.history[*at].is_write()).collect();
                Ok(())
            }
            0 => recorder.wait_for_replicas(1, 20),
            _ => traffic::act(&mut recorder, &mut rng),
        };
        match happened {
            Err(Unanswered::Refused) if Sabotage::Replica.is_on() => {}
            Err(_) => break,
            Ok(()) => {}
        }
    }
    recorder
}

/// A client of the replica.
fn read(mut recorder: Recorder, is_over: &AtomicBool) -> Recorder {
    for client in (0..CLIENTS).cycle() {
        if is_over.load(Ordering::Acquire) {
            break;
        }
        let looked = recorder.run(traffic::look_together());
        match looked.and_then(|_| recorder.run(traffic::look_ordered(client))) {
            Ok(_) => {}
            Err(Unanswered::Refused) => thread::sleep(Duration::from_millis(1)),
            Err(Unanswered::Lost) => break,
        }
    }
    recorder
}

/// Cuts and mends a link.
fn disturb(link: &Cable, rng: &mut Rng) {
    for _ in 0..rng.below(5) {
        thread::sleep(Duration::from_millis(rng.below(120) as u64));
        match rng.below(3) {
            0 => link.cut(),
            1 => link.silence(),
            _ => link.mend(),
        }
    }
}

/// How a replica becomes the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The primary is killed first.
    Killed,
    /// The primary goes on for a while, and so do its clients.
    Apart,
    /// The primary hands over (FAILOVER), its clients notice when it has.
    HandedOver,
}

/// The primary waits until the replica has everything, and gives its place.
fn hand_over(primary: &Member, replica: &Member) {
    primary.cable.mend();
    let line = format!("FAILOVER TO 127.0.0.1 {}", replica.process.port());
    wait_until("it hands over", || {
        let _ = primary.process.try_call::<String>(&line);
        replica.process.try_info("role").is_ok_and(|role| role == "master")
    });
}

impl Story {
    /// A primary's time, up to the promotion of its replica and a little longer.
    fn reign(&mut self, primary: &Member, replica: &Member, rng: &mut Rng) {
        let is_over = AtomicBool::new(false);
        let reading_is_over = AtomicBool::new(false);
        let recorder = |process: &Process, client| {
            let connection = process.connect().expect("it is there");
            Recorder::new(client, self.line, self.clock, connection)
        };
        let change = [Change::Killed, Change::Apart, Change::HandedOver][rng.below(3)];
        let (promoted, writers, reader) = thread::scope(|scope| {
            let mut writers = Vec::new();
            for client in 0..CLIENTS {
                let at = match client {
                    0 if Sabotage::Replica.is_on() => &replica.process,
                    _ => &primary.process,
                };
                let (mut recorder, rng) = (recorder(at, client), Rng::new(rng.bits()));
                recorder.only_writes = change == Change::HandedOver;
                let is_over = &is_over;
                writers.push(scope.spawn(move || write(recorder, rng, is_over)));
            }
            let reader = recorder(&replica.process, READER);
            let reader = scope.spawn(|| read(reader, &reading_is_over));
            thread::sleep(Duration::from_millis(100 + rng.below(200) as u64));
            disturb(&primary.cable, rng);
            match change {
                Change::HandedOver => hand_over(primary, replica),
                Change::Killed => {
                    primary.process.kill();
                    replica.process.promote();
                }
                Change::Apart => replica.process.promote(),
            }
            let promoted = self.clock.now();
            thread::sleep(Duration::from_millis(rng.below(60) as u64));
            is_over.store(true, Ordering::Release);
            let writers: Vec<_> =
                writers.into_iter().map(|one| one.join().expect("a client")).collect();
            reading_is_over.store(true, Ordering::Release);
            (promoted, writers, reader.join().expect("a client"))
        });
        self.readings.extend(reader.history);
        self.note(writers, promoted, change);
    }

    /// Notes what clients of a line saw, and that another line begins.
    fn note(&mut self, writers: Vec<Recorder>, promoted: u64, change: Change) {
        let mut after = Vec::new();
        for mut writer in writers {
            let first = self.history.len();
            if change == Change::HandedOver {
                let answered = |at: &usize| writer.history[*at].answers.is_some();
                writer.kept = (0..writer.history.len()).filter(answered).collect();
            }
            after.extend(writer.kept.iter().map(|at| first + at));
            self.history.extend(writer.history);
        }
        self.kept += after.len();
        // Nobody waits for longer than the promotion, and it is not before what is kept.
        let invoked = after.iter().map(|at| self.history[*at].invoked).max();
        let (from, to) = (self.line, self.line + 1);
        let begun = self.history.iter().filter(|operation| operation.line() == Some(from));
        let begun = begun.map(|operation| operation.invoked).min().unwrap_or(promoted);
        self.history.push(Operation {
            client: PROMOTER,
            action: Action::Fork { from, to },
            invoked: invoked.unwrap_or(begun).min(promoted),
            returned: promoted,
            answers: Some(Vec::new()),
            after,
        });
        self.line = to;
    }

    /// The old primary follows the new one, with nothing of its own left.
    fn depose(&mut self, old: &mut Member, new: &Member, rng: &mut Rng) {
        old.cable.mend();
        let is_running = old.process.is_running();
        let restarts = !is_running || rng.one_in(2);
        if restarts {
            old.process.start_again(&Member::flags(rng));
        }
        // From here on, nothing that was on its way to it happens any more.
        old.process.follow(new.cable.port());
        end_unknown(&mut self.history, self.line - 1, self.clock.now());
        old.process.until_up();
        let deadline = Instant::now() + Duration::from_secs(20);
        while new.process.digest() != old.process.digest() {
            if Instant::now() > deadline {
                let found = differences(&new.process, &old.process, false).join("\n");
                let logs = [&new.process, &old.process].map(Process::latest_log).join("\n\n");
                panic!("the old primary differs, restarted: {restarts}\n{found}\n{logs}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn judge(&self) -> String {
        let judged = linear::check(&self.history).unwrap_or_else(|error| panic!("{error}"));
        session::check(&self.history).unwrap_or_else(|error| panic!("{error}"));
        let read = session::check(&self.readings).unwrap_or_else(|error| panic!("{error}"));
        for history in [&self.history, &self.readings] {
            let together = session::check_together(history, &traffic::TOGETHER);
            together.unwrap_or_else(|error| panic!("{error}"));
            for client in 0..CLIENTS {
                let ordered = session::check_ordered(history, traffic::ordered(client));
                ordered.unwrap_or_else(|error| panic!("{error}"));
            }
        }
        format!(
            "{} promotions: {} operations, {} of them kept, {read} readings of replicas, at most {} \
             possibilities",
            self.line, judged.operations, self.kept, judged.possibilities
        )
    }
}

#[test]
fn a_promotion_keeps_a_moment_of_the_past_that_is_not_before_what_was_waited_for() {
    let kept = AtomicUsize::new(0);
    play("a_promotion_keeps_a_moment", |seed| {
        let mut rng = Rng::new(seed);
        let (mut primary, mut replica) = (Member::new(&mut rng), Member::new(&mut rng));
        replica.process.follow(primary.cable.port());
        replica.process.until_up();
        let (clock, history, readings) = (Clock::start(), Vec::new(), Vec::new());
        let mut story = Story { clock, history, readings, line: 0, kept: 0 };
        for _ in 0..1 + rng.below(3) {
            story.reign(&primary, &replica, &mut rng);
            story.depose(&mut primary, &replica, &mut rng);
            std::mem::swap(&mut primary, &mut replica);
        }
        let connection = primary.process.connect().expect("it is there");
        let mut last = Recorder::new(LAST, story.line, clock, connection);
        traffic::look_everywhere(&mut last).expect("it answers");
        for client in 0..CLIENTS {
            last.run(traffic::look_ordered(client)).expect("it answers");
        }
        story.history.extend(last.history);
        kept.fetch_add(story.kept, Ordering::Relaxed);
        story.judge()
    });
    assert!(kept.into_inner() > 0, "somebody waited for a replica");
}

/// The checker can tell: whoever reads from a replica behind a silent link reads what is past, and its
/// session is none the worse.
#[test]
fn reads_from_a_replica_that_hears_nothing_are_not_linearizable() {
    let mut rng = Rng::new(1);
    let (primary, replica) = (Member::new(&mut rng), Member::new(&mut rng));
    replica.process.follow(primary.cable.port());
    replica.process.until_up();
    let clock = Clock::start();
    let mut both = [&primary, &replica]
        .map(|member| Recorder::new(0, 0, clock, member.process.connect().expect("it is there")));
    let [writer, reader] = &mut both;
    let increments = traffic::together(1);
    writer.run(increments.clone()).expect("it answers");
    writer.wait_for_replicas(1, 10_000).expect("it answers");
    assert_eq!(writer.kept, [0], "the replica has it");
    reader.run(traffic::look_together()).expect("it answers");
    let histories = |both: &[Recorder; 2]| -> Vec<Operation> {
        both.iter().flat_map(|one| one.history.iter().cloned()).collect()
    };
    linear::check(&histories(&both)).unwrap_or_else(|error| panic!("{error}"));
    primary.cable.silence();
    let [writer, reader] = &mut both;
    writer.run(increments).expect("it answers");
    reader.run(traffic::look_together()).expect("it answers");
    let error = linear::check(&histories(&both)).expect_err("it is stale").to_string();
    assert!(error.contains("GET k:20; GET k:21"), "{error}");
    assert_eq!(session::check(&both[1].history), Ok(4));
}
