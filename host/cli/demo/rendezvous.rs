//! `reef demo rendezvous`: programs that start in any order find each other, are told why if they do not,
//! and leave nothing behind when they die.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use redis::{FromRedisValue, Value};

use super::house::House;
use super::process::within;
use super::stage::Stage;
use crate::cli::Failure;
use crate::cli::client::{Client, ClientError, Server};
use crate::cli::table::grouped;

/// How many meet at the barrier.
const CROWD: u64 = 1_000;
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Shows all of it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let house = House::start()?;
    let server = house.server();
    plain(stage, server)?;
    any_order(stage, server)?;
    several(stage, server)?;
    in_vain(stage, server)?;
    dead(stage, server)?;
    barrier(stage, server)?;
    house.stop();
    Ok(())
}

/// A call that waits, on a connection and a thread of its own.
struct Waiting<T>(JoinHandle<Result<T, ClientError>>);

impl<T: FromRedisValue + Send + 'static> Waiting<T> {
    fn begin(server: &Server, words: &[&str]) -> Result<Self, ClientError> {
        let mut client = server.connect()?;
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(Self(thread::spawn(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            client.call(&words)
        })))
    }

    fn end(self) -> Result<T, ClientError> {
        match self.0.join() {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// Until so many clients wait. Whether they do.
fn wait_for(client: &mut Client, count: u64) -> bool {
    let line = format!("blocked_clients:{count}\r");
    within(PATIENCE, || {
        client.call::<String>(&["INFO", "clients"]).is_ok_and(|info| info.contains(&line))
    })
}

fn plain(stage: &mut Stage<'_>, server: &Server) -> Result<(), Failure> {
    stage.step("Programs that know nothing of Reef: RPUSH and BLPOP, dialer first")?;
    let mut listener = server.connect()?;
    let dialer = Waiting::<(String, String)>::begin(server, &["BLPOP", "listenerAddr", "20"])?;
    wait_for(&mut listener, 1);
    stage.ask::<Value>(&mut listener, &["RPUSH", "listenerAddr", "/ip4/10.0.0.1/tcp/4001"])?;
    let (_, address) = dialer.end()?;
    stage.say(&format!("the dialer got {address}"))?;
    stage
        .check(address == "/ip4/10.0.0.1/tcp/4001", "the dialer that was first got the address")?;
    stage.ask::<Value>(&mut listener, &["RPUSH", "listenerAddr", "/ip4/10.0.0.1/tcp/4002"])?;
    let mut dialer = server.connect()?;
    let (_, address): (String, String) =
        stage.ask(&mut dialer, &["BLPOP", "listenerAddr", "20"])?;
    stage.check(address.ends_with("4002"), "and so did one that came after the listener")
}

fn any_order(stage: &mut Stage<'_>, server: &Server) -> Result<(), Failure> {
    stage.step("The same with RDV.*: a run for each test, in any order")?;
    let mut client = server.connect()?;
    stage.ask::<Value>(&mut client, &["RDV.OPEN", "run-1", "TTL", "60"])?;
    let dialer = ["RDV.TAKE", "run-1", "listener", "WAIT", "20"];
    let waiting = Waiting::<(String, String)>::begin(server, &dialer)?;
    wait_for(&mut client, 1);
    let listener = ["RDV.REGISTER", "run-1", "listener", "/ip4/10.0.0.2", "TTL", "10"];
    stage.ask::<Value>(&mut client, &listener)?;
    let (_, address) = waiting.end()?;
    stage.check(address == "/ip4/10.0.0.2", "dialer first: it was woken with the address")?;
    stage.ask::<Value>(&mut client, &listener)?;
    let (_, address): (String, String) = stage.ask(&mut client, &dialer)?;
    stage.check(address == "/ip4/10.0.0.2", "listener first: it was there already")
}

fn several(stage: &mut Stage<'_>, server: &Server) -> Result<(), Failure> {
    stage.step("Several listeners: wait until all are there, each to one dialer")?;
    let mut client = server.connect()?;
    client.call::<()>(&["RDV.OPEN", "run-2", "TTL", "60"])?;
    let all = ["RDV.FIND", "run-2", "listener", "COUNT", "3", "WAIT", "20"];
    let waiting = Waiting::<Value>::begin(server, &all)?;
    wait_for(&mut client, 1);
    for number in 1..=3 {
        let address = format!("/ip4/10.0.0.{number}");
        client.call::<()>(&["RDV.REGISTER", "run-2", "listener", &address])?;
    }
    let found = format!("{:?}", waiting.end()?);
    let has_all = (1..=3).all(|number| found.contains(&format!("/ip4/10.0.0.{number}")));
    stage.check(has_all, "who waited for three was told when the third came")?;
    let mut taken = Vec::new();
    for _ in 0..3 {
        let (_, address): (String, String) =
            stage.ask(&mut client, &["RDV.TAKE", "run-2", "listener"])?;
        taken.push(address);
    }
    taken.dedup();
    stage.check(taken.len() == 3, "three dialers got three addresses")
}

fn in_vain(stage: &mut Stage<'_>, server: &Server) -> Result<(), Failure> {
    stage.step("Nobody comes: the failure says what was there instead")?;
    let mut client = server.connect()?;
    client.call::<()>(&["RDV.OPEN", "run-3", "TTL", "60"])?;
    client.call::<()>(&["RDV.REGISTER", "run-3", "listener", "/ip4/10.9.9.9", "TTL", "0.1"])?;
    thread::sleep(Duration::from_millis(150));
    let began = Instant::now();
    let dialer = ["RDV.TAKE", "run-3", "listener", "WAIT", "1"];
    let error = stage.ask_in_vain(&mut client, &dialer)?;
    let took = began.elapsed();
    let text = error.map(|error| error.to_string()).unwrap_or_default();
    // A busy machine says later that it was in vain.
    let says = text.starts_with("NOLISTENER run-3 listener waited=")
        && text.ends_with("registered=0 expired=1");
    stage.check(says, "it waited for a second; one was there, and had expired")?;
    stage.check(took >= Duration::from_secs(1), "and not a moment less")?;
    let waiting =
        Waiting::<Value>::begin(server, &["RDV.TAKE", "run-3", "listener", "WAIT", "50"])?;
    wait_for(&mut client, 1);
    stage.ask::<Value>(&mut client, &["RDV.DROP", "run-3"])?;
    let told = waiting.end().err().is_some_and(|error| error.code() == Some("RUNGONE"));
    stage.check(told, "who waits in a run that is dropped hears so at once")
}

fn dead(stage: &mut Stage<'_>, server: &Server) -> Result<(), Failure> {
    stage.step("A listener that dies, a taker that dies")?;
    let mut client = server.connect()?;
    client.call::<()>(&["RDV.OPEN", "run-4", "TTL", "60"])?;
    let mut listener = server.connect()?;
    let words = ["RDV.REGISTER", "run-4", "listener", "/ip4/10.0.0.4", "CONNECTION"];
    stage.ask::<Value>(&mut listener, &words)?;
    let watch = ["RDV.FIND", "run-4", "listener", "SINCE", "1", "WAIT", "20"];
    let watching = Waiting::<Value>::begin(server, &watch)?;
    wait_for(&mut client, 1);
    let died = Instant::now();
    drop(listener);
    watching.end()?;
    stage.say(&format!("heard of after {:.1} ms", died.elapsed().as_secs_f64() * 1_000.0))?;
    let error = stage.ask_in_vain(&mut client, &["RDV.TAKE", "run-4", "listener"])?;
    let is_gone = error.is_some_and(|error| error.code() == Some("NOLISTENER"));
    stage.check(is_gone, "its address went with its connection: no next run dials it")?;
    client.call::<()>(&["RDV.REGISTER", "run-4", "work", "item"])?;
    let mut taker = server.connect()?;
    stage.ask::<Value>(&mut taker, &["RDV.TAKE", "run-4", "work", "LEASE", "50"])?;
    drop(taker);
    let (_, item, _): (String, String, u64) =
        stage.ask(&mut client, &["RDV.TAKE", "run-4", "work", "LEASE", "50", "WAIT", "20"])?;
    stage.check(item == "item", "what a dead taker had was given to the next")
}

fn barrier(stage: &mut Stage<'_>, server: &Server) -> Result<(), Failure> {
    stage.step("A barrier: a thousand wait for each other, and one dies while waiting")?;
    let mut client = server.connect()?;
    client.call::<()>(&["RDV.OPEN", "run-5", "TTL", "60"])?;
    let (sender, receiver) = mpsc::channel();
    let count = CROWD.to_string();
    // The one that dies has signalled, as all do.
    let mut dying = server.connect()?;
    dying.call::<()>(&["RDV.SIGNAL", "run-5", "ready"])?;
    drop(dying);
    for _ in 1..CROWD {
        let (mut member, sender, count) = (server.connect()?, sender.clone(), count.clone());
        let thread = thread::Builder::new().stack_size(256 << 10);
        thread.spawn(move || {
            let call = ["RDV.BARRIER", "run-5", "ready", &count, "SIGNAL", "WAIT", "50"];
            let answer = member.call::<u64>(&call);
            // The demonstration may have given up.
            let _ = sender.send((Instant::now(), answer));
        })?;
    }
    drop(sender);
    let answers: Vec<(Instant, Result<u64, ClientError>)> = receiver.iter().collect();
    let through = answers.iter().filter(|(_, answer)| answer.is_ok()).count() as u64;
    let first = answers.iter().map(|(at, _)| *at).min();
    let last = answers.iter().map(|(at, _)| *at).max();
    let spread = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64() * 1e3);
    stage.say(&format!("first to last: {spread:.1} ms"))?;
    let sentence = format!("{} of {} went through", grouped(through), grouped(CROWD - 1));
    stage.check(through == CROWD - 1, &sentence)?;
    let early = answers.iter().any(|(_, answer)| answer.as_ref().is_ok_and(|n| *n < CROWD));
    stage.check(!early, "nobody before all had come")
}
