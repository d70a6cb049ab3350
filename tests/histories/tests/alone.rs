//! One server under load, and killed again and again: what was acknowledged is there, and everything
//! happens at one moment, over all its lives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use reef_fuzz::choice::{Choice, Rng};
use reef_histories::client::{Clock, Recorder};
use reef_histories::history::{Operation, end_unknown};
use reef_histories::process::Process;
use reef_histories::stories::{Sabotage, play};
use reef_histories::{linear, session, traffic};

const CLIENTS: usize = 6;

/// Clients that act until they are lost, or it is over.
fn load(
    server: &Process,
    clock: Clock,
    rng: &mut Rng,
    is_over: &AtomicBool,
    meanwhile: impl FnOnce(&mut Rng),
) -> Vec<Operation> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let connection = server.connect().expect("it is there");
                let mut recorder = Recorder::new(client, 0, clock, connection);
                let mut rng = Rng::new(rng.bits());
                scope.spawn(move || {
                    while !is_over.load(Ordering::Acquire)
                        && traffic::act(&mut recorder, &mut rng).is_ok()
                    {}
                    recorder.history
                })
            })
            .collect();
        meanwhile(rng);
        is_over.store(true, Ordering::Release);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    })
}

fn judge(history: &[Operation]) -> String {
    let judged = linear::check(history).unwrap_or_else(|violation| panic!("{violation}"));
    let seen = session::check(history).unwrap_or_else(|error| panic!("{error}"));
    let together = session::check_together(history, &traffic::TOGETHER);
    together.unwrap_or_else(|error| panic!("{error}"));
    for client in 0..CLIENTS {
        let ordered = session::check_ordered(history, traffic::ordered(client));
        ordered.unwrap_or_else(|error| panic!("{error}"));
    }
    let unknown = history.iter().filter(|operation| operation.answers.is_none()).count();
    assert!(judged.operations > CLIENTS && seen > 0, "clients were served");
    format!(
        "{} operations, {unknown} of them unknown, at most {} possibilities",
        judged.operations, judged.possibilities
    )
}

/// How many threads and shards.
fn shape(rng: &mut Rng) -> [&'static str; 4] {
    ["--io-threads", rng.pick(&["1", "2", "2", "4"]), "--shards", rng.pick(&["1", "16", "16"])]
}

#[test]
fn everything_happens_at_one_moment() {
    play("everything_happens_at_one_moment", |seed| {
        let mut rng = Rng::new(seed);
        let shape = shape(&mut rng);
        let (server, clock) =
            (Process::reef(&[&shape[..], &["--save", ""]].concat()), Clock::start());
        let history = load(&server, clock, &mut rng, &AtomicBool::new(false), |rng| {
            thread::sleep(Duration::from_millis(400 + rng.below(800) as u64));
        });
        format!("{shape:?}: {}", judge(&history))
    });
}

/// Takes the last bytes of what was logged away.
fn cut_tail(server: &Process) {
    let folder = server.folder().join("appendonlydir");
    for file in std::fs::read_dir(folder).expect("a folder").flatten() {
        if file.path().to_string_lossy().ends_with(".incr.aof") {
            let file = std::fs::File::options().write(true).open(file.path()).expect("a file");
            let length = file.metadata().expect("a file").len();
            file.set_len(length.saturating_sub(2000)).expect("it can be cut");
        }
    }
}

#[test]
fn kills_lose_nothing_that_was_acknowledged_and_do_nothing_twice() {
    play("kills_lose_nothing", |seed| {
        let mut rng = Rng::new(seed);
        let shape = shape(&mut rng);
        let fsync = *rng.pick(&[&"always", &"always", &"everysec"]);
        let kept = ["--appendonly", "yes", "--appendfsync", fsync, "--save", ""];
        let flags = [&shape[..], &kept[..]].concat();
        let (mut server, clock) = (Process::reef(&flags), Clock::start());
        let mut history = Vec::new();
        let kills = 2 + rng.below(4);
        for _ in 0..kills {
            let is_over = AtomicBool::new(false);
            let lived = load(&server, clock, &mut rng, &is_over, |rng| {
                thread::sleep(Duration::from_millis(rng.below(250) as u64));
                if rng.one_in(3) {
                    let _ = server.try_call::<String>("BGREWRITEAOF");
                    thread::sleep(Duration::from_millis(rng.below(30) as u64));
                }
                server.kill();
            });
            history.extend(lived);
            end_unknown(&mut history, 0, clock.now());
            if Sabotage::Tail.is_on() {
                cut_tail(&server);
            }
            server.start_again(&flags);
        }
        let mut last = Recorder::new(CLIENTS, 0, clock, server.connect().expect("it is there"));
        traffic::look_everywhere(&mut last).expect("it answers");
        for client in 0..CLIENTS {
            last.run(traffic::look_ordered(client)).expect("it answers");
        }
        history.extend(last.history);
        format!("{shape:?} {fsync}, {kills} kills: {}", judge(&history))
    });
}
