//! Clients that die while they wait in BLPOP: what is pushed goes to the next, and is never lost.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cli::Failure;
use crate::cli::client::{Client, ClientError};
use crate::cli::demo::cable::Cable;
use crate::cli::demo::process::{Process, within};
use crate::cli::demo::stage::Stage;
use crate::cli::table::counted;

/// How often each way to die is tried.
const ROUNDS: u32 = 20;
/// How long somebody may take to be waiting, or to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a waiting client dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Closes,
    ClosesHalf,
    IsKilled,
    LosesNetwork,
}

/// A client that waits for an element of a list.
enum Waiter {
    Socket(TcpStream),
    Process(Child),
}

impl Waiter {
    fn of_port(port: u16, words: &str) -> Result<Self, Failure> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.write_all(format!("{words}\r\n").as_bytes())?;
        Ok(Self::Socket(socket))
    }

    /// A process of its own: this program, as a client.
    fn of_process(process: &Process, words: &str) -> Result<Self, Failure> {
        let url = format!("redis://127.0.0.1:{}", process.port());
        let child = Command::new(std::env::current_exe()?)
            .args(["demo", "--call", &url])
            .args(words.split(' '))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self::Process(child))
    }

    fn die(&mut self, death: Death, cable: &Cable) -> Result<(), Failure> {
        match (self, death) {
            (Self::Process(child), _) => {
                child.kill()?;
                child.wait()?;
            }
            (Self::Socket(_), Death::LosesNetwork) => cable.cut(),
            (Self::Socket(socket), Death::ClosesHalf) => socket.shutdown(Shutdown::Write)?,
            (Self::Socket(socket), _) => socket.shutdown(Shutdown::Both)?,
        }
        Ok(())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Self::Process(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The lines of a reply that is an array of bulk strings.
fn read_pair(socket: &TcpStream) -> Result<[String; 2], Failure> {
    let mut lines = BufReader::new(socket).lines();
    // `*2`, `$length`, first, `$length`, second.
    let mut next = || lines.next().unwrap_or_else(|| Ok(String::new()));
    let (_, _, first, _, second) = (next()?, next()?, next()?, next()?, next()?);
    Ok([first, second])
}

/// Waits until so many clients wait.
fn until_waiting(client: &mut Client, count: usize) -> Result<(), Failure> {
    let mut waiting = || -> Result<bool, ClientError> {
        let info: String = client.call(&["INFO", "clients"])?;
        Ok(info.contains(&format!("blocked_clients:{count}\r\n")))
    };
    match within(PATIENCE, || waiting().unwrap_or(false)) {
        true => Ok(()),
        false => Err(Failure::new("a client of the demonstration does not come to wait")),
    }
}

/// Shows it.
pub(super) fn show(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.step("A client dies in BLPOP: the next one is served, and nothing is lost")?;
    let process = Process::reef(&["--save", ""])?;
    let ways = [
        (Death::Closes, ROUNDS, "closes its socket"),
        (Death::ClosesHalf, ROUNDS, "closes one half of its socket"),
        (Death::IsKilled, 5, "is killed -9"),
        (Death::LosesNetwork, ROUNDS, "loses its network, which says so"),
    ];
    for (death, rounds, words) in ways {
        let served = (0..rounds).try_fold(0, |served, round| {
            let is_served = outlive(&process, death, round)?;
            Ok::<_, Failure>(served + u32::from(is_served))
        })?;
        let sentence = format!(
            "the first of two waiting clients {words}, then comes RPUSH: the second was served in \
             {served} of {}",
            counted(u64::from(rounds), "round")
        );
        stage.check(served == rounds, &sentence)?;
    }
    silence(stage, &process)
}

/// One client dies and an element is pushed; whether another one was given it.
fn outlive(process: &Process, death: Death, round: u32) -> Result<bool, Failure> {
    let mut client = process.connect()?;
    let cable = Cable::to(process.port())?;
    let words = "BLPOP queue 0";
    let mut first = match death {
        Death::IsKilled => Waiter::of_process(process, words)?,
        Death::LosesNetwork => Waiter::of_port(cable.port(), words)?,
        Death::Closes | Death::ClosesHalf => Waiter::of_port(process.port(), words)?,
    };
    until_waiting(&mut client, 1)?;
    let second = Waiter::of_port(process.port(), words)?;
    until_waiting(&mut client, 2)?;
    // Nothing between the death and the push: the server has had no time to hear of it.
    first.die(death, &cable)?;
    let element = format!("element-{round}");
    client.call::<u64>(&["RPUSH", "queue", &element])?;
    let Waiter::Socket(second) = &second else { return Ok(false) };
    let got = read_pair(second)?;
    let left: u64 = client.call(&["LLEN", "queue"])?;
    // The dead one leaves before the next round begins.
    until_waiting(&mut client, 0)?;
    Ok(got == ["queue".to_owned(), element] && left == 0)
}

/// A network that says nothing cannot be noticed: BLMOVE keeps what was handed out.
fn silence(stage: &mut Stage<'_>, process: &Process) -> Result<(), Failure> {
    let mut client = process.connect()?;
    let cable = Cable::to(process.port())?;
    let first = Waiter::of_port(cable.port(), "BLMOVE queue taken LEFT RIGHT 0")?;
    until_waiting(&mut client, 1)?;
    stage
        .say("a network that goes silent: both ends believe they are connected, so that what is")?;
    stage.say(
        "handed out then is on its way to nobody, here as in Redis; BLMOVE keeps it meanwhile",
    )?;
    cable.silence();
    client.call::<u64>(&["RPUSH", "queue", "precious"])?;
    let taken: Vec<String> = stage.ask(&mut client, &["LRANGE", "taken", "0", "-1"])?;
    let second = Waiter::of_port(process.port(), "BLPOP queue 0")?;
    until_waiting(&mut client, 1)?;
    stage.ask::<String>(&mut client, &["LMOVE", "taken", "queue", "LEFT", "LEFT"])?;
    let Waiter::Socket(socket) = &second else { return Ok(()) };
    let got = read_pair(socket)?;
    let kept = taken == ["precious"] && got == ["queue", "precious"].map(str::to_owned);
    drop(first);
    stage.check(kept, "the element was kept in a list, put back, and served to the next client")
}
