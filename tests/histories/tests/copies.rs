//! Random commands of all families on a primary, while its replicas are cut off and killed: in the end
//! all hold the same data, a Reef with other threads and shards, and a stock redis-server where there is
//! one; and so they do when one of them has become the primary. The same data is an equal digest; of a
//! sorted set that a stock 7.0 holds, whose digests write fractions otherwise, equal members and scores.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use reef_fuzz::choice::{Choice, Rng};
use reef_histories::cable::Cable;
use reef_histories::commands::{Audience, Commands, Sender};
use reef_histories::comparison::differences;
use reef_histories::process::Process;
use reef_histories::stories::{self, Sabotage, play};

const CLIENTS: usize = 3;
/// Commands to one primary.
const COMMANDS_MAX: usize = 1_000_000;
/// How often a primary's data is compared with its replicas'.
const ROUNDS: usize = 3;
/// What every server is told: nobody builds a string of half a gigabyte.
const FLAGS: [&str; 10] = [
    "--save",
    "",
    "--enable-debug-command",
    "local",
    "--proto-max-bulk-len",
    "1mb",
    "--repl-timeout",
    "5",
    "--repl-ping-replica-period",
    "1",
];

struct Replica {
    process: Process,
    /// From it to its primary.
    cable: Cable,
    is_stock: bool,
}

impl Replica {
    fn flags(rng: &mut Rng) -> Vec<&'static str> {
        let mut flags = FLAGS.to_vec();
        flags.extend(["--io-threads", rng.pick(&["2", "4"])]);
        flags.extend(["--shards", rng.pick(&["1", "4", "16"])]);
        flags.extend(["--repl-backlog-size", rng.pick(&["64kb", "4mb", "256mb"])]);
        flags.extend(["--appendonly", rng.pick(&["no", "no", "yes"])]);
        flags
    }

    /// Another primary, over another cable.
    fn follow(&mut self, primary: &Process) {
        self.cable = Cable::to(primary.port());
        self.process.follow(self.cable.port());
    }

    fn disturb(&mut self, rng: &mut Rng) {
        match rng.below(6) {
            0 => self.cable.cut(),
            1 => self.cable.silence(),
            2 if rng.one_in(2) => {
                let place = self.cable.port().to_string();
                let flags = if self.is_stock { FLAGS.to_vec() } else { Self::flags(rng) };
                let follow = ["--replicaof", "127.0.0.1", &place];
                // One flag of one word for Reef, of two for a stock server.
                let joined = follow[1..].join(" ");
                let follow = if self.is_stock { follow.to_vec() } else { vec![follow[0], &joined] };
                self.process.start_again(&[flags, follow].concat());
            }
            _ => self.cable.mend(),
        }
    }
}

/// Sends commands to the primary several times, and compares each time; gives how many commands.
fn play_on(
    primary: &Process,
    replicas: &mut [Replica],
    audience: Audience,
    rng: &mut Rng,
) -> usize {
    let mut count = 0;
    for round in 0..ROUNDS {
        // The first without a disturbance: nothing mends what is missed.
        count += send(primary, replicas, audience, rng, round > 0);
        if Sabotage::Writable.is_on() {
            let replica = &replicas[0].process;
            replica.until_up();
            replica.call::<String>("CONFIG SET replica-read-only no");
            replica.call::<String>("SET stray 1");
        }
        compare(primary, replicas);
    }
    count
}

/// Sends commands to the primary for a while, and may disturb its replicas meanwhile; gives how many
/// commands.
fn send(
    primary: &Process,
    replicas: &mut [Replica],
    audience: Audience,
    rng: &mut Rng,
    disturbs: bool,
) -> usize {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let mut commands = Commands::new(rng.bits(), audience);
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut sender = Sender::connect(primary.port()).expect("it listens");
                    let mut count = 0;
                    while !is_over.load(Ordering::Acquire)
                        && count < COMMANDS_MAX / CLIENTS / ROUNDS
                    {
                        count += sender.play(&mut commands).expect("it answers");
                    }
                    count
                })
            })
            .collect();
        let time = stories::time().min(Duration::from_secs(30)) / 2 / ROUNDS as u32;
        let end = Instant::now() + time;
        while Instant::now() < end && !clients.iter().all(|client| client.is_finished()) {
            thread::sleep(Duration::from_millis(rng.below(300) as u64));
            let replica = rng.below(replicas.len());
            if disturbs {
                replicas[replica].disturb(rng);
            }
        }
        is_over.store(true, Ordering::Release);
        replicas.iter().for_each(|replica| replica.cable.mend());
        clients.into_iter().map(|client| client.join().expect("a client")).sum()
    })
}

/// Everybody has the same data, soon.
fn compare(primary: &Process, replicas: &[Replica]) {
    const PATIENCE: Duration = Duration::from_secs(20);
    for replica in replicas {
        replica.process.until_up();
        let deadline = Instant::now() + PATIENCE;
        while primary.digest() != replica.process.digest() {
            let found = differences(primary, &replica.process, replica.is_stock);
            if found.is_empty() && replica.is_stock {
                break;
            }
            let kind = if replica.is_stock { "stock" } else { "Reef" };
            let late = Instant::now() > deadline;
            assert!(
                !late,
                "a {kind} replica differs:\n{}\n{}",
                found.join("\n"),
                replica.process.latest_log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn replicas_hold_what_their_primary_holds_whatever_happens_to_them() {
    play("replicas_hold_what_their_primary_holds", |seed| {
        let mut rng = Rng::new(seed);
        let mut primary = Process::reef(&Replica::flags(&mut rng));
        let reef = Process::reef(&Replica::flags(&mut rng));
        let cable = Cable::to(primary.port());
        let mut replicas = vec![Replica { process: reef, cable, is_stock: false }];
        let mut audience = Audience::Reef;
        if rng.one_in(2)
            && let Some(process) = Process::stock(&FLAGS)
        {
            audience = Audience::Stock;
            let cable = Cable::to(primary.port());
            replicas.push(Replica { process, cable, is_stock: true });
        }
        replicas.iter_mut().for_each(|replica| replica.follow(&primary));
        let mut count = play_on(&primary, &mut replicas, audience, &mut rng);
        let full = primary.try_info("sync_full").unwrap_or_default();
        let part = primary.try_info("sync_partial_ok").unwrap_or_default();
        // The first replica takes the primary's place.
        replicas[0].process.promote();
        std::mem::swap(&mut primary, &mut replicas[0].process);
        replicas.iter_mut().for_each(|replica| replica.follow(&primary));
        count += play_on(&primary, &mut replicas, audience, &mut rng);
        assert!(count > 0, "commands were sent");
        format!(
            "{count} commands for {audience:?}, {full} full and {part} partial synchronisations"
        )
    });
}
